"""Values over steps, in panels: single runs, means over runs with intervals, and measurements with error bars.

A line may have its raw values behind it (thin), an interval around it (shaded), and points with error bars on it. A
series has the same style in all panels. A line connects the known values and does not show what lies between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.render.axis import room
from daf.render.figures.frame import WIDTH, LegendEntries, figure_of, grid_of, head, large_numbers, nothing, stroke
from daf.render.text import shortened
from daf.render.theme import MATPLOTLIB_DASHES, SeriesStyle, ground, styles, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = 8
"""Approximate number of markers on a line; a marker on each of 1,000 values would be a smear."""

FEW = 12
"""Up to this many values are all marked, even if the figure has only one line."""


@dataclass(frozen=True)
class Curve:
    """One series in one panel. x: ascending. y: same length. raw: behind the line, same length. low, high: interval at
    each x.

    points: (x, y, interval or None), individual measurements that are not part of the line. dots: (x, y), single
    observations behind the line; those beyond their 1 % and 99 % quantiles may be cut.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    raw: Sequence[float] | None = None
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    points: Sequence[tuple[float, float, tuple[float, float] | None]] = ()
    dots: Sequence[Sequence[float]] | NDArray[np.float64] = ()


@dataclass(frozen=True)
class CurvePanel:
    """One plot. y_label: with the unit. empty: the message if no curve has a value. limits: of the y axis; what lies
    beyond them may be cut. steps: draw lines as staircases. zero: mark 0 on the y axis.
    """

    title: str
    y_label: str
    curves: Sequence[Curve] = field(default_factory=tuple)
    empty: str = "no values"
    limits: tuple[float, float] | None = None
    steps: bool = False
    zero: bool = False


def curves_figure(
    panels: Sequence[CurvePanel],
    *,
    x_label: str,
    title: str,
    caption: str,
    names: Sequence[str] | None = None,
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The panels, with one legend. names: the series in order, which determines their styles (default: as they occur).

    size: in inches. Raises `DataError` without a panel.
    """
    if not panels:
        raise DataError("there is nothing to draw: no values were recorded.")
    known = list(dict.fromkeys(names or [curve.name for panel in panels for curve in panel.curves]))
    series_styles = styles(known)
    rows, columns = grid_of(len(panels), 2 if len(panels) <= 6 else 3)
    width, height = size or (WIDTH, (4.9 if rows == 1 and columns == 1 else 2.75 * rows + 0.9))
    with themed(dark=dark):
        figure = figure_of(width, height)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for position, axes in enumerate(grid.flat):
            if position >= len(panels):
                axes.remove()
                continue
            draw_panel(axes, panels[position], series_styles, ticks=7 if columns < 3 else 5, dark=dark)
            last = position + columns >= len(panels)
            axes.tick_params(labelbottom=last)
            if last:
                axes.set_xlabel(x_label)
        head(figure, title, caption, width=width, dark=dark, series=LegendEntries(known, series_styles, lines=True))
    return figure


def draw_panel(
    axes: "Axes", panel: CurvePanel, series_styles: Mapping[str, SeriesStyle], *, ticks: int = 7, dark: bool
) -> None:
    """Draw one panel on `axes`."""
    axes.set_title(shortened(panel.title, 52 if ticks > 5 else 30))
    shown = [curve for curve in panel.curves if len(curve.x) or curve.points]
    if not shown:
        nothing(axes, panel.empty, dark=dark)
        return
    if panel.zero:
        axes.axhline(0, color=ground(dark=dark).muted, linewidth=1, zorder=1.4)
    for curve in shown:
        _draw(axes, curve, series_styles[curve.name], panel, crowd=len(shown), dark=dark)
    axes.set_ylabel(panel.y_label)
    limits = panel.limits or _limits(shown)
    if limits is not None:
        axes.set_ylim(*limits)
    large_numbers(axes, most=ticks)
    axes.margins(x=0.02)


def _limits(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Room for lines, bands and nearly all dots: single outliers must not flatten the curve. None without dots."""
    dots = np.concatenate([np.asarray(curve.dots, dtype=float).reshape(-1, 2)[:, 1] for curve in curves])
    if not len(dots):
        return None
    drawn = [value for curve in curves for line in (curve.y, curve.low or (), curve.high or ()) for value in line]
    low, high = np.quantile(dots, [0.01, 0.99])
    return room(min([low, *drawn]), max([high, *drawn]))


def _draw(axes: "Axes", curve: Curve, series_style: SeriesStyle, panel: CurvePanel, *, crowd: int, dark: bool) -> None:
    style: dict[str, Any] = stroke(series_style, dark=dark)
    color = style["color"]
    if len(curve.dots):
        axes.plot(
            *zip(*curve.dots, strict=True),
            ".",
            markersize=1.6,
            markeredgewidth=0,
            alpha=0.25,
            color=color,
            rasterized=True,
            zorder=1.5,
        )
    if len(curve.x):
        if curve.raw is not None:
            axes.plot(curve.x, curve.raw, color=color, linewidth=0.8, alpha=0.35, zorder=1.8)
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.18, linewidth=0, zorder=1.6)
        marks = crowd > 1 or len(curve.x) <= FEW
        axes.plot(
            curve.x,
            curve.y,
            linestyle=MATPLOTLIB_DASHES[series_style.dash],
            markevery=_marks(len(curve.x), series_style.slot),
            drawstyle="steps-post" if panel.steps else "default",
            **(style if marks else {"color": color}),
        )
    for x, y, bounds in curve.points:
        if bounds is not None:
            axes.vlines(x, *bounds, color=color, linewidth=2.2, alpha=0.75, zorder=2.4)
        axes.plot([x], [y], linestyle="none", markersize=7, zorder=2.5, **style)


def _marks(count: int, slot: int) -> Any:
    """Positions of the markers on a line, offset from those of other series."""
    if count <= FEW:
        return None
    apart = count // MARKS
    return (slot * apart // 5 % apart, apart)
