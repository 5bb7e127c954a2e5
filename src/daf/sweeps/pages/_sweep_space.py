"""Search space section of the sweep page.

Parallel coordinates, the two most important hyperparameters against each other, choices, and the cost of trials.
"""

import math
from collections.abc import Sequence

import numpy as np

from daf.render.pages.parts import Part, Plot, Plots, Section, Text
from daf.render.scales import setting_of, value_texts
from daf.render.svg.contour import Side, contour_svg
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.svg.parallel import parallel_svg
from daf.render.text import printable, same_decimals
from daf.render.theme import style
from daf.stats.sentences import counted
from daf.sweeps.analysis_columns import HyperparameterColumn, drawn_columns, stored_config
from daf.sweeps.result import SweepResult, SweepTrialResult

MOST_LINES = 1_000
MOST_MARKS = 2_000
MOST_AXES = 10
MOST_POINTS = 200
MOST_CHOICES = 30


def space_sections(result: SweepResult, ranked: Sequence[str]) -> list[Section]:
    """ranked: hyperparameters, the most important first; the rest follow in the order of the space."""
    finished = [trial for trial in result.finished if math.isfinite(trial.values[0])]
    if len(finished) < 2:
        return []
    columns = {column.name: column for column in drawn_columns(result)}
    order = [columns[name] for name in [*ranked, *(name for name in columns if name not in ranked)] if name in columns]
    if not order:
        return []
    parts: list[Part] = [
        Text(["Stronger colours: better trials, by rank. The best trial has a different colour."], muted=True),
        Plots([_parallel(result, finished, order)]),
    ]
    if len(order) > 1:
        parts += _contour(result, order[0], order[1])
    return [Section("space", "Search space", parts)]


def choice_plots(result: SweepResult) -> list[Plot]:
    """The primary objective by choice: the mean of its trials and up to `MOST_POINTS` of them."""
    plots = []
    finished = result.finished
    for column in drawn_columns(result):
        if column.ordered:
            continue
        rows = []
        texts = value_texts(column.values[:MOST_CHOICES])
        for index, text in enumerate(texts):
            values = {
                trial.trial_id: trial.values[0]
                for trial, place in zip(finished, column.place, strict=True)
                if place == index and math.isfinite(trial.values[0])
            }
            if values:
                thinned = dict(list(values.items())[:: math.ceil(len(values) / MOST_POINTS)])
                label = printable(f"{text} (n = {len(values):,})")
                mean = math.fsum(values.values()) / len(values)
                rows.append(IntervalRow(label, style(0), mean, None, points=thinned))
        figure = interval_figure(
            rows,
            axis_title=printable(result.objectives[0]),
            description=printable(f"{result.objectives[0]} of the trials by {column.name}"),
        )
        more = column.steps - MOST_CHOICES
        caption = "Large markers: means." + (f" {counted(more, 'choice')} not drawn." if more > 0 else "")
        plots.append(Plot(printable(column.name), figure, caption, "full"))
    return plots


def cost_section(result: SweepResult) -> list[Section]:
    """The objective against the cost of a trial, in the unit that the sweep counts, else against its duration."""
    weighed = any(trial.cost is not None for trial in result.finished)
    pairs = [
        (float(taken), trial.values[0], trial.trial_id)
        for trial in result.finished
        if trial.repeats is None and (taken := trial.cost if weighed else trial.seconds) is not None
        if math.isfinite(trial.values[0]) and math.isfinite(taken)
    ]
    if len({taken for taken, *_ in pairs}) < 3:
        return []
    pairs.sort()
    drawn = pairs[:: math.ceil(len(pairs) / MOST_MARKS)]
    better = max if result.directions[0] == "maximize" else min
    least: list[tuple[float, float, int]] = []
    for pair in pairs:
        if not least or better(pair[1], least[-1][1]) == pair[1] != least[-1][1]:
            least.append(pair)
    series = [
        CurveSeries("trials", style(0), [c for c, *_ in drawn], [v for _, v, _ in drawn], points=True, joined=False,
                    notes=[f"trial {t}" for *_, t in drawn]),
        CurveSeries("best up to this cost", style(1), [c for c, *_ in least], [v for _, v, _ in least], points=True,
                    joined=False, notes=[f"trial {t}" for *_, t in least]),
    ]  # fmt: skip
    what = "cost" if weighed else "duration"
    unit = "agent steps" if weighed and _counts_steps(result) else "seconds"
    figure = curve_figure(
        series,
        x_title=f"cost of the trial ({unit})" if weighed else f"duration of the trial ({unit})",
        y_title=printable(result.objectives[0]),
        description=printable(f"{result.objectives[0]} of the trials against their {what}"),
        size="full",
    )
    left = f" Drawn: {len(drawn):,}." if len(drawn) < len(pairs) else ""
    total = math.fsum(taken for taken, *_ in pairs)
    caption = f"n = {counted(len(pairs), 'complete trial')}, {same_decimals([total])[0]} {unit} in total.{left}"
    if unit == "seconds":
        caption += " Durations depend on the machine and on the number of parallel trials."
    title = printable(f"{result.objectives[0]} against {what}")
    return [Section("cost", "Objective by cost", [Plots([Plot(title, figure.svg, caption, "full")])])]


