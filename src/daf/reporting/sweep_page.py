"""A sweep as a page: what is best and how sure that is, how the search went, every trial.

Further sections, of importance and the like, are functions of the result in `MORE`; they stand before the table of all
trials.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from daf.render.curve_figure import CurveSeries, curve_figure
from daf.render.report_rows import printable
from daf.render.report_view import duration
from daf.render.run_page import Alert, Cell, Column, Facts, Part, Plot, Plots, RunPage, Section, Table, Text, cell
from daf.render.theme import style
from daf.reporting.plain_page import parts_of
from daf.reporting.run_facts import RunFacts, ending_alerts, shown, subtitle_of, what_was_run
from daf.stats.sentences import number
from daf.sweeps.result import SweepResult, SweepTrialResult, Value, hyperparameter_names

MOST_TRIALS = 5_000
MOST_DRAWN = 2_000
TOP = 10
LOG_RATIO = 50
"""A positive hyperparameter whose values span more than this is drawn on a logarithmic axis."""

MORE: list[Callable[[SweepResult], Sequence[Section]]] = []


def sweep_page(result: SweepResult, facts: RunFacts) -> RunPage:
    """The page of `result`."""
    counts = result.counts()
    sections = [
        *_best(result),
        *_held_out(result),
        *_history(result),
        *_front(result),
        *_by_hyperparameter(result),
        *(section for more in MORE for section in more(result)),
        *_trials(result),
        what_was_run(facts),
    ]
    return RunPage(
        title=printable(result.name or facts.info.title),
        subtitle=subtitle_of(facts.info),
        chips=[
            f"{len(result.trials):,} of {result.planned:,} trials"
            if result.planned
            else f"{len(result.trials):,} trials",
            *(f"{count:,} {status}" for status, count in counts.items() if count),
            *([printable(result.strategy)] if result.strategy else []),
            *(
                printable(f"{direction} {name}")
                for name, direction in zip(result.objectives, result.directions, strict=True)
            ),
        ],
        alerts=_alerts(result, facts),
        finding=_finding(result),
        sections=sections,
        reading=_reading(result),
    )


def _alerts(result: SweepResult, facts: RunFacts) -> list[Alert]:
    alerts = list(ending_alerts(facts))
    reasons = Counter(trial.reason or "no reason was recorded" for trial in result.failed)
    for reason, count in reasons.most_common(8):
        first, _, rest = reason.partition("\n")
        trials = [
            str(trial.trial_id) for trial in result.failed if (trial.reason or "no reason was recorded") == reason
        ]
        listed = f"Trials {', '.join(trials[:40])}" + (f" and {count - 40} more" if count > 40 else "")
        alerts.append(
            Alert(
                f"{count} trial{'s' if count != 1 else ''} failed: {printable(first)}",
                bad=True,
                detail=f"{listed}\n{rest}".strip(),
            )
        )
    if len(reasons) > 8:
        alerts.append(Alert(f"{len(reasons) - 8} further reasons of failure are in the table of trials.", bad=True))
    return [*alerts, *(Alert(printable(note)) for note in result.notes)]


def _finding(result: SweepResult) -> str:
    best = result.top_trials(1)
    if not best:
        return "No trial is complete, so none is best."
    trial = best[0]
    told = ", ".join(f"{name} = {_value(value)}" for name, value in trial.hyperparameters.items())
    text = f"Trial {trial.trial_id} is the best of {len(result.finished):,}: {result.objectives[0]} "
    text += number(trial.values[0]) + (f" with {told}." if told else ".")
    if result.held_out is None:
        text += " It was chosen by that number, so it flatters; it was not played on other seeds."
    return printable(text)


def _best(result: SweepResult) -> list[Section]:
    top = result.top_trials(TOP)
    if not top:
        return []
    names, folders = hyperparameter_names(top), any(trial.run_dir for trial in top)
    rows = [
        [
            cell(trial.trial_id),
            *(cell(number(value)) for value in trial.values),
            *(cell(_value(trial.hyperparameters[name]) if name in trial.hyperparameters else None) for name in names),
            *([_folder(trial)] if folders else []),
        ]
        for trial in top
    ]
    columns = [
        Column("Trial", number=True),
        *(Column(printable(name), number=True) for name in result.objectives),
        *_columns(names, top),
        *([Column("Run")] if folders else []),
    ]
    return [Section("best", "The best trials", [Table(columns, rows)])]


def _held_out(result: SweepResult) -> list[Section]:
    if result.held_out is None:
        return []
    told = Text(
        ["The best trials played episodes that none of them was chosen by, beside the default configuration."],
        muted=True,
    )
    return [Section("held-out", "On new seeds", [told, *parts_of(result.held_out)])]


def _history(result: SweepResult) -> list[Section]:
    plots = []
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
        )
        left = len(complete) - len(drawn)
        caption = f"n = {len(complete):,} complete trials" + (
            f", the last {len(drawn):,} drawn as markers" if left else ""
        )
        unfinished = len(result.trials) - len(complete)
        caption += f"; {unfinished:,} without a result are not drawn." if unfinished else "."
        plots.append(Plot(printable(f"{name} ({direction})"), figure.svg, caption, "full"))
    return [Section("history", "How the search went", [Plots(plots)])] if plots else []


def _stairs(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The corners of a line that keeps each value until the next."""
    places = [x[0], *(place for one in x[1:] for place in (one, one))]
    values = [value for one in y[:-1] for value in (one, one)]
    return places, [*values, y[-1]]


