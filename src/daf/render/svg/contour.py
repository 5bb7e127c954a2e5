"""The value over two settings as inline SVG: the trials as marks, and behind them the mean of nearby trials.

The background is a local mean (Gaussian weights), drawn only near trials: if fewer than `FEWEST` are close, nothing is
drawn, because nothing was measured there. Between choices nothing is averaged. It shows where the search found what,
not the effect of a hyperparameter, because the other ones differ too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.svg._shades import BEST, bands_of, shade
from daf.render.text import shortened
from daf.stats.arrays import FloatArray

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 96, 16, 12, 52
GRID = 60
LEVELS = 8
SPAN = 0.94
"""The fraction of an axis that a range takes, so that its ends do not touch the frame."""
FEWEST = 2.0
"""A mean requires at least the weight of this many trials."""
MOST_USED = 4_000
"""Maximum number of trials used for the means, chosen evenly from all."""


@dataclass(frozen=True)
class Side:
    """An axis. places: 0 to 1, or the index of a choice. choices: their number; 0 for a range. ticks: (place, text) in
    the same unit."""

    name: str
    places: FloatArray
    choices: int
    ticks: Sequence[tuple[float, str]]

    def unit(self, places: FloatArray) -> FloatArray:
        """Places as fractions of the axis."""
        parts: FloatArray = (places + 0.5) / self.choices if self.choices else (1 - SPAN) / 2 + SPAN * places
        return parts

    def grid(self) -> FloatArray:
        """The places at which means are computed."""
        return np.arange(self.choices, dtype=np.float64) if self.choices else np.linspace(0, 1, GRID)

    def weights(self, grid: FloatArray, places: FloatArray, width: float) -> FloatArray:
        """(grid, trials) the weight of each trial at each place of the grid."""
        apart = grid[:, None] - places[None, :]
        found: FloatArray = (apart == 0).astype(np.float64) if self.choices else np.exp(-0.5 * (apart / width) ** 2)
        return found


def contour_svg(
    x: Side, y: Side, values: FloatArray, numbers: Sequence[int], *, maximize: bool, description: str
) -> Markup:
    """The figure. values: (trials,) finite. numbers: of the trials. Raises `DataError` without a trial."""
    if not len(values):
        raise DataError("a contour needs a trial.")
    edges = np.unique(np.quantile(values, np.linspace(0, 1, LEVELS + 1)))
    parts = [
        f'<svg class="figure" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(description)}">'
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" '
        'style="fill:none;stroke:var(--grid)"/>'
    ]
    if len(edges) > 1:
        parts += _ground(x, y, values, edges, maximize)
    parts += _axes(x, y)
    bands = bands_of(values.tolist(), maximize=maximize)
    best = int(np.argmax(values if maximize else -values))
    xs, ys = _pixels(x.unit(x.places), y.unit(y.places))
    for i in sorted(range(len(values)), key=lambda i: (i == best, bands[i])):
        px, py = xs[i] + _jitter(numbers[i], x.choices), ys[i] + _jitter(numbers[i] * 7 + 3, y.choices)
        color, size, edge = (BEST, 6.5, "var(--text)") if i == best else (shade(bands[i]), 3.2, "var(--ground)")
        parts.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{size}" style="fill:{color};stroke:{edge}">'
            f"<title>trial {numbers[i]}: {values[i]:.4g}</title></circle>"
        )
    return Markup("".join(parts) + "</svg>")


def _ground(x: Side, y: Side, values: FloatArray, edges: FloatArray, maximize: bool) -> list[str]:
    used = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_USED)).astype(int))
    width = max(0.05, 0.35 * len(used) ** (-1 / 6))
    gx, gy = x.grid(), y.grid()
    wx, wy = x.weights(gx, x.places[used], width), y.weights(gy, y.places[used], width)
    weight = wy @ wx.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight >= FEWEST, (wy * values[used]) @ wx.T / weight, np.nan)
    if not np.isfinite(mean).any():
        return []
    bands = len(edges) - 1
    colors = [shade(band if maximize else bands - 1 - band, bands) for band in range(bands)]
    if x.choices or y.choices:
        return _cells(x, y, gx, gy, mean, edges, colors)
    return _contours(x, y, gx, gy, mean, edges, colors)


def _cells(
    x: Side, y: Side, gx: FloatArray, gy: FloatArray, mean: FloatArray, edges: FloatArray, colors: Sequence[str]
) -> list[str]:
    wide, high = (1 / side.choices if side.choices else SPAN / (GRID - 1) for side in (x, y))
    xs, ys = _pixels(x.unit(gx) - wide / 2, y.unit(gy) + high / 2)
    band = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(colors) - 1)
    w, h = wide * (WIDTH - LEFT - RIGHT) + 0.3, high * (HEIGHT - TOP - BOTTOM) + 0.3
    cells = [
        f'<rect x="{xs[j]:.1f}" y="{ys[i]:.1f}" width="{w:.1f}" height="{h:.1f}" style="fill:{colors[band[i, j]]}"/>'
        for i, j in zip(*np.nonzero(np.isfinite(mean)), strict=True)
    ]
    return ['<g style="opacity:.55">', *cells, "</g>"]


def _contours(
    x: Side, y: Side, gx: FloatArray, gy: FloatArray, mean: FloatArray, edges: FloatArray, colors: Sequence[str]
) -> list[str]:
    from contourpy import FillType, contour_generator

    made = contour_generator(gx, gy, np.ma.masked_invalid(mean), fill_type=FillType.OuterOffset)
    parts = []
    for band, color in enumerate(colors):
        low = -np.inf if band == 0 else edges[band]
        high = np.inf if band == len(colors) - 1 else edges[band + 1]
        drawn = []
        for polygon, starts in zip(*made.filled(low, high)[:2], strict=True):
            if polygon is None or starts is None:
                continue
            px, py = _pixels(x.unit(polygon[:, 0]), y.unit(polygon[:, 1]))
            for a, b in pairwise(starts):
                drawn.append("M" + "L".join(f"{u:.1f} {v:.1f}" for u, v in zip(px[a:b], py[a:b], strict=True)) + "Z")
        if drawn:
            parts.append(
                f'<path style="fill:{color};fill-opacity:.55;stroke:var(--ground);stroke-width:.6;fill-rule:evenodd" '
                f'd="{"".join(drawn)}"/>'
            )
    return parts


def _axes(x: Side, y: Side) -> list[str]:
    base = HEIGHT - BOTTOM
    parts = ['<g class="ticks" text-anchor="middle">']
    for place, text in x.ticks:
        (px,), _ = _pixels(x.unit(np.array([place])), np.zeros(1))
        parts.append(f'<path class="base" d="M{px:.1f} {base}v4"/>')
        parts.append(f'<text x="{px:.1f}" y="{base + 17}">{escape(shortened(text, 14))}</text>')
    parts.append('</g><g class="ticks" text-anchor="end">')
    for place, text in y.ticks:
        _, (py,) = _pixels(np.zeros(1), y.unit(np.array([place])))
        parts.append(f'<text x="{LEFT - 8}" y="{py + 4:.1f}">{escape(shortened(text, 10))}</text>')
    middle = ((LEFT + WIDTH - RIGHT) / 2, (TOP + base) / 2)
    parts.append(
        f'</g><text class="axis" text-anchor="middle" x="{middle[0]:.1f}" y="{HEIGHT - 10}">'
        f"{escape(shortened(x.name, 60))}</text>"
        f'<text class="axis" text-anchor="middle" transform="translate(14 {middle[1]:.1f}) rotate(-90)">'
        f"{escape(shortened(y.name, 40))}</text>"
    )
    return parts


def _pixels(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)


def _jitter(number: int, choices: int) -> float:
    """An offset that separates trials of the same choice, by the golden ratio; 0 on a range."""
    return ((number * 0.618034 + 0.5) % 1 - 0.5) * 26 if choices else 0.0
