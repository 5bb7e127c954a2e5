"""Means with intervals: a row per group, in it one mark per series, and the individual values behind them.

Positions show the value; colour and marker show the series. A mean without an interval (one value only) is drawn
hollow, and a note marks each series that has no values in a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daf.errors import DataError
from daf.render.figures.frame import WIDTH, LegendEntries, figure_of, grid_of, head, nothing, stroke
from daf.render.text import shortened
from daf.render.theme import SeriesStyle, ground, styles, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DOTS = 400
"""Maximum number of individual values drawn per mark; more would be a bar of ink. The caption counts the others."""


@dataclass(frozen=True)
class Estimate:
    """A mean. ci: None if not known. n: number of values behind it. values: the individual ones, if they are shown."""

    mean: float
    ci: tuple[float, float] | None
    n: int
    values: Sequence[float] = ()


@dataclass(frozen=True)
class Group:
    """A row of marks. cells: by series; a series that is missing has no values here, for the reason in `absent`."""

    label: str
    cells: Mapping[str, Estimate]
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MeansPanel:
    """One plot of groups. unit, limits: of its axis. longest: maximum length of a group's label in characters."""

    title: str
    unit: str
    groups: Sequence[Group]
    longest: int = 34
    limits: tuple[float, float] | None = None


def means_figure(
    panels: Sequence[MeansPanel],
    names: Sequence[str],
    *,
    title: str,
    caption: str,
    most_columns: int = 3,
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The panels, with one legend for the series `names`; up to `most_columns` per row.

    Raises `DataError` without a panel or series.
    """
    if not panels or not names:
        raise DataError("there is nothing to draw: no policy has a value.")
    series_styles = styles(names)
    rows, columns = grid_of(len(panels), most_columns)
    lines = max(len(panel.groups) for panel in panels) * max(1.0, 0.55 * len(names))
    same = len({tuple(group.label for group in panel.groups) for panel in panels}) == 1
    width, height = size or (WIDTH, rows * max(1.7, 0.38 * lines + 0.95) + 1.0)
    with themed(dark=dark):
        figure = figure_of(width, min(height, 60.0))
        grid = figure.subplots(rows, columns, squeeze=False)
        for position, axes in enumerate(grid.flat):
            if position < len(panels):
                draw_means(axes, panels[position], series_styles, wide=columns < 3, dark=dark)
                if same and position % columns:
                    axes.tick_params(labelleft=False)
            else:
                axes.remove()
        series = LegendEntries(names, series_styles, lines=False)
        head(figure, title, caption + _unseen(panels), width=width, dark=dark, series=series)
    return figure


def draw_means(
    axes: "Axes", panel: MeansPanel, series_styles: Mapping[str, SeriesStyle], *, wide: bool = True, dark: bool
) -> None:
    """Draw one panel on `axes`. wide: whether there is room for long titles and many ticks."""
    axes.set_title(shortened(panel.title, 46 if wide else 30), fontsize=11 if wide else 9.5)
    if not any(group.cells for group in panel.groups):
        nothing(axes, "no values", dark=dark)
        return
    known = {name for group in panel.groups for name in (*group.cells, *group.absent)}
    names = [name for name in series_styles if name in known]
    pitch = 0.8 / len(names)
    for row, group in enumerate(panel.groups):
        if not group.cells:
            whys = list(dict.fromkeys(group.absent.values())) or ["not there"]
            _say(axes, row, "; ".join(whys), dark=dark)
            continue
        for place, name in enumerate(names):
            y = row + (place - (len(names) - 1) / 2) * pitch
            cell = group.cells.get(name)
            if cell is None:
                _absent(axes, y, name, group, dark=dark)
            else:
                _mark(axes, y, pitch, cell, stroke(series_styles[name], dark=dark), dark=dark)
    axes.set_yticks(range(len(panel.groups)), [shortened(group.label, panel.longest) for group in panel.groups])
    axes.set_ylim(len(panel.groups) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for row in range(1, len(panel.groups)):
        axes.axhline(row - 0.5, color=ground(dark=dark).grid, linewidth=0.8)
    axes.set_xlabel(panel.unit)
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=6 if wide else 4)
    if panel.limits is not None:
        axes.set_xlim(*panel.limits)
    _zero_line(axes, dark=dark)


def _mark(axes: "Axes", y: float, pitch: float, cell: Estimate, style: dict[str, Any], *, dark: bool) -> None:
    color = style["color"]
    if len(cell.values) > 1:
        count = min(len(cell.values), MOST_DOTS)
        every = len(cell.values) / count
        dots = [cell.values[int(place * every)] for place in range(count)]
        heights = [y + (0.27 + ((place * 0.618034 + 0.5) % 1 - 0.5) * 0.3) * pitch for place in range(count)]
        y -= 0.12 * pitch
        axes.plot(
            dots, heights, ".", color=color, alpha=max(0.15, min(0.6, 25 / count)), markersize=6, markeredgewidth=0
        )
    if cell.ci is not None:
        axes.hlines(y, *cell.ci, color=color, linewidth=2.4)
    hollow = {"markerfacecolor": ground(dark=dark).background, "markeredgecolor": color, "markeredgewidth": 1.6}
    axes.plot([cell.mean], [y], linestyle="none", markersize=7, **(style if cell.ci else style | hollow))


def _absent(axes: "Axes", y: float, name: str, group: Group, *, dark: bool) -> None:
    _say(axes, y, f"{shortened(name, 24)}: {group.absent.get(name, 'not there')}", dark=dark)


def _say(axes: "Axes", y: float, text: str, *, dark: bool) -> None:
    place = axes.get_yaxis_transform()
    axes.text(0.02, y, text, transform=place, va="center", fontsize=8, color=ground(dark=dark).muted)


def _zero_line(axes: "Axes", *, dark: bool) -> None:
    low, high = axes.get_xlim()
    if low <= 0 <= high:
        axes.axvline(0, color=ground(dark=dark).muted, linewidth=1, zorder=1)


def _unseen(panels: Sequence[MeansPanel]) -> str:
    cells = [cell for panel in panels for group in panel.groups for cell in group.cells.values()]
    most = max((len(cell.values) for cell in cells), default=0)
    return f" Of more than {MOST_DOTS} values, {MOST_DOTS} at even distances are drawn." if most > MOST_DOTS else ""
