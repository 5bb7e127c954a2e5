"""The page of an adaptive experiment: failures and their causes, the best run, score curves, all runs, adjustments."""

from collections.abc import Sequence
from pathlib import Path

from daf.core.adaptive.record import run_dir
from daf.core.adaptive.state import Experiment, Run
from daf.errors import DataError
from daf.render.pages.parts import Alert, Cell, Column, Part, Plot, Plots, RunPage, Section, Table, Text, cell
from daf.render.pages.plain import parts_of
from daf.render.pages.run_facts import RunFacts, ending_alerts, setting_column, shown, subtitle_of, what_was_run
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.text import estimates, interval, printable
from daf.render.theme import style
from daf.stats.sentences import amount_text, counted
from daf.storage.printable import printable_lines

MOST_CURVES = 20
INTERVAL = "95 %"


def adaptive_page(experiment: Experiment | None, facts: RunFacts) -> RunPage:
    """Build the page. Raises `DataError` if the journal is empty."""
    if experiment is None:
        raise DataError(f"{facts.info.path} holds no experiment: its journal is empty.")
    runs = list(experiment.runs.values())
    states: dict[str, int] = {}
    for run in runs:
        states[run.status] = states.get(run.status, 0) + 1
    sections = [*_scores(experiment), *_runs(experiment, facts), *_changes(experiment), what_was_run(facts)]
    return RunPage(
        title=printable(experiment.experiment_id or facts.info.title),
        subtitle=subtitle_of(facts.info),
        chips=[
            counted(len(runs), "run"),
            *(f"{count} {state}" for state, count in states.items()),
            *([printable(str(scheduler))] if (scheduler := experiment.config.get("scheduler")) else []),
            *([f"{experiment.sessions} sessions"] if experiment.sessions > 1 else []),
            printable(experiment.status),
        ],
        alerts=_alerts(experiment, facts),
        finding=_finding(experiment),
        sections=sections,
        reading=[
            (
                "The best run",
                "Only the runs that trained longest are compared. The best of several noisy scores is biased upwards: "
                "train and evaluate these settings on new seeds before you rely on them.",
            ),
            ("Intervals", f"{INTERVAL} intervals of the mean over the episodes of one evaluation."),
        ],
    )


def _alerts(experiment: Experiment, facts: RunFacts) -> list[Alert]:
    alerts = []
    for run in experiment.runs.values():
        if run.error is not None:
            first, _, rest = run.error.partition("\n")
            bad = run.status in ("failed", "stale")
            what = "failed" if run.status == "failed" else f"failed earlier (now {run.status})"
            launches = counted(run.launches, "launch", "launches")
            text = printable(f"{run.name} {what} after {counted(run.steps, 'step')} and {launches}: {first}")
            alerts.append(Alert(text, bad=bad, detail=printable_lines(rest.strip())))
    alerts.sort(key=lambda alert: not alert.bad)
    ended = ending_alerts(facts)
    if experiment.reason and not ended:
        alerts.append(Alert(printable(experiment.reason)))
    return [*alerts, *ended]


def _finding(experiment: Experiment) -> str:
    best = experiment.best
    if best is None or best.score is None:
        return "No run was evaluated, so there is no best run."
    settings = ", ".join(f"{name} = {shown(value)}" for name, value in best.settings.items())
    score = best.score
    amount = amount_text(score.mean, interval(score.low, score.high))
    runs = counted(len(experiment.ranked()), "evaluated run")
    text = f"{best.name} is the best of {runs}: {amount} reward per agent "
    text += f"after {counted(score.trained, 'step')} (n = {score.n})"
    return printable(f"{text}, with {settings}." if settings else f"{text}.")


