"""Where the agents went as inline SVG: all maps on one canvas, with the exact counts for the pointer.

Colours are logarithmic, and a cell in no record shows the ground of its map. The counts travel with the figure as an
image (24 bits of a number per pixel and plane), which compresses far better than text. If the maps have more than
`MOST_CELLS` cells together, squares of cells are added up; `tile` is their side, and the caption must state it.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from daf.render.axis import axis_for
from daf.render.logs.data import Canvas, FloatArray, fitting, grid, tiled

if TYPE_CHECKING:
    import pandas as pd

WIDTH, LEFT, TOP, BAR = 1020, 46, 22, 52
TALLEST = 640
LARGEST_CELL = 24.0
MOST_CELLS = 250_000
MAPS_OFFERED = 40
SHADES = 200
DARKEST = 0.12
"""Where the colour scale starts, so that a single visit stands out from a dark ground."""


@dataclass(frozen=True)
class VisitFigure:
    """svg: the figure, with its menu. tile: side of a drawn cell in tiles. maps: number of maps on it."""

    svg: Markup
    tile: int
    maps: int


def visit_figures(visits: "Sequence[pd.DataFrame]", descriptions: Sequence[str]) -> list[VisitFigure]:
    """A figure for each table of `visits` (map, x, y, visits), all on one canvas and one colour scale; none without
    a visit.

    descriptions: of the figures, for screen readers.
    """
    import pandas as pd

    together = pd.concat(visits)
    if not len(together):
        return []
    tile, canvas = fitting(together, MOST_CELLS)
    counts = [grid(tiled(one, tile), canvas) for one in visits]
    most = max(float(count.max()) for count in counts)
    ranked = together.groupby("map")["visits"].sum().sort_values(ascending=False, kind="stable")
    offered = [int(m) for m in ranked.index[:MAPS_OFFERED]]
    return [
        VisitFigure(_svg(count, canvas, tile, most, offered, description), tile, len(canvas.places))
        for count, description in zip(counts, descriptions, strict=True)
    ]


def _svg(
    counts: FloatArray, canvas: Canvas, tile: int, most: float, offered: Sequence[int], description: str
) -> Markup:
    scale = min((WIDTH - LEFT - 8) / canvas.width, TALLEST / canvas.height, LARGEST_CELL)
    wide, high = canvas.width * scale, canvas.height * scale
    alone = len(canvas.places) == 1
    bottom = TOP + high + 24
    maps = [[m, *place, *(tile * start for start in canvas.origins[m])] for m, place in canvas.places.items()]
    data = json.dumps({"maps": maps, "tile": tile}, separators=(",", ":"))
    parts = [
        f'<svg class="figure visits" role="img" tabindex="0" viewBox="0 0 {WIDTH} {bottom + BAR:.0f}" '
        f'aria-label="{escape(description)}" data-visits="{escape(data)}" data-counts="{_png_of_counts(counts)}">'
        f'<svg class="plane" x="{LEFT}" y="{TOP}" width="{wide:.1f}" height="{high:.1f}" '
        f'viewBox="0 0 {canvas.width} {canvas.height}" preserveAspectRatio="xMinYMin meet">'
    ]
    parts += [
        f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}"/>'
        for left, top, width, height in canvas.places.values()
    ]
    parts.append(
        f'<image width="{canvas.width}" height="{canvas.height}" preserveAspectRatio="none" '
        f'href="{_png_of_colors(counts, most)}"/></svg>'
    )
    parts.append(f'<g class="scale ticks">{_ticks(canvas, tile, scale) if alone else ""}</g>')
    if not alone:
        named = [
            f'<text x="{LEFT + left * scale:.1f}" y="{TOP + top * scale - 3:.1f}">'
            f"{'map ' if width * scale > 60 else ''}{m}</text>"
            for m, (left, top, width, _) in canvas.places.items()
            if width * scale > 7 * len(str(m))
        ]
        parts.append(f'<g class="names ticks">{"".join(named)}</g>')
    parts += [_color_bar(most, bottom + 8), "</svg>"]
    menu = "" if alone else _menu(len(canvas.places), offered)
    return Markup(menu + "".join(parts))


def _menu(count: int, offered: Sequence[int]) -> str:
    options = "".join(f'<option value="{m}">map {m}</option>' for m in offered)
    choice = f'<select><option value="">all {count} maps</option>{options}</select>'
    return f'<label class="choose" hidden>Show {choice}</label>'


def _ticks(canvas: Canvas, tile: int, scale: float) -> str:
    """The coordinates along a single map, in tiles."""
    [(_, _, width, height)] = canvas.places.values()
    [(x0, y0)] = canvas.origins.values()
    parts = []
    for x in _whole_ticks(x0 * tile, width * tile, width * scale):
        at = LEFT + (x - x0 * tile + 0.5) / tile * scale
        parts.append(f'<text text-anchor="middle" x="{at:.1f}" y="{TOP + height * scale + 16:.1f}">{x:,}</text>')
    for y in _whole_ticks(y0 * tile, height * tile, height * scale):
        at = TOP + (y - y0 * tile + 0.5) / tile * scale
        parts.append(f'<text text-anchor="end" x="{LEFT - 6}" y="{at + 4:.1f}">{y:,}</text>')
    return "".join(parts)


def _whole_ticks(first: int, size: int, pixels: float) -> list[int]:
    axis = axis_for([first, first + size - 1], left=0, right=1, ticks=max(1, min(8, round(pixels / 60))))
    return [int(tick) for tick in axis.ticks if tick.is_integer() and first <= tick <= first + size - 1]


def _color_bar(most: float, top: float) -> str:
    """The colours from one visit to the highest count, with round counts below."""
    width, steps = 260.0, 52
    colors = _viridis(steps)
    parts = ['<g class="color-bar">']
    parts += [
        f'<rect x="{LEFT + i * width / steps:.1f}" y="{top:.1f}" width="{width / steps + 0.4:.1f}" height="9" '
        f'fill="rgb({red},{green},{blue})"/>'
        for i, (red, green, blue) in enumerate(colors)
    ]
    parts.append('</g><g class="ticks" text-anchor="middle">')
    last = max(most, 2.0)
    ticks = [10**power for power in range(16) if 10**power * 1.6 < last] + [int(last)]
    for tick in ticks:
        at = LEFT + width * np.log(tick) / np.log(last)
        parts.append(f'<text x="{at:.1f}" y="{top + 29:.1f}">{tick:,}</text>')
    parts.append(f'</g><text class="axis" x="{LEFT + width + 28:.0f}" y="{top + 9:.1f}">visits, log scale</text>')
    return "".join(parts)


def _png_of_colors(counts: FloatArray, most: float) -> str:
    from PIL import Image

    with np.errstate(divide="ignore"):
        share = np.log(counts) / np.log(max(most, 2.0))
    shades = np.where(counts > 0, 1 + np.round(np.maximum(share, 0.0) * (SHADES - 1)), 0).astype(np.uint8)
    image = Image.fromarray(shades)
    image.putpalette([0, 0, 0, *(part for color in _viridis(SHADES) for part in color)])
    return _data_url(image, transparency=0)


def _png_of_counts(counts: FloatArray) -> str:
    from PIL import Image

    whole = counts.astype(np.uint64)
    planes = [whole]
    while (planes[-1] >> np.uint64(24)).any():
        planes.append(planes[-1] >> np.uint64(24))
    stacked: NDArray[np.uint64] = np.concatenate(planes)
    channels = [(stacked >> np.uint64(shift)).astype(np.uint8) for shift in (16, 8, 0)]
    return _data_url(Image.fromarray(np.stack(channels, axis=-1)))


def _data_url(image: object, **options: int) -> str:
    data = io.BytesIO()
    image.save(data, format="PNG", optimize=True, **options)  # type: ignore[attr-defined]
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _viridis(count: int) -> list[tuple[int, int, int]]:
    import matplotlib as mpl

    colors = np.round(mpl.colormaps["viridis"](np.linspace(DARKEST, 1.0, count))[:, :3] * 255).astype(int)
    return [(int(red), int(green), int(blue)) for red, green, blue in colors]
