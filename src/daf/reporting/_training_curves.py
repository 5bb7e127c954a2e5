"""The curves of a training run on its page, by group: all learning metrics, and of others those that changed most."""

from collections.abc import Sequence

import numpy as np

from daf.core.recorded_training import MetricSeries, RecordedTraining
from daf.render.pages.parts import Part, Plot, Plots, Section, Text
from daf.render.svg.curves import CurveFigure, CurveSeries, curve_figure
from daf.render.text import printable
from daf.render.theme import style
from daf.reporting._training_words import METRICS, words

MOST_OF_MANY = 12
"""Maximum number of curves of game stats, and of curriculum metrics: those that changed most are drawn."""
FEW = 12
"""Curves with at most this many values have markers."""
CUMULATIVE = ("clock/seconds",)


def curve_sections(run: RecordedTraining) -> list[Section]:
    """Training episodes, learning, curriculum, game stats, machine."""
    return [
        *_group(run, "training", "Training episodes", ("episode/", "reward/"), first="episode/return"),
        *_group(run, "learning", "Learning", ("loss/", "gradient/", "schedule/")),
        *_moved(run, "curriculum", "Curriculum", "curriculum/"),
        *_moved(run, "stats", "In the game", "stats/"),
        *_group(run, "machine", "Machine", ("clock/", "system/")),
    ]


def ends(series: MetricSeries) -> tuple[float, float]:
    """The means of the first and the last tenth of the values."""
    tenth = max(1, len(series.values) // 10)
    return float(np.mean(series.values[:tenth])), float(np.mean(series.values[-tenth:]))


def _group(run: RecordedTraining, key: str, title: str, prefixes: tuple[str, ...], first: str = "") -> list[Section]:
    there = [name for name in run.series if name.startswith(prefixes) and name not in CUMULATIVE]
    order = [*(name for name in METRICS if name in there), *(name for name in there if name not in METRICS)]
    still = [run.series[name] for name in order if _still(run.series[name])]
    moving = [run.series[name] for name in order if not _still(run.series[name])]
    if not order:
        return []
    drawn = [_drawn(series, "full" if series.name == first else "half") for series in moving]
    told = [f"{printable(words(series.name).title)} {series.values[0]:.4g}" for series in still]
    parts: list[Part] = [*_how_drawn([figure for _, figure in drawn])]
    if drawn:
        parts.append(Plots([plot for plot, _ in drawn]))
    if told:
        parts.append(Text([f"Never changed: {', '.join(told)}."], muted=True))
    return [Section(key, title, parts)]


def _moved(run: RecordedTraining, key: str, title: str, prefix: str) -> list[Section]:
    found = [series for name, series in run.series.items() if name.startswith(prefix)]
    moved = sorted((series for series in found if _movement(series) > 0), key=lambda series: -_movement(series))
    if not moved:
        return []
    drawn = [_drawn(series) for series in moved[:MOST_OF_MANY]]
    told = "Those that moved most first: difference of the means of the first and last tenth, in standard deviations."
    left = len(found) - len(drawn)
    if left:
        told += f" {left:,} more moved less or not at all; they are in the table of metrics."
    how = _how_drawn([figure for _, figure in drawn])
    return [Section(key, title, [Text([told], muted=True), *how, Plots([plot for plot, _ in drawn])])]


def _still(series: MetricSeries) -> bool:
    """Whether the series has several values, all equal."""
    return len(series.values) > 1 and min(series.values) == max(series.values)


def _movement(series: MetricSeries) -> float:
    spread = float(np.std(series.values))
    start, end = ends(series)
    return abs(end - start) / spread if spread > 0 else 0.0


def _how_drawn(figures: Sequence[CurveFigure]) -> list[Part]:
    windows = sorted({figure.window for figure in figures if figure.window > 1})
    if not windows:
        return []
    count = str(windows[0]) if len(windows) == 1 else f"{windows[0]} to {windows[-1]}"
    return [Text([f"Thin lines: every value; thick: the mean of {count} values around each."], muted=True)]


def _drawn(series: MetricSeries, size: str = "half") -> tuple[Plot, CurveFigure]:
    told = words(series.name)
    label = printable(told.title)
    figure = curve_figure(
        [CurveSeries(label, style(0), series.steps, series.values, points=len(series.values) <= FEW)],
        x_title="agent steps",
        y_title=printable(told.unit),
        description=f"{label} by agent steps",
        size=size,
    )
    said = [told.meaning] if told.meaning else []
    if figure.cut:
        said.append(f"{figure.cut:,} value{'s' if figure.cut != 1 else ''} beyond the axis.")
    return Plot(label, figure.svg, " ".join(said), size), figure
