"""Means with their intervals as inline SVG: one row per series, on one axis, optionally with the single episodes.

The figure takes its colours from the page's CSS (`.s0` … set `color`), so that it follows light and dark mode, and its
text is real text: it can be searched, copied and read aloud. It is honest about degenerate data: no interval if none is
known, a single value in the middle of its axis, an empty row for a series without values, an arrow on an interval so
wide that the data would shrink to a dot.

It is drawn twice: with labels at the left, and for narrow screens with labels above their rows. The page shows one of
the two (`report.css`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.axis import Axis, axis_for, marker
from daf.render.text import shortened
from daf.render.theme import SeriesStyle
from daf.stats.sentences import number

WIDTH = 760
NARROW = 360
RIGHT = 18
TOP = 10
BELOW = 46
CHARACTER = 7.3
"""Approximate width of a character of the labels; labels longer than `LONGEST` lose their middle."""
STRIP = 9
"""Distance from the middle of a row to its interval above, and to its points below."""
ABOVE = 20
"""Height of a label above its row."""
MOST_LINKS = 40
MOST_LINKED_ROWS = 8
"""Above this many blocks or rows, lines between them would hide what they should show."""


@dataclass(frozen=True)
class IntervalRow:
    """One series. mean, ci, iqm: `None` if not known. points: individual values by the block they belong to."""

    label: str
    style: SeriesStyle
    mean: float | None
    ci: tuple[float, float] | None = None
    iqm: float | None = None
    points: Mapping[int, float] = field(default_factory=dict)


def interval_figure(rows: Sequence[IntervalRow], *, axis_title: str, description: str, zero: bool = False) -> Markup:
    """The SVG of `rows`, top to bottom in the order given. zero: include 0 in the axis.

    description: of the figure, for screen readers. Raises `DataError` without a row or for a value that is not finite.
    """
    if not rows:
        raise DataError("an interval figure needs a row.")
    framed = [*_framed(rows), *([0.0] if zero else [])]
    gutter = 26 + CHARACTER * max(len(shortened(row.label)) for row in rows)
    wide = axis_for(framed, left=gutter, right=WIDTH - RIGHT)
    narrow = axis_for(framed, left=RIGHT, right=NARROW - RIGHT, ticks=4)
    return Markup(
        _drawn(rows, wide, axis_title, f'class="figure wide" aria-label="{escape(description)}"', above=0)
        + _drawn(rows, narrow, axis_title, f'class="figure narrow" aria-label="{escape(description)}"', above=ABOVE)
    )


def _drawn(rows: Sequence[IntervalRow], axis: Axis, title: str, attributes: str, *, above: int) -> str:
    """One of the two drawings. above: room for a label above its row; with 0, labels are at the left."""
    with_points = any(row.points for row in rows)
    pitch = above + (42 if with_points else 30)
    bottom = TOP + pitch * len(rows)
    middles = [TOP + above + (pitch - above) / 2 + pitch * position for position in range(len(rows))]
    places = [_places(row, axis, middle) for row, middle in zip(rows, middles, strict=True)]
    parts = [
        f'<svg {attributes} role="img" viewBox="0 0 {axis.right + RIGHT:.0f} {bottom + BELOW}">',
        *_grid(axis, bottom, title),
        *_links(rows, places),
    ]
    for position, (row, middle, dots) in enumerate(zip(rows, middles, places, strict=True)):
        label = middle if above == 0 else TOP + pitch * position + above * 0.6
        parts += _row(row, middle - STRIP if with_points else middle, label, dots, axis)
    return "".join(parts) + "</svg>"


def linked(rows: Sequence[IntervalRow]) -> bool:
    """Whether lines join the values of the same block."""
    return 2 <= len(rows) <= MOST_LINKED_ROWS and max(len(row.points) for row in rows) <= MOST_LINKS


def cut_intervals(rows: Sequence[IntervalRow]) -> int:
    """Number of intervals that extend beyond the figure, marked with an arrow at its edge."""
    axis = axis_for(_framed(rows), left=0, right=WIDTH)
    return sum(row.ci is not None and (row.ci[0] < axis.low or row.ci[1] > axis.high) for row in rows)


def _framed(rows: Sequence[IntervalRow]) -> list[float]:
    """What the axis must contain: all values, and as much of the intervals as leaves room for the values."""
    low, high = _reach(rows)
    ends = [end for row in rows for end in row.ci or ()]
    return [*_values(rows), *(min(max(end, low), high) for end in ends)]


def _reach(rows: Sequence[IntervalRow]) -> tuple[float, float]:
    """Where intervals are cut: beyond the values by their range on either side; nowhere in a figure without points."""
    values = _values(rows)
    if not any(row.points for row in rows) or min(values) == max(values):
        return -math.inf, math.inf
    span = max(values) - min(values)
    return min(values) - span, max(values) + span


def _values(rows: Sequence[IntervalRow]) -> list[float]:
    values: list[float] = []
    for row in rows:
        values += [value for value in (row.mean, row.iqm) if value is not None]
        values += row.points.values()
    return values


def _grid(axis: Axis, bottom: float, title: str) -> list[str]:
    step = axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else 0.0
    parts = ['<g class="grid">']
    for tick in axis.ticks:
        kind = ' class="zero"' if tick == 0 else ""
        parts.append(f'<path{kind} d="M{axis.at(tick):.1f} {TOP}V{bottom}"/>')
    parts.append(
        f'<path class="base" d="M{axis.left:.1f} {bottom}H{axis.right:.1f}"/></g><g class="ticks" text-anchor="middle">'
    )
    parts += [f'<text x="{axis.at(tick):.1f}" y="{bottom + 17}">{number(tick, step)}</text>' for tick in axis.ticks]
    middle = (axis.left + axis.right) / 2
    parts.append(
        f'</g><text class="axis" text-anchor="middle" x="{middle:.1f}" y="{bottom + 38}">{escape(title)}</text>'
    )
    return parts


def _places(row: IntervalRow, axis: Axis, middle: float) -> dict[int, tuple[float, float]]:
    """Positions of a row's points: below its interval, spread by the golden ratio so that close values stay apart."""
    spread = STRIP if len(row.points) > 1 else 0.0
    return {
        block: (axis.at(value), middle + STRIP + ((block * 0.618034 + 0.5) % 1 - 0.5) * spread)
        for block, value in row.points.items()
    }


