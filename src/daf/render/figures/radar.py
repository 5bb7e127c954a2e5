"""Profiles of policies over several metrics, as a radar.

Every spoke has its own scale, from its smallest value (or 0) at the centre to its largest at the rim; the labels give
both. The area has no meaning and depends on the order of the spokes: only the positions on the spokes are data.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daf.errors import DataError, UsageError
from daf.render.figures.frame import WIDTH, LegendEntries, figure_of, head, stroke
from daf.render.figures.means import Estimate
from daf.render.text import shortened
from daf.render.theme import MATPLOTLIB_DASHES, ground, styles, themed
from daf.stats.sentences import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST, MOST = 3, 12


@dataclass(frozen=True)
class Spoke:
    """One metric. cells: an estimate for each series."""

    label: str
    cells: Mapping[str, Estimate]

    @property
    def bounds(self) -> tuple[float, float]:
        """The values at the centre (0, unless values are negative) and at the rim (the largest interval end)."""
        ends = [end for cell in self.cells.values() for end in (cell.mean, *(cell.ci or ()))]
        low, high = min(0.0, *ends), max(0.0, *ends)
        return (low, high) if high > low else (0.0, 1.0)


def radar_figure(
    spokes: Sequence[Spoke], names: Sequence[str], *, title: str, caption: str, dark: bool = False
) -> "Figure":
    """The radar. Raises `UsageError` for fewer than `FEWEST` or more than `MOST` metrics, `DataError` for gaps."""
    if not FEWEST <= len(spokes) <= MOST:
        raise UsageError(f"a radar takes {FEWEST} to {MOST} metrics, and there are {len(spokes)}.")
    for spoke in spokes:
        missing = [name for name in names if name not in spoke.cells]
        if missing:
            raise DataError(f"{missing[0]} has no {spoke.label}, so that its profile cannot be closed.")
    series_styles = styles(names)
    angles = [2 * math.pi * place / len(spokes) for place in range(len(spokes))]
    height = 7.6
    with themed(dark=dark):
        figure = figure_of(WIDTH, height)
        axes: Any = figure.add_subplot(projection="polar")
        axes.set_theta_offset(math.pi / 2)
        axes.set_theta_direction(-1)
        for place, name in enumerate(names):
            style = stroke(series_styles[name], dark=dark)
            turned = [angle + 0.018 * (place - (len(names) - 1) / 2) for angle in angles]
            radii = [_at(spoke.cells[name].mean, spoke) for spoke in spokes]
            closed = ([*turned, turned[0]], [*radii, radii[0]])
            axes.plot(
                *closed, linestyle=MATPLOTLIB_DASHES[series_styles[name].dash], label=name, clip_on=False, **style
            )
            for angle, spoke in zip(turned, spokes, strict=True):
                bounds = spoke.cells[name].ci
                if bounds is not None:
                    ends = [_at(bound, spoke) for bound in bounds]
                    axes.plot([angle, angle], ends, color=style["color"], linewidth=2.2, alpha=0.7)
        axes.set_ylim(0, 1.0)
        axes.set_yticks([0.25, 0.5, 0.75, 1.0], [])
        axes.set_xticks(angles, [_label(spoke) for spoke in spokes])
        axes.tick_params(axis="x", pad=6, labelsize=8.5, labelcolor=ground(dark=dark).text)
        for angle, label in zip(angles, axes.get_xticklabels(), strict=True):
            side, up = math.sin(angle), math.cos(angle)
            label.set_horizontalalignment("center" if abs(side) < 0.15 else "left" if side > 0 else "right")
            label.set_verticalalignment("center" if abs(up) < 0.7 else "bottom" if up > 0 else "top")
        axes.spines["polar"].set_color(ground(dark=dark).grid)
        head(figure, title, caption, width=WIDTH, dark=dark, series=LegendEntries(names, series_styles, lines=True))
    return figure


def _at(value: float, spoke: Spoke) -> float:
    low, high = spoke.bounds
    return (value - low) / (high - low)


def _label(spoke: Spoke) -> str:
    """The name, wrapped at its dots and underscores, and the scale."""
    low, high = spoke.bounds
    lines = [""]
    for part in re.findall(r"[^._ ]*[._ ]?", shortened(spoke.label, 48)):
        if len(lines[-1]) + len(part) > 20:
            lines.append("")
        lines[-1] += part
    return "\n".join([*(line for line in lines if line), f"{number(low)} to {number(high)}"])
