"""Where agents were, on the map: visits per cell on a logarithmic scale, with walls and buildings.

A cell that nobody visited has the ground's colour, so that "never" and "once" look different.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.render.figures.frame import WIDTH, drawing, figure_of, grid_of, head, nothing
from daf.render.logs.figures import count_ticks
from daf.render.text import shortened
from daf.render.theme import DARK, LIGHT, MATPLOTLIB_MARKERS, ground, legend, styles

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
    buildings: their (x, y), by kind.
    """

    title: str
    visits: NDArray[np.float64]
    walls: NDArray[np.bool_] | None = None
    origin: tuple[int, int] = (0, 0)
    buildings: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)


def map_figure(
    maps: Sequence[VisitMap],
    *,
    title: str,
    caption: str,
    unit: str = "visits",
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The maps on one colour scale. Raises `DataError` without a map, and for counts below 0 or not finite."""
    if not maps:
        raise DataError("there is no map to draw visits on.")
    for one in maps:
        if not np.isfinite(one.visits).all() or (one.visits < 0).any():
            raise DataError(f"{one.title}: visits must be counts, 0 and up.")
    rows, columns = grid_of(len(maps))
    kinds = list(dict.fromkeys(kind for one in maps for kind in one.buildings))
    shape = maps[0].visits.shape
    side = (WIDTH - 1.4 - (1.8 if kinds else 0)) / columns
    tall = side * shape[0] / shape[1]
    width, height = size or (WIDTH, float(np.clip(rows * (tall + 0.5) + 1.1, 3.5, 30.0)))
    with drawing(dark=dark):
        figure = figure_of(width, height)
        norm = _norm(maps)
        grid = figure.subplots(rows, columns, squeeze=False)
        image: Any = None
        for position, axes in enumerate(grid.flat):
            if position < len(maps):
                image = draw_map(axes, maps[position], norm, kinds, dark=dark) or image
            else:
                axes.remove()
        if image is not None:
            bar = figure.colorbar(image, ax=grid, label=unit, shrink=0.8, pad=0.02)
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
    extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    axes.grid(visible=False)
    axes.set_facecolor(around.grid)
    if one.walls is not None:
        stone = ListedColormap([STONE[dark]])
        walls = np.ma.masked_equal(one.walls.astype(float), 0)
        axes.imshow(walls, cmap=stone, extent=extent, interpolation="nearest")
    shades = mpl.colormaps["inferno" if dark else "viridis"](np.linspace(DARKEST if dark else 0.0, 1.0, 256))
    colors = ListedColormap(shades).with_extremes(bad=(0, 0, 0, 0))
    seen = np.ma.masked_equal(one.visits, 0)
    image = axes.imshow(seen, cmap=colors, norm=norm, extent=extent, interpolation="nearest")
    looks = styles(list(kinds))
    for kind, places in one.buildings.items():
        x, y = zip(*places, strict=True)
        axes.plot(
            x, y, linestyle="none", marker=MATPLOTLIB_MARKERS[looks[kind].marker], markersize=5, markerfacecolor="none",
            markeredgecolor=_ink(looks[kind].slot, dark=dark), markeredgewidth=1.3,
        )  # fmt: skip
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_xlabel("x (cells)")
    axes.set_ylabel("y (cells, downwards)")
    axes.locator_params(nbins=6, integer=True)
    return image


def _norm(maps: Sequence[VisitMap]) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(vmin=1, vmax=max(2.0, *(float(one.visits.max()) for one in maps)))


def _name_buildings(figure: Any, kinds: Sequence[str], *, dark: bool) -> None:
    from matplotlib.lines import Line2D

    looks = styles(list(kinds))
    handles = [
        Line2D(
            [], [], linestyle="none", marker=MATPLOTLIB_MARKERS[looks[kind].marker], markerfacecolor="none",
            markeredgecolor=_ink(looks[kind].slot, dark=dark), markeredgewidth=1.3,
        )
        for kind in kinds
    ]  # fmt: skip
    legend(figure, handles, [shortened(kind, 22) for kind in kinds], loc="outside right upper", handlelength=1.2)


def _ink(slot: int, *, dark: bool) -> str:
    return (DARK if dark else LIGHT)[slot]