def _counts_steps(result: SweepResult) -> bool:
    """Whether the sweep counts costs in agent steps instead of seconds."""
    return stored_config(result).get("cost") == "steps"


def _parallel(result: SweepResult, finished: Sequence[SweepTrialResult], order: Sequence[HyperparameterColumn]) -> Plot:
    shown = list(order[:MOST_AXES])
    sign = -1 if result.directions[0] == "maximize" else 1
    ranked = sorted(finished, key=lambda trial: (sign * trial.values[0], trial.trial_id))
    drawn = ranked[:MOST_LINES]
    settings = [
        setting_of(c.name, [t.hyperparameters[c.name] for t in finished if c.name in t.hyperparameters],
                   log=c.log if c.ordered else None, span=_span(c))
        for c in shown
    ]  # fmt: skip
    values = [trial.values[0] for trial in drawn]
    settings.append(setting_of(result.objectives[0], values, log=False, span=(min(values), max(values))))
    svg = parallel_svg(
        settings,
        [(trial.trial_id, trial.hyperparameters, trial.values[0]) for trial in drawn],
        maximize=sign < 0,
        description=printable(f"Every trial as a line through its hyperparameters to its {result.objectives[0]}"),
    )
    caption = f"One line per complete trial, n = {len(drawn):,}"
    caption += f": the best of {len(finished):,}." if len(drawn) < len(finished) else "."
    if len(shown) < len(order):
        caption += f" Not shown: {counted(len(order) - len(shown), 'less important hyperparameter')}."
    caption += " Drag along an axis to select trials; click the axis to clear the selection."
    return Plot("Parallel coordinates", svg, caption, "full")


def _contour(result: SweepResult, x: HyperparameterColumn, y: HyperparameterColumn) -> list[Part]:
    values = np.array([trial.values[0] for trial in result.finished], dtype=np.float64)
    numbers = [trial.trial_id for trial in result.finished]
    both = np.flatnonzero(x.active & y.active & np.isfinite(values))
    if len(both) < 2:
        return []
    kept = both[np.unique(np.linspace(0, len(both) - 1, min(len(both), MOST_MARKS)).astype(int))]
    svg = contour_svg(
        _side(x, kept, result),
        _side(y, kept, result),
        values[kept],
        [numbers[i] for i in kept],
        maximize=result.directions[0] == "maximize",
        description=printable(f"{result.objectives[0]} over {x.name} and {y.name}"),
    )
    count = f"{len(kept):,} of {len(both):,} trials" if len(kept) < len(both) else counted(len(kept), "trial")
    caption = f"{count}; background: local mean, only near trials. The other hyperparameters vary as well."
    return [Plots([Plot(printable(f"{result.objectives[0]} over {x.name} and {y.name}"), svg, caption, "full")])]


def _side(column: HyperparameterColumn, kept: "np.ndarray", result: SweepResult) -> Side:
    if not column.ordered:
        ticks = [(float(index), printable(text)) for index, text in enumerate(value_texts(column.values))]
        return Side(printable(column.name), column.place[kept], column.steps, ticks)
    finished = result.finished
    setting = setting_of(column.name, [finished[i].hyperparameters[column.name] for i in kept], log=column.log,
                         span=_span(column))  # fmt: skip
    low, high = (math.log(float(end)) if column.log else float(end) for end in column.values)
    ticks = [
        (((math.log(value) if column.log else value) - low) / (high - low), printable(text))
        for value, text in setting.ticks()
    ]
    return Side(printable(column.name + (" (log)" if column.log else "")), column.place[kept], 0, ticks)


def _span(column: HyperparameterColumn) -> tuple[float, float] | None:
    """The ends of a range."""
    return (float(column.values[0]), float(column.values[-1])) if column.ordered else None
