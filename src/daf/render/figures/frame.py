"""What all figures share: a frame with title and caption, a legend next to the data, and messages on empty axes.

Inside `theme.themed`, figures show names literally: "$" in a name is a dollar sign, and unprintable characters are
escaped.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.errors import DataError
from daf.render.text import short_count, shortened
from daf.render.theme import MATPLOTLIB_DASHES, MATPLOTLIB_MARKERS, SeriesStyle, ground, legend
from daf.stats.sentences import labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.0
"""Width of a figure in inches: 1,500 pixels at 150 DPI."""
LONGEST_NAME = 30
MOST_IN_LEGEND = 24


def figure_of(width: float, height: float) -> "Figure":
    """An empty figure of `width` by `height` inches, whose parts make room for each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    return figure


@dataclass(frozen=True)
class LegendEntries:
    """The names in the legend. lines: whether the series are drawn as lines rather than marks."""

    names: Sequence[str]
    styles: Mapping[str, SeriesStyle]
    lines: bool


def head(
    figure: Any, title: str, caption: str, *, width: float, dark: bool, series: LegendEntries | None = None
) -> None:
    """Put the title and the legend above the plots and the caption below them; text is wrapped to `width` inches.

    There is a legend if there are several series; the caption counts those that do not fit in it.
    """
    shown = textwrap.fill(_line(title), width=int(width * 9.0)) if title else ""
    left_out = 0
    if series is not None and len(series.names) > 1:
        left_out = _legend(figure, shown, series, width, dark=dark)
    elif shown:
        figure.suptitle(shown, x=0.01, ha="left", fontsize=13, fontweight="bold")
    if left_out:
        caption = f"{caption} {left_out} more series are not named in the legend.".strip()
    if caption:
        kept = _line(caption).replace("n = ", "n\u00a0=\u00a0").replace(" %", "\u00a0%")
        text = textwrap.fill(kept, width=int(width * 15.5))
        figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=ground(dark=dark).muted)


def _legend(figure: Any, title: str, series: LegendEntries, width: float, *, dark: bool) -> int:
    """Draw the legend under the title, in as many columns as fit; returns the number of series that did not fit."""
    from matplotlib.lines import Line2D

    shown = list(series.names)[:MOST_IN_LEGEND]
    handles = []
    for name in shown:
        dash: Any = MATPLOTLIB_DASHES[series.styles[name].dash] if series.lines else "none"
        handles.append(Line2D([], [], linestyle=dash, **stroke(series.styles[name], dark=dark)))
    short = [shortened(name, LONGEST_NAME) for name in labels(list(series.names))[: len(shown)]]
    columns = max(1, int(width * 13) // (max(len(name) for name in short) + (8 if series.lines else 5)))
    made = legend(
        figure, handles, short, title=title or None, loc="outside upper left", ncols=min(columns, len(short)),
        alignment="left", handlelength=2.6 if series.lines else 1.2, borderpad=0.1, columnspacing=1.6,
    )  # fmt: skip
    made.get_title().set(fontsize=13, fontweight="bold")
    return len(series.names) - len(shown)


def stroke(series_style: SeriesStyle, *, dark: bool) -> dict[str, Any]:
    """Colour and marker as matplotlib keyword arguments."""
    return {
        "color": series_style.color(dark=dark),
        "marker": MATPLOTLIB_MARKERS[series_style.marker],
        "markeredgewidth": 0,
    }


def nothing(axes: "Axes", why: str, *, dark: bool) -> None:
    """Write on empty axes why they are empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    text = textwrap.fill(why, width=44)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=ground(dark=dark).muted)


def large_numbers(axes: "Axes", *, most: int = 7) -> None:
    """Label the ticks of the x axis as 20k and 1.5M, with about `most` of them."""
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.locator_params(axis="x", nbins=most)


def finite_values(values: Any, what: str) -> np.ndarray:
    """`values` as a one-dimensional float array. Raises `DataError` for non-numbers, NaN and infinity."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what}: must be numbers, got {str(values)[:60]}.") from None
    if found.ndim != 1:
        raise DataError(f"{what}: must be one-dimensional, got an array of shape {found.shape}.")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise DataError(
            f"{what}: value {int(bad[0])} is {found[bad[0]]}, which no figure can show ({len(bad)} of {len(found)} are "
            "not finite). Leave out what failed, or count it as failed."
        )
    return found


def grid_of(count: int, most_columns: int = 3) -> tuple[int, int]:
    """(rows, columns) for `count` panels, up to `most_columns` per row."""
    columns = 1 if count == 1 else min(most_columns, 2 if count in (2, 4) else count)
    return -(-count // columns), columns


def _line(text: str) -> str:
    return labels([text])[0]