def _links(rows: Sequence[IntervalRow], places: Sequence[Mapping[int, tuple[float, float]]]) -> list[str]:
    if not linked(rows):
        return []
    lines = []
    for upper, lower in pairwise(places):
        for block in sorted(upper.keys() & lower.keys()):
            (x1, y1), (x2, y2) = upper[block], lower[block]
            lines.append(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
    return [f'<path class="links" d="{"".join(lines)}"/>'] if lines else []


def _row(
    row: IntervalRow, middle: float, center: float, dots: Mapping[int, tuple[float, float]], axis: Axis
) -> list[str]:
    """middle: the y coordinate of the interval; center: that of the label."""
    label = shortened(row.label)
    parts = [
        f'<g class="s{row.style.slot}">{marker(row.style, 8, center, 4.5)}'
        f'<text class="label" x="20" y="{center + 4.5:.1f}">{escape(label)}'
    ]
    if label != row.label:
        parts.append(f"<title>{escape(row.label)}</title>")
    parts.append("</text>")
    if dots:
        drawn = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in dots.values())
        parts.append(f'<path class="dots" d="{drawn}"/>')
    if row.ci is not None:
        low, high = (axis.at(min(max(end, axis.low), axis.high)) for end in row.ci)
        parts.append(f'<path class="interval" d="M{low:.1f} {middle:.1f}H{high:.1f}"/>')
        ends = (
            "l6 -5m-6 5l6 5" if row.ci[0] < axis.low else "m0 -5v10",
            "l-6 -5m6 5l-6 5" if row.ci[1] > axis.high else "m0 -5v10",
        )
        parts.append(f'<path class="ends" d="M{low:.1f} {middle:.1f}{ends[0]}M{high:.1f} {middle:.1f}{ends[1]}"/>')
    if row.iqm is not None:
        parts.append(f'<path class="iqm" d="M{axis.at(row.iqm):.1f} {middle - 9:.1f}v18"/>')
    if row.mean is not None:
        parts.append(f'<g class="mean">{marker(row.style, axis.at(row.mean), middle)}')
        half = (row.ci[1] - row.ci[0]) / 2 if row.ci else 0.0
        text = number(row.mean, half)
        if row.ci is not None:
            text += f" [{number(row.ci[0], half)}, {number(row.ci[1], half)}]"
        parts.append(f"<title>{escape(row.label)}: {text}</title></g>")
    return [*parts, "</g>"]