def _front(result: SweepResult) -> list[Section]:
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
        CurveSeries("not beaten", style(1), [t.values[0] for t in ordered], [t.values[1] for t in ordered], points=True,
                    joined=False, notes=[f"trial {t.trial_id}" for t in ordered]),
        CurveSeries("beaten", style(0), [t.values[0] for t in beaten], [t.values[1] for t in beaten], points=True,
                    joined=False, notes=[f"trial {t.trial_id}" for t in beaten]),
    ]  # fmt: skip
    figure = curve_figure(
        series,
        x_title=printable(x_name),
        y_title=printable(y_name),
        description=printable(f"{x_name} against {y_name}; trials that none beats in all objectives are marked"),
        size="full",
    )
    rows = [[cell(trial.trial_id), *(cell(number(value)) for value in trial.values)] for trial in ordered]
    columns = [Column("Trial", number=True), *(Column(printable(name), number=True) for name in result.objectives)]
    trials = "1 trial" if len(front) == 1 else f"{len(front)} trials"
    caption = f"{trials} that no other beats in one objective without losing in another."
    parts: list[Part] = [Plots([Plot(f"{printable(x_name)} against {printable(y_name)}", figure.svg, caption, "full")]),
                         Table(columns, rows)]  # fmt: skip
    return [Section("front", "Pareto front", parts)]


def _by_hyperparameter(result: SweepResult) -> list[Section]:
    finished = [trial for trial in result.finished if math.isfinite(trial.values[0])][-MOST_DRAWN:]
    plots = []
    for name in hyperparameter_names(finished):
        points = [
            (float(value), trial.values[0], trial.trial_id)
            for trial in finished
            if isinstance(value := trial.hyperparameters.get(name), int | float) and not isinstance(value, bool)
        ]
        if len({value for value, *_ in points}) < 2:
            continue
        low, high = min(value for value, *_ in points), max(value for value, *_ in points)
        logarithmic = low > 0 and high / low > LOG_RATIO
        placed = sorted((math.log10(value) if logarithmic else value, y, trial) for value, y, trial in points)
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
            x_title=printable(f"log10 of {name}" if logarithmic else name),
            y_title=printable(result.objectives[0]),
            description=printable(f"{result.objectives[0]} of the trials by {name}"),
        )
        plots.append(Plot(printable(name), figure.svg))
    if not plots:
        return []
    note = Text(
        [
            f"{len(finished):,} complete trials, one marker each. A trial's other hyperparameters differ too, and a "
            "search tries most where it has found most: a trend here is a hint, not an effect."
        ],
        muted=True,
    )
    return [Section("hyperparameters", "By hyperparameter", [note, Plots(plots)])]


def _trials(result: SweepResult) -> list[Section]:
    listed = result.trials[:MOST_TRIALS]
    if not listed:
        return []
    names, folders = hyperparameter_names(listed), any(trial.run_dir for trial in listed)
    tags = {"complete": "ok", "failed": "failed"}
    rows = []
    for trial in listed:
        values = [*trial.values, *([None] * (len(result.objectives) - len(trial.values)))]
        rows.append(
            [
                cell(trial.trial_id),
                cell(trial.status, tag=tags.get(trial.status, "open")),
                *(cell(None if value is None else f"{value:.6g}") for value in values[: len(result.objectives)]),
                *(cell(_value(trial.hyperparameters[n]) if n in trial.hyperparameters else None) for n in names),
                cell(None if trial.seconds is None else duration(trial.seconds)),
                cell(trial.source),
                cell(_short(trial.reason or "")),
                *([_folder(trial)] if folders else []),
            ]
        )
    columns = [
        Column("Trial", number=True),
        Column("Status", choice=True),
        *(Column(printable(name), number=True) for name in result.objectives),
        *_columns(names, listed),
        Column("Took"),
        Column("From", choice=True),
        Column("Reason"),
        *([Column("Run")] if folders else []),
    ]
    left = len(result.trials) - len(listed)
    note = f"{left:,} more are in trials.jsonl." if left else ""
    return [Section("trials", "All trials", [Table(columns, rows, note=note)])]


def _value(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def _columns(names: Sequence[str], trials: Sequence[SweepTrialResult]) -> list[Column]:
    def numeric(name: str) -> bool:
        values = [trial.hyperparameters[name] for trial in trials if name in trial.hyperparameters]
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

    return [Column(printable(name), number=numeric(name), choice=not numeric(name)) for name in names]


def _folder(trial: SweepTrialResult) -> Cell:
    place = trial.run_dir or ""
    name = place.rstrip("/").rpartition("/trials/")[2] if "/trials/" in place else place.removeprefix("trials/")
    if not place or "/" in name:
        return cell(place)
    return cell(f"trials/{name}", link=f"trials/{name}")


def _short(reason: str) -> str:
    first = reason.partition("\n")[0]
    return first if len(first) <= 160 else f"{first[:159]}…"


def _reading(result: SweepResult) -> list[tuple[str, str]]:
    told = [
        (
            "The winner's curse",
            "The best of many noisy numbers is high partly by luck, the more so the more trials there were. Only "
            "episodes that played no part in choosing (held-out seeds) say what it is worth.",
        ),
        (
            "Stopped trials",
            "A trial that was stopped early has the value at which it was stopped, and is not compared with others.",
        ),
    ]
    if len(result.objectives) > 1:
        told.append(
            ("Pareto front", "Trials that no other complete trial beats in one objective without losing in another.")
        )
    return told


__all__ = ["MORE", "Facts", "sweep_page"]
