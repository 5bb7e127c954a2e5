"""Figures of the sweep page: the search by trial, the Pareto front, the objective by hyperparameter."""

import math
from collections.abc import Collection, Sequence

from daf.render.pages.parts import Column, Part, Plot, Plots, Section, Table, Text, cell
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.text import printable, same_decimals
from daf.render.theme import style
from daf.stats.sentences import counted
from daf.sweeps.analysis_columns import drawn_columns
from daf.sweeps.pages._sweep_space import choice_plots
from daf.sweeps.result import SweepResult, hyperparameter_names

MOST_DRAWN = 2_000


def history_section(result: SweepResult) -> list[Section]:
    plots = []
    failed = [trial.trial_id for trial in result.failed][:MOST_DRAWN]
    for position, (name, direction) in enumerate(zip(result.objectives, result.directions, strict=True)):
        complete = [trial for trial in result.trials if trial.success and math.isfinite(trial.values[position])]
        if not complete:
            continue
        best: list[float] = []
        for trial in complete:
            value = trial.values[position]
            better = max if direction == "maximize" else min
            best.append(better(best[-1], value) if best else value)
        drawn = complete[-MOST_DRAWN:]
        values = CurveSeries(
            "trials",
            style(0),
            [trial.trial_id for trial in drawn],
            [trial.values[position] for trial in drawn],
            points=True,
            joined=False,
        )
        series = [values]
        if len(complete) > 1:
            so_far = CurveSeries(
                "best so far", style(1), *_stairs([trial.trial_id for trial in complete], best), smooth=False
            )
            series.append(so_far)
        figure = curve_figure(
            series,
            x_title="trial",
            y_title=printable(name),
            description=printable(f"{name} of every complete trial, and the best so far"),
            size="full",
            without=failed,
        )
        left = len(complete) - len(drawn)
        caption = f"n = {counted(len(complete), 'complete trial')}" + (
            f", the last {len(drawn):,} drawn as markers" if left else ""
        )
        unfinished = len(result.trials) - len(complete)
        others = unfinished - len(result.failed) - len(result.infeasible)
        rest = [f"{len(result.failed):,} failed (crosses)"] if failed else []
        rest += [f"{len(result.infeasible):,} infeasible (not drawn)"] if result.infeasible else []
        rest += [f"{others:,} stopped or still running"] if others else []
        caption += "".join(f"; {part}" for part in rest) + "."
        plots.append(Plot(printable(f"{name} ({direction})"), figure.svg, caption, "full"))
    return [Section("history", "Optimization history", [Plots(plots)])] if plots else []


def _stairs(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The corners of a step function that keeps each value until the next."""
    places = [x[0], *(place for one in x[1:] for place in (one, one))]
    values = [value for one in y[:-1] for value in (one, one)]
    return places, [*values, y[-1]]


def front_section(result: SweepResult) -> list[Section]:
    if len(result.objectives) < 2:
        return []
    front = result.pareto_trials()
    if not front:
        return []
    ordered = sorted(front, key=lambda trial: trial.values[0])
    beaten = sorted(
        (trial for trial in result.finished if trial.trial_id not in {one.trial_id for one in front}),
        key=lambda trial: trial.values[0],
    )[:MOST_DRAWN]
    x_name, y_name = result.objectives[:2]
    series = [
        CurveSeries("front", style(1), [t.values[0] for t in ordered], [t.values[1] for t in ordered], points=True,
                    joined=False, notes=[f"trial {t.trial_id}" for t in ordered]),
        CurveSeries("beaten", style(0), [t.values[0] for t in beaten], [t.values[1] for t in beaten], points=True,
                    joined=False, notes=[f"trial {t.trial_id}" for t in beaten]),
    ]  # fmt: skip
    figure = curve_figure(
        series,
        x_title=printable(x_name),
        y_title=printable(y_name),
        description=printable(f"{x_name} against {y_name}; Pareto-optimal trials are marked"),
        size="full",
    )
    texts = [same_decimals([trial.values[place] for trial in ordered]) for place in range(len(result.objectives))]
    rows = [[cell(trial.trial_id), *map(cell, row)] for trial, *row in zip(ordered, *texts, strict=True)]
    columns = [Column("Trial", number=True), *(Column(printable(name), number=True) for name in result.objectives)]
    trials = counted(len(front), "Pareto-optimal trial")
    caption = f"{trials}: no other trial is better in one objective without being worse in another."
    parts: list[Part] = [Plots([Plot(f"{printable(x_name)} against {printable(y_name)}", figure.svg, caption, "full")]),
                         Table(columns, rows)]  # fmt: skip
    return [Section("front", "Pareto front", parts)]


def hyperparameter_section(result: SweepResult, logarithms: Collection[str]) -> list[Section]:
    """The primary objective against each numeric hyperparameter. logarithms: those searched on a logarithmic scale."""
    finished = [trial for trial in result.finished if math.isfinite(trial.values[0])][-MOST_DRAWN:]
    plots = []
    choices = {column.name for column in drawn_columns(result) if not column.ordered}
    for name in hyperparameter_names(finished):
        if name in choices:
            continue
        points = [
            (float(value), trial.values[0], trial.trial_id)
            for trial in finished
            if isinstance(value := trial.hyperparameters.get(name), int | float) and not isinstance(value, bool)
        ]
        if len({value for value, *_ in points}) < 2:
            continue
        logarithmic = name in logarithms and all(value > 0 for value, *_ in points)
        placed = sorted(points)
        figure = curve_figure(
            [
                CurveSeries(
                    printable(name),
                    style(0),
                    [x for x, *_ in placed],
                    [y for _, y, _ in placed],
                    points=True,
                    joined=False,
                    notes=[f"trial {trial}" for *_, trial in placed],
                )
            ],
            x_title=printable(f"{name} (log)" if logarithmic else name),
            x_log=logarithmic,
            y_title=printable(result.objectives[0]),
            description=printable(f"{result.objectives[0]} of the trials by {name}"),
        )
        plots.append(Plot(printable(name), figure.svg))
    plots += choice_plots(result)
    if not plots:
        return []
    note = Text(
        [
            f"{counted(len(finished), 'complete trial')}, one marker each. The other hyperparameters vary as well, "
            "and a "
            "search samples good regions more densely: a trend here is a hint, not an effect."
        ],
        muted=True,
    )
    return [Section("hyperparameters", "Objective by hyperparameter", [note, Plots(plots)])]
