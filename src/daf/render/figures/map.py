"""Where agents were, on the map: visits per cell on a logarithmic scale, with walls and buildings.

A cell that nobody visited has the ground's colour, so that "never" and "once" look different.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.render.figures.frame import WIDTH, figure_of, grid_of, head, nothing
from daf.render.text import shortened
from daf.render.theme import DARK, LIGHT, MATPLOTLIB_MARKERS, ground, legend, styles, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STONE = ("#5b6470", "#4b535e")
"""Colours of walls, on a light and on a dark ground."""
DARKEST = 0.25
"""Where the colour scale starts on a dark ground; its own black would look like an empty cell there."""


@dataclass(frozen=True)
class VisitMap:
    """One map. visits: (height, width) counts. walls: (height, width), if known. origin: (x, y) of the first cell.
    buildings: their (x, y), by kind. tile: the side of the square that a cell stands for. boxes: (left, top, width,
    height) by name, if several maps lie side by side, which leaves no coordinates to show.
    """

    title: str
    visits: NDArray[np.float64]
    walls: NDArray[np.bool_] | None = None
    origin: tuple[int, int] = (0, 0)
    buildings: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    tile: int = 1
    boxes: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)


def map_figure(
    maps: Sequence[VisitMap],
    *,
    title: str,
    caption: str,
    wide: VisitMap | None = None,
    unit: str = "visits",
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The maps on one colour scale. wide: one more, above the others in the figure's whole width.

    Raises `DataError` without a map, and for counts below 0 or not finite.
    """
    if not maps:
        raise DataError("there is no map to draw visits on.")
    every = [*maps, *([wide] if wide else [])]
    for one in every:
        if not np.isfinite(one.visits).all() or (one.visits < 0).any():
            raise DataError(f"{one.title}: visits must be counts, 0 and up.")
    rows, columns = grid_of(len(maps))
    kinds = list(dict.fromkeys(kind for one in maps for kind in one.buildings))
    shape = maps[0].visits.shape
    side = (WIDTH - 1.4 - (1.8 if kinds else 0)) / columns
    tall = side * shape[0] / shape[1]
    above = (WIDTH - 1.4) * wide.visits.shape[0] / wide.visits.shape[1] + 0.5 if wide else 0.0
    width, height = size or (WIDTH, float(np.clip(rows * (tall + 0.5) + above + 1.1, 3.5, 30.0)))
    with themed(dark=dark):
        figure = figure_of(width, height)
        norm = _norm(every)
        heights = [above] * bool(wide) + [tall + 0.5] * rows
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        places = [grid[bool(wide) + place // columns, place % columns] for place in range(len(maps))]
        if wide:
            places.append(grid[0, :])
        image: Any = None
        panels = [figure.add_subplot(place) for place in places]
        for axes, one in zip(panels, every, strict=True):
            image = draw_map(axes, one, norm, kinds, dark=dark) or image
        if image is not None:
            shrink = max(0.3, 5 / height) if wide else 0.8
            bar = figure.colorbar(image, ax=panels, label=unit, shrink=shrink, pad=0.02)
            bar.outline.set_visible(False)
            count_ticks(bar, norm.vmax)
        if kinds:
            _name_buildings(figure, kinds, dark=dark)
        head(figure, title, caption, width=width, dark=dark)
    return figure


def draw_map(axes: "Axes", one: VisitMap, norm: Any, kinds: Sequence[str], *, dark: bool) -> Any:
    """Draw one map on `axes`; returns the image, or None if nothing was visited."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    around = ground(dark=dark)
    axes.set_title(shortened(one.title, 44))
    if not one.visits.any():
        nothing(axes, "no position was recorded", dark=dark)
        return None
    height, width = one.visits.shape
    left, top = one.origin
    size = one.tile
    extent = (left - 0.5, left + width * size - 0.5, top + height * size - 0.5, top - 0.5)
    axes.grid(visible=False)
    axes.set_facecolor(around.background if one.boxes else around.grid)
    if one.walls is not None:
        stone = ListedColormap([STONE[dark]])
        walls = np.ma.masked_equal(one.walls.astype(float), 0)
        axes.imshow(walls, cmap=stone, extent=extent, interpolation="nearest")
    shades = mpl.colormaps["inferno" if dark else "viridis"](np.linspace(DARKEST if dark else 0.0, 1.0, 256))
    colors = ListedColormap(shades).with_extremes(bad=(0, 0, 0, 0))
    seen = np.ma.masked_equal(one.visits, 0)
    image = axes.imshow(seen, cmap=colors, norm=norm, extent=extent, interpolation="nearest")
    series_styles = styles(list(kinds))
    for kind, places in one.buildings.items():
        x, y = zip(*places, strict=True)
        axes.plot(
            x, y, linestyle="none", marker=MATPLOTLIB_MARKERS[series_styles[kind].marker], markersize=5,
            markerfacecolor="none", markeredgecolor=_ink(series_styles[kind].slot, dark=dark), markeredgewidth=1.3,
        )  # fmt: skip
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    if one.boxes:
        _draw_boxes(axes, one, dark=dark)
        return image
    axes.set_xlabel("x (cells)")
    axes.set_ylabel("y (cells, downwards)")
    axes.locator_params(nbins=6, integer=True)
    return image


def _draw_boxes(axes: "Axes", one: VisitMap, *, dark: bool) -> None:
    """Draw the ground of every map on the canvas, with its name where it is large enough."""
    from matplotlib.patches import Rectangle

    around = ground(dark=dark)
    for name, (left, top, width, height) in one.boxes.items():
        place = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(place, width, height, facecolor=around.grid, linewidth=0, zorder=-1))
        if width * height > 0.003 * one.visits.size:
            axes.text(*place, name, fontsize=7, va="bottom", color=around.muted)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylim(one.visits.shape[0] - 0.5, -4)


def count_ticks(bar: Any, most: float) -> None:
    """Set the ticks of a colour bar of counts on a log scale: round numbers from 1, and the largest count itself."""
    steps = (1, 2, 5) if most < 1_000 else (1, 3) if most < 100_000 else (1,)
    ticks = [step * 10**power for power in range(16) for step in steps if step * 10**power * 1.3 < most]
    ticks.append(int(most))
    bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    bar.ax.minorticks_off()


def _norm(maps: Sequence[VisitMap]) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(vmin=1, vmax=max(2.0, *(float(one.visits.max()) for one in maps)))


def _name_buildings(figure: Any, kinds: Sequence[str], *, dark: bool) -> None:
    from matplotlib.lines import Line2D

    series_styles = styles(list(kinds))
    handles = [
        Line2D(
            [], [], linestyle="none", marker=MATPLOTLIB_MARKERS[series_styles[kind].marker], markerfacecolor="none",
            markeredgecolor=_ink(series_styles[kind].slot, dark=dark), markeredgewidth=1.3,
        )
        for kind in kinds
    ]  # fmt: skip
    legend(figure, handles, [shortened(kind, 22) for kind in kinds], loc="outside right upper", handlelength=1.2)


def _ink(slot: int, *, dark: bool) -> str:
    return (DARK if dark else LIGHT)[slot]