def _scores(experiment: Experiment) -> list[Section]:
    ranked = experiment.ranked()
    if not ranked:
        return []
    series = []
    for position, run in enumerate(ranked[:MOST_CURVES]):
        full = all(score.low is not None and score.high is not None for score in run.scores)
        series.append(
            CurveSeries(
                printable(run.name),
                style(position),
                [score.trained for score in run.scores],
                [score.mean for score in run.scores],
                [score.low for score in run.scores if score.low is not None] if full else (),
                [score.high for score in run.scores if score.high is not None] if full else (),
                points=True,
            )
        )
    figure = curve_figure(
        series,
        x_title="agent steps",
        y_title="reward per agent",
        description="Score of each run by agent steps",
        size="full",
    )
    left = len(ranked) - len(series)
    caption = f"Markers: means of evaluations; lines: {INTERVAL} intervals." + (
        f" Not drawn: {counted(left, 'run')} with the lowest scores." if left else ""
    )
    return [Section("scores", "Scores", [Plots([Plot("Score of each run", figure.svg, caption, "full")])])]


def _runs(experiment: Experiment, facts: RunFacts) -> list[Section]:
    ranks = {run.name: position for position, run in enumerate(experiment.ranked(), 1)}
    runs = sorted(experiment.runs.values(), key=lambda run: ranks.get(run.name, len(ranks) + 1))
    if not runs:
        return []
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    branched = any(run.parent for run in runs)
    around = [None if run.score is None else interval(run.score.low, run.score.high) for run in runs]
    texts = estimates([None if run.score is None else run.score.mean for run in runs], around)
    settings = {name: setting_column([run.settings.get(name) for run in runs]) for name in names}
    rows = [
        _row(run, ranks, (score, ci), [settings[name][place] for name in names], facts.info.path, branched=branched)
        for place, (run, score, ci) in enumerate(zip(runs, *texts, strict=True))
    ]
    columns = [
        Column("Rank", number=True),
        Column("Run"),
        Column("Status", choice=True),
        Column("Steps", number=True),
        Column("Score", number=True),
        Column(f"{INTERVAL} interval", number=True),
        Column("Episodes", number=True),
        Column("Reason", prose=True),
        *(Column(printable(name), number=_numeric(name, runs)) for name in names),
        *([Column("Started from")] if branched else []),
        Column("Launches", number=True),
    ]
    note = "Links lead to reports if they exist, else to run directories; daf report DIRECTORY writes a report."
    return [Section("runs", "Runs", [Table(columns, rows, note=note)])]


def _row(
    run: Run,
    ranks: dict[str, int],
    score: tuple[str, str],
    settings: Sequence[str],
    folder: Path,
    *,
    branched: bool,
) -> list[Cell]:
    tag = "ok" if run.status == "done" else "failed" if run.status in ("failed", "stale") else "open"
    place = run_dir(folder, run.name)
    page = place / "report.html" if (place / "report.html").is_file() else place
    return [
        cell(ranks.get(run.name)),
        cell(run.name, link=page.relative_to(folder).as_posix()) if place.is_dir() else cell(run.name),
        cell(run.status, tag=tag),
        cell(f"{run.steps:,}"),
        *map(cell, score),
        cell(None if run.score is None else run.score.n),
        cell(run.why),
        *map(cell, settings),
        *([cell("" if run.parent is None else f"{run.parent[0]} at {run.parent[1]:,}")] if branched else []),
        cell(run.launches),
    ]


def _numeric(name: str, runs: Sequence[Run]) -> bool:
    values = [run.settings[name] for run in runs if name in run.settings]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _changes(experiment: Experiment) -> list[Section]:
    parts: list[Part] = []
    if experiment.adjustments:
        parts += [Text(["Changes made while the experiment ran:"], muted=True)]
        parts += parts_of([{k: v for k, v in one.items() if k != "event"} for one in experiment.adjustments])
    failed = {name: state for name, state in experiment.hooks.items() if state not in ("done", "called")}
    if failed:
        parts += parts_of(failed)
    return [Section("changes", "Adjustments and hooks", parts)] if parts else []
