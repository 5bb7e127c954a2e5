"""Several plots and a table of facts on one sheet of a fixed size.

The cells are built from the same parts as the single figures, so a sheet and the figures of the same data agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daf.errors import DataError
from daf.render.figures.curves import CurvePanel, draw_panel
from daf.render.figures.frame import LegendEntries, figure_of, grid_of, head
from daf.render.figures.means import MeansPanel, draw_means
from daf.render.figures.spread import SpreadPanel, draw_spread
from daf.render.figures.trials import Search, draw_history, draw_slice
from daf.render.text import shortened
from daf.render.theme import ground, styles, themed
from daf.stats.sentences import labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (12.0, 8.0)
"""Size in inches: 1,800 × 1,200 pixels at 150 DPI."""
MOST_FACTS = 12


@dataclass(frozen=True)
class Facts:
    """A table of names and values."""

    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class HistoryPanel:
    """The values of a search by trial."""

    search: Search


@dataclass(frozen=True)
class SlicePanel:
    """The values of a search over one setting."""

    search: Search
    name: str


Cell = CurvePanel | MeansPanel | SpreadPanel | Facts | HistoryPanel | SlicePanel


def dashboard_figure(
    cells: Sequence[Cell],
    names: Sequence[str],
    *,
    title: str,
    caption: str,
    x_label: str = "",
    lines: bool = True,
    size: tuple[float, float] = SIZE,
    dark: bool = False,
) -> "Figure":
    """The cells, row by row, up to three per row. names: the series, which determines their styles.

    x_label: of the panels with curves. lines: whether most series are lines. Raises `DataError` without a cell.
    """
    if not cells:
        raise DataError("there is nothing to put on the sheet.")
    series_styles = styles(names)
    rows, columns = grid_of(len(cells))
    with themed(dark=dark):
        figure = figure_of(*size)
        for axes, cell in zip(figure.subplots(rows, columns, squeeze=False).flat, [*cells, None, None], strict=False):
            match cell:
                case None:
                    axes.remove()
                case CurvePanel():
                    draw_panel(axes, cell, series_styles, ticks=5, dark=dark)
                    axes.set_xlabel(x_label)
                case MeansPanel():
                    draw_means(axes, cell, series_styles, wide=False, dark=dark)
                case SpreadPanel():
                    draw_spread(axes, cell, series_styles, wide=columns < 3, dark=dark)
                case HistoryPanel():
                    draw_history(axes, cell.search, columns=2, dark=dark)
                case SlicePanel():
                    setting = next(one for one in cell.search.settings() if one.name == cell.name)
                    draw_slice(axes, cell.search, setting, label=True, dark=dark)
                case Facts():
                    _table(axes, cell, dark=dark)
        head(figure, title, caption, width=size[0], dark=dark, series=LegendEntries(names, series_styles, lines))
    return figure


def _table(axes: "Axes", facts: Facts, *, dark: bool) -> None:
    around = ground(dark=dark)
    axes.set_title(shortened(facts.title, 40))
    axes.set_axis_off()
    shown = facts.rows[:MOST_FACTS]
    for place, (name, value) in enumerate(shown):
        y = 1 - (place + 0.6) / max(MOST_FACTS * 0.75, len(shown))
        printable = labels([name])[0], labels([value])[0] if value else "–"
        axes.text(0.0, y, shortened(printable[0], 20), transform=axes.transAxes, fontsize=9, color=around.muted)
        axes.text(0.46, y, shortened(printable[1], 26), transform=axes.transAxes, fontsize=9)
