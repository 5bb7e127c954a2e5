"""A matrix of values as coloured cells with their numbers: correlations, and one value by two settings.

Every cell shows its number while there is room for it; the colour only helps to find it. A cell without a value is
hatched, never coloured.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.render.figures.frame import WIDTH, figure_of, head
from daf.render.text import shortened
from daf.render.theme import ground, themed
from daf.stats.sentences import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NUMBERS = 30
"""Above this number of rows or columns, cells are too small for numbers."""
DIVERGING = (("#1b5fa8", "#ffffff", "#b4550b"), ("#6cb2ff", "#14171b", "#ff9a52"))
"""Low, zero and high, on a light and on a dark ground; blue and orange are distinct in all kinds of colour vision."""


def matrix_figure(
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    caption: str,
    unit: str,
    row_label: str = "",
    column_label: str = "",
    texts: Sequence[Sequence[str]] | None = None,
    diverging: tuple[float, float] | None = None,
    size: tuple[float, float] | None = None,
    dark: bool = False,
) -> "Figure":
    """The cells of `values` (rows, columns); NaN is a cell without a value.

    texts: the text of each cell (default: the numbers). diverging: the ends of a scale around 0, such as (-1, 1);
    otherwise the colours follow the values. Raises `DataError` if shapes do not match or no cell has a value.
    """
    if values.shape != (len(rows), len(columns)) or not values.size:
        raise DataError(f"a heat map of {len(rows)} rows and {len(columns)} columns cannot show shape {values.shape}.")
    if not np.isfinite(values).any():
        raise DataError("no cell of the heat map has a finite value.")
    side = max(0.3, min(1.0, 7.0 / len(columns)))
    width, height = size or (
        max(6.0, min(WIDTH + 6, len(columns) * side + 4.0)),
        max(3.2, min(24.0, len(rows) * min(side, 0.55) + 2.4)),
    )
    with themed(dark=dark):
        figure = figure_of(width, height)
        axes = figure.add_subplot()
        image = draw_matrix(axes, values, rows, columns, texts=texts, diverging=diverging, dark=dark)
        axes.set_xlabel(column_label)
        axes.set_ylabel(row_label)
        bar = figure.colorbar(image, ax=axes, label=unit, shrink=0.85, pad=0.02)
        bar.outline.set_visible(False)
        empty = int((~np.isfinite(values)).sum())
        more = f" Hatched: no value ({empty} of {values.size} cells)." if empty else ""
        head(figure, title, caption + more, width=width, dark=dark)
    return figure


def draw_matrix(
    axes: "Axes",
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: Sequence[Sequence[str]] | None = None,
    diverging: tuple[float, float] | None = None,
    dark: bool,
) -> Any:
    """Draw the cells on `axes`; returns the image, for a colour bar."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    known = values[np.isfinite(values)]
    low, high = diverging or (float(known.min()), float(known.max()))
    if low == high:
        low, high = low - (abs(low) / 2 or 1.0), high + (abs(high) / 2 or 1.0)
    colors: Any = (
        LinearSegmentedColormap.from_list("daf", DIVERGING[dark])
        if diverging
        else mpl.colormaps["cividis" if dark else "cividis_r"]
    )
    axes.grid(visible=False)
    axes.patch.set(hatch="////", edgecolor=ground(dark=dark).muted, linewidth=0)
    masked = np.ma.masked_invalid(values)
    image = axes.imshow(masked, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), [shortened(name, 28) for name in columns])
    axes.set_yticks(range(len(rows)), [shortened(name, 34) for name in rows])
    if max(len(name) for name in columns) * len(columns) > 60:
        axes.tick_params(axis="x", rotation=40)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if max(values.shape) <= MOST_NUMBERS:
        half = (high - low) / 20
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                text = texts[row][column] if texts is not None else number(float(value), half)
                face = colors((value - low) / (high - low))
                ink = "#111418" if _luminance(face) > 0.42 else "#ffffff"
                size = 9 if max(values.shape) <= 12 else 7.5 if max(values.shape) <= 20 else 6
                axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink)
    return image


def _luminance(color: tuple[float, float, float, float]) -> float:
    red, green, blue = color[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue
