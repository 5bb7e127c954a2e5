"""Distributions of values: every value as a dot, quartiles as a box, the mean with its interval as a diamond.

Nothing is smoothed or binned: a density of 8 episodes would show a shape that nobody measured. Equal values share a
single position; a single value has neither box nor interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daf.errors import DataError
from daf.render.figures.frame import WIDTH, figure_of, grid_of, head, nothing, stroke
from daf.render.figures.means import MOST_DOTS
from daf.render.text import shortened
from daf.render.theme import SeriesStyle, ground, styles, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Spread:
    """One row. name: the series, which determines its style. values: at least one. ci: of their mean, if known.

    note: shown after the name, such as "2 failed".
    """

    name: str
    values: Sequence[float]
    ci: tuple[float, float] | None
    note: str = ""


@dataclass(frozen=True)
class SpreadPanel:
    """One plot."""

    title: str
    unit: str
    rows: Sequence[Spread]
    empty: str = "no episode finished"


def spread_figure(
    panels: Sequence[SpreadPanel],
    names: Sequence[str],
    *,
    title: str,
    caption: str,
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The panels. names: the series in order. Raises `DataError` without a panel."""
    if not panels:
        raise DataError("there is nothing to draw: no values were given.")
    series_styles = styles(names)
    rows, columns = grid_of(len(panels), 2)
    most = max([len(panel.rows) for panel in panels])
    width, height = size or (WIDTH, min(60.0, rows * max(1.7, 0.5 * most + 1.0) + 0.9))
    with themed(dark=dark):
        figure = figure_of(width, height)
        for position, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if position < len(panels):
                draw_spread(axes, panels[position], series_styles, dark=dark)
            else:
                axes.remove()
        head(figure, title, caption, width=width, dark=dark)
    return figure


def draw_spread(
    axes: "Axes", panel: SpreadPanel, series_styles: dict[str, SeriesStyle], *, wide: bool = True, dark: bool
) -> None:
    """Draw one panel on `axes`. wide: whether there is room for many ticks."""
    axes.set_title(shortened(panel.title, 52 if wide else 30), fontsize=11 if wide else 9.5)
    if not any(len(row.values) for row in panel.rows):
        nothing(axes, panel.empty, dark=dark)
        return
    axes.use_sticky_edges = False
    for y, row in enumerate(panel.rows):
        if len(row.values):
            _row(axes, y, row, series_styles[row.name], dark=dark)
    labels = [
        f"{shortened(row.name, 26)}\nn = {len(row.values):,}{', ' if row.note else ''}{row.note}" for row in panel.rows
    ]
    axes.set_yticks(range(len(panel.rows)), labels)
    axes.set_ylim(len(panel.rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(panel.unit)
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=6 if wide else 4)


def _row(axes: "Axes", y: float, row: Spread, series_style: SeriesStyle, *, dark: bool) -> None:
    style, around = stroke(series_style, dark=dark), ground(dark=dark)
    sample = np.asarray(row.values, dtype=np.float64)
    shown = sample[np.linspace(0, len(sample) - 1, min(len(sample), MOST_DOTS)).astype(int)]
    heights = y + ((np.arange(len(shown)) * 0.618034 + 0.5) % 1 - 0.5) * 0.56
    axes.plot(
        shown,
        heights,
        linestyle="none",
        marker=style["marker"],
        color=style["color"],
        alpha=max(0.15, min(0.6, 25 / len(shown))),
        markersize=4,
        markeredgewidth=0,
    )
    if len(sample) > 3:
        low, middle, high = np.quantile(sample, [0.25, 0.5, 0.75])
        box = axes.barh(y, high - low, left=low, height=0.62, facecolor="none", edgecolor=style["color"], linewidth=1.2)
        box.patches[0].set_gid("quartiles")
        axes.vlines(middle, y - 0.31, y + 0.31, color=style["color"], linewidth=1.6)
    if row.ci is not None:
        axes.hlines(y, *row.ci, color=around.text, linewidth=1.8, zorder=3)
    axes.plot(
        [sample.mean()], [y], linestyle="none", marker="D", markersize=6.5, zorder=3.1,
        color=around.background, markeredgecolor=around.text, markeredgewidth=1.6,
    )  # fmt: skip
