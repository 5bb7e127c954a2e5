"""The curves of a training run on its page: all learning metrics, and the other metrics that changed most."""

from collections.abc import Sequence

import numpy as np

from daf.core.recorded_training import MetricSeries, RecordedTraining
from daf.core.training_report._training_words import METRICS, words
from daf.render.pages.parts import Part, Plot, Plots, Section, Text
from daf.render.svg.curves import CurveFigure, CurveSeries, curve_figure
from daf.render.text import printable
from daf.render.theme import style
from daf.stats.sentences import counted

MOST_OF_MANY = 12
"""Maximum number of curves of game stats, and of curriculum metrics: those that changed most are drawn."""
FEW = 12
"""Curves with at most this many values have markers."""
CUMULATIVE = ("clock/seconds",)


def curve_sections(run: RecordedTraining) -> list[Section]:
    """Training episodes, imitation, learning, curriculum, game stats, machine."""
    return [
        *_group(run, "training", "Training episodes", ("episode/", "reward/"), first="episode/return"),
        *_group(run, "imitation", "Imitation", ("imitation/",), first="imitation/agreement"),
        *_group(run, "learning", "Learning", ("loss/", "gradient/", "schedule/")),
        *(_moved(run, "curriculum", "Curriculum", "curriculum/") if _chose_tasks(run) else []),
        *_moved(run, "stats", "Game stats", "stats/"),
        *_group(run, "machine", "Machine", ("clock/", "system/")),
    ]


def _chose_tasks(run: RecordedTraining) -> bool:
    """Whether a curriculum had several tasks to choose from; runs without one log the metrics of their only task."""
    tasks = run.series.get("curriculum/tasks")
    return tasks is None or max(tasks.values) > 1


def ends(series: MetricSeries) -> tuple[float, float]:
    """The means of the first and the last tenth of the values."""
    tenth = max(1, len(series.values) // 10)
    return float(np.mean(series.values[:tenth])), float(np.mean(series.values[-tenth:]))


def _group(run: RecordedTraining, key: str, title: str, prefixes: tuple[str, ...], first: str = "") -> list[Section]:
    names = [name for name in run.series if name.startswith(prefixes) and name not in CUMULATIVE]
    order = [*(name for name in METRICS if name in names), *(name for name in names if name not in METRICS)]
    still = [run.series[name] for name in order if _still(run.series[name])]
    moving = [run.series[name] for name in order if not _still(run.series[name])]
    if not order:
        return []
    drawn = [_drawn(series, "full" if series.name == first else "half") for series in moving]
    constant = [f"{printable(words(series.name).title)} {series.values[0]:.4g}" for series in still]
    parts: list[Part] = [*_how_drawn([figure for _, figure in drawn])]
    if drawn:
        parts.append(Plots([plot for plot, _ in drawn]))
    if constant:
        parts.append(Text([f"Constant: {', '.join(constant)}."], muted=True))
    return [Section(key, title, parts)]


def _moved(run: RecordedTraining, key: str, title: str, prefix: str) -> list[Section]:
    found = [series for name, series in run.series.items() if name.startswith(prefix)]
    moved = sorted((series for series in found if _movement(series) > 0), key=lambda series: -_movement(series))
    if not moved:
        return []
    drawn = [_drawn(series) for series in moved[:MOST_OF_MANY]]
    note = "Sorted by change: difference between the means of the last and first tenth, in standard deviations."
    left = len(found) - len(drawn)
    if left:
        note += f" {counted(left, 'more metric')}, with smaller changes or none: see the table of metrics."
    how = _how_drawn([figure for _, figure in drawn])
    return [Section(key, title, [Text([note], muted=True), *how, Plots([plot for plot, _ in drawn])])]


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
    return [Text([f"Thin lines: every value; thick lines: running mean over {count} values."], muted=True)]


def _drawn(series: MetricSeries, size: str = "half") -> tuple[Plot, CurveFigure]:
    text = words(series.name)
    label = printable(text.title)
    figure = curve_figure(
        [CurveSeries(label, style(0), series.steps, series.values, points=len(series.values) <= FEW)],
        x_title="agent steps",
        y_title=printable(text.unit),
        description=f"{label} by agent steps",
        size=size,
    )
    caption = [text.meaning] if text.meaning else []
    if figure.cut:
        caption.append(f"{counted(figure.cut, 'value')} beyond the axis.")
    return Plot(label, figure.svg, " ".join(caption), size), figure
