"""One value over two settings: as a matrix if both have few values, otherwise as one mark per trial.

Nothing is interpolated between the trials: a surface through random points would show what nobody measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.errors import DataError
from daf.render.figures.frame import figure_of, head
from daf.render.figures.matrix import matrix_figure
from daf.render.figures.trials import Trial
from daf.render.scales import SearchedRange, SettingScale, searched_setting, tick_text
from daf.render.text import shortened
from daf.render.theme import ground, themed
from daf.stats.sentences import counted, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CELLS = 15
"""With more values than this on either axis, or if one is a continuous scale, trials are drawn as marks."""


def pair_figure(
    trials: Sequence[Trial],
    x: str,
    y: str,
    *,
    objective: str,
    title: str,
    caption: str,
    ranges: Mapping[str, SearchedRange] | None = None,
    dark: bool = False,
) -> "Figure":
    """The value of every complete trial by its settings `x` and `y`; ranges: as in `Search`.

    Raises `DataError` if no trial has both.
    """
    searched = ranges or {}
    both = [trial for trial in trials if x in trial.settings and y in trial.settings]
    known = [trial for trial in both if trial.status == "complete" and trial.value is not None]
    if not known:
        raise DataError(f"no complete trial has both {x} and {y}: {len(both)} have them, and none has a value.")
    across = searched_setting(x, [trial.settings[x] for trial in both], searched.get(x))
    down = searched_setting(y, [trial.settings[y] for trial in both], searched.get(y))
    pair = _Pair(known, [trial for trial in both if trial.status == "failed"], across, down, objective)
    numeric = [scale for scale in (across, down) if scale.scaled]
    full = len(across.values) * len(down.values) <= len(both)
    choices = not numeric or (full and all(scale.span is None for scale in numeric))
    if choices and max(len(across.values), len(down.values)) <= MOST_CELLS:
        return _matrix(pair, title, caption, dark=dark)
    return _marks(pair, title, caption, dark=dark)


@dataclass(frozen=True)
class _Pair:
    """Complete (known) and failed trials over two settings."""

    known: Sequence[Trial]
    failed: Sequence[Trial]
    across: SettingScale
    down: SettingScale
    objective: str

    def cell(self, trial: Trial) -> tuple[int, int]:
        """Row and column of a trial in the matrix."""
        return self.down.rank(trial.settings[self.down.name]), self.across.rank(trial.settings[self.across.name])

    def place(self, trial: Trial) -> tuple[float, float]:
        """x and y of a trial among the marks."""
        return self.across.place(trial.settings[self.across.name]), self.down.place(trial.settings[self.down.name])


def _matrix(pair: _Pair, title: str, caption: str, *, dark: bool) -> "Figure":
    across, down = pair.across, pair.down
    found: dict[tuple[int, int], list[float]] = {}
    for trial in pair.known:
        found.setdefault(pair.cell(trial), []).append(trial.value or 0.0)
    values = np.full((len(down.values), len(across.values)), np.nan)
    for (row, column), of_cell in found.items():
        values[row, column] = float(np.mean(of_cell))
    spread = float(np.nanmax(values) - np.nanmin(values))
    several = max(len(of_cell) for of_cell in found.values()) > 1
    texts = [
        [
            number(float(values[row, column]), spread / 20)
            + (f"\nn = {len(found[row, column])}" if several and (row, column) in found else "")
            for column in range(len(across.values))
        ]
        for row in range(len(down.values))
    ]
    crossed = {pair.cell(trial) for trial in pair.failed} - found.keys()
    more = f" In {counted(len(crossed), 'cell')} all trials failed." if crossed else ""
    means = " Cells: means over the trials in them." if several else " Cells: one trial each."
    return matrix_figure(
        values,
        [tick_text(value) for value in down.values],
        [tick_text(value) for value in across.values],
        title=title,
        caption=f"{caption}{means}{more}",
        unit=shortened(pair.objective, 40),
        row_label=shortened(down.name, 40),
        column_label=shortened(across.name, 40),
        texts=texts,
        dark=dark,
    )


def _marks(pair: _Pair, title: str, caption: str, *, dark: bool) -> "Figure":
    across, down = pair.across, pair.down
    width, height = 8.0, 5.6
    with themed(dark=dark):
        figure = figure_of(width, height)
        axes = figure.add_subplot()
        places = [pair.place(trial) for trial in pair.known]
        values = [trial.value or 0.0 for trial in pair.known]
        around, colors = ground(dark=dark), "cividis" if dark else "cividis_r"
        marks: Any = axes.scatter(
            [x for x, _ in places], [y for _, y in places], c=values, cmap=colors, s=46, edgecolors=around.muted,
            linewidths=0.6,
        )  # fmt: skip
        if pair.failed:
            crosses = [pair.place(trial) for trial in pair.failed]
            axes.plot(
                [x for x, _ in crosses], [y for _, y in crosses], "x", color=around.text, markersize=6, label="failed"
            )
            axes.legend(loc="best")
        across.scale(axes, "x")
        down.scale(axes, "y")
        axes.set_xlabel(shortened(across.name, 50))
        axes.set_ylabel(shortened(down.name, 40))
        bar = figure.colorbar(marks, ax=axes, label=shortened(pair.objective, 40), pad=0.02)
        bar.outline.set_visible(False)
        head(figure, title, f"{caption} Marks: complete trials.", width=width, dark=dark)
    return figure
