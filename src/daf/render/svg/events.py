"""When events first happen, by policy, as inline SVG.

Colours and markers are the policies'. An event that never happened has a note instead of a mark. It is drawn twice:
with labels at the left, and for narrow screens with labels above their rows; the page shows one of the two
(`report.css`).
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from daf.render.axis import Axis, axis_for, marker
from daf.render.svg.intervals import ABOVE, CHARACTER, NARROW, RIGHT, TOP, WIDTH
from daf.render.text import shortened
from daf.render.theme import SeriesStyle
from daf.stats.sentences import number

Events = Mapping[str, Sequence[tuple[str, float | None, tuple[float, float] | None, str]]]
LINE = 17
COUNT = 62
"""Width of the column of counts at the right."""
GAP = 12
BELOW = 46


def events_figure(
    rows: Events,
    look: Mapping[str, SeriesStyle],
    *,
    steps: int,
) -> Markup:
    """Per event and policy (name, median, quartiles, "3 of 4"): when it first happened on an axis from 0 to `steps`."""
    gutter = 12 + CHARACTER * max([len(shortened(event)) for event in rows], default=8)
    wide = axis_for([0.0, float(steps)], left=gutter, right=WIDTH - RIGHT - COUNT)
    narrow = axis_for([0.0, float(steps)], left=RIGHT, right=NARROW - RIGHT - COUNT, ticks=4)
    return Markup(
        _drawn(rows, look, wide, 'class="figure wide"', above=0)
        + _drawn(rows, look, narrow, 'class="figure narrow"', above=ABOVE)
    )


def _drawn(rows: Events, look: Mapping[str, SeriesStyle], axis: Axis, attributes: str, *, above: int) -> str:
    """One of the two drawings. above: room for a label above its rows; with 0, labels are at the left."""
    width = axis.right + COUNT + RIGHT
    lines = sum(len(policies) for policies in rows.values())
    bottom = TOP + LINE * lines + (GAP + above) * len(rows)
    parts = [
        f'<svg {attributes} role="img" viewBox="0 0 {width:.0f} {bottom + BELOW}" '
        f'aria-label="Step at which each event first happens, by policy">',
        *_grid(axis, TOP, bottom, "step at which it first happens"),
    ]
    at = float(TOP)
    for event, policies in rows.items():
        middle = at + (above * 0.6 if above else LINE * len(policies) / 2 + GAP / 2)
        parts.append(f'<text x="4" y="{middle + 4.5:.1f}">{escape(shortened(event))}</text>')
        at += above
        for place, (policy, median, quartiles, text) in enumerate(policies):
            y = at + GAP / 2 + LINE * (place + 0.5)
            parts.append(f'<g class="s{look[policy].slot}">')
            if quartiles is not None:
                parts.append(
                    f'<path class="interval" d="M{axis.at(quartiles[0]):.1f} {y:.1f}H{axis.at(quartiles[1]):.1f}"/>'
                )
            if median is not None:
                parts.append(f'<g class="mean">{marker(look[policy], axis.at(median), y, 4.5)}')
                parts.append(f"<title>{escape(policy)}: {escape(event)}, median step {number(median)}</title></g>")
            corner = f'x="{width - RIGHT:.0f}" y="{y + 4:.1f}"'
            parts.append(f'<text class="small" {corner} text-anchor="end">{escape(text)}</text></g>')
        at += LINE * len(policies) + GAP
    return "".join(parts) + "</svg>"


def _grid(axis: Axis, top: float, bottom: float, title: str) -> list[str]:
    step = axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else 0.0
    parts = ['<g class="grid">']
    parts += [f'<path d="M{axis.at(tick):.1f} {top}V{bottom:.1f}"/>' for tick in axis.ticks]
    parts.append(f'<path class="base" d="M{axis.left:.1f} {bottom:.1f}H{axis.right:.1f}"/></g>')
    parts.append('<g class="ticks" text-anchor="middle">')
    parts += [f'<text x="{axis.at(tick):.1f}" y="{bottom + 17:.1f}">{number(tick, step)}</text>' for tick in axis.ticks]
    middle = (axis.left + axis.right) / 2
    parts.append(
        f'</g><text class="axis" text-anchor="middle" x="{middle:.1f}" y="{bottom + 38:.1f}">{escape(title)}</text>'
    )
    return parts
