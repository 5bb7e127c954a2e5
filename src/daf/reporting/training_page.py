"""A training run as a page: how it ended, what the policy scores, every curve, every checkpoint, what was run."""

import shlex
from collections.abc import Iterable, Sequence

import numpy as np

from daf.render.curve_figure import CurveFigure, CurveSeries, curve_figure, short_count
from daf.render.report_rows import printable
from daf.render.report_view import duration
from daf.render.run_page import (
    Alert,
    Cell,
    Code,
    Column,
    Facts,
    Heading,
    Part,
    Plot,
    Plots,
    RunPage,
    Section,
    Table,
    Text,
    cell,
    printable_lines,
)
from daf.render.theme import style
from daf.reporting.run_facts import RunFacts, ending_alerts, shown, size_text, subtitle_of, what_was_run
from daf.reporting.training_run import Series, TrainingEvaluation, TrainingRun, finite
from daf.reporting.training_words import words
from daf.stats.sentences import labels, number

MOST_MISSIONS = 8
"""More missions than this are in the table of evaluations only."""
MOST_STATS = 12
"""So many of the game's stats are drawn: those that moved most."""
GROUPS = (
    (
        "learning",
        "Learning",
        (
            "loss/entropy",
            "loss/approx_kl",
            "loss/clip_fraction",
            "loss/explained_variance",
            "loss/value",
            "loss/policy",
            "loss/total",
            "loss/old_approx_kl",
            "gradient/norm",
            "schedule/learning_rate",
            "schedule/clip_range",
            "schedule/ent_coef",
        ),
    ),
    ("machine", "Machine", ("clock/sps", "clock/collect_seconds", "clock/learn_seconds", "system/memory_mb",
                            "system/gpu_memory_mb", "system/cpu_percent")),
)  # fmt: skip
PROGRESS = ("episode/return", "reward/per_step", "episode/length", "episode/count")
INTERVAL = "95 %"


def training_page(run: TrainingRun, facts: RunFacts) -> RunPage:
    """The page of `run`."""
    result = run.result
    mission, policy = (str(result.get(key) or facts.config.get(key) or "") for key in ("mission", "policy"))
    title = facts.info.title or (f"{policy} on {mission}" if policy or mission else "Training")
    sections = [
        *_evaluations(run),
        *_progress(run),
        *(section for key, title_, names in GROUPS for section in _group(run, key, title_, names)),
        *_by_prefix(run, "curriculum", "Curriculum", "curriculum/"),
        *_stats(run),
        *_checkpoints(run, facts),
        *_all_metrics(run),
        what_was_run(facts, before=_hyperparameters(run, facts), note=_repeat(run)),
    ]
    return RunPage(
        title=printable(title),
        subtitle=subtitle_of(facts.info),
        chips=_chips(run, policy, mission),
        alerts=_alerts(run, facts),
        finding=_finding(run),
        sections=sections,
        reading=_reading(run),
    )


def _chips(run: TrainingRun, policy: str, mission: str) -> list[str]:
    result = run.result
    planned = result.get("total_timesteps")
    steps = f"{run.steps:,} agent steps"
    if isinstance(planned, int) and planned != run.steps:
        steps = f"{run.steps:,} of {planned:,} agent steps"
    speed = run.series.get("clock/sps")
    return [
        *([printable(policy)] if policy else []),
        *([printable(mission)] if mission else []),
        steps,
        f"{run.updates:,} updates",
        *([f"seed {result['seed']}"] if isinstance(result.get("seed"), int) else []),
        *([f"{np.median(speed.values):,.0f} steps/s"] if speed else []),
        *([f"{status}"] if (status := str(result.get("status") or "")) else []),
    ]


def _alerts(run: TrainingRun, facts: RunFacts) -> list[Alert]:
    error = run.result.get("error")
    found: list[Alert] = []
    if isinstance(error, dict):
        message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
        first, _, rest = message.partition("\n")
        found.append(Alert(f"Training failed. {printable(first)}", bad=True, detail=printable_lines(rest.strip())))
    else:
        found += ending_alerts(facts)
    if run.result.get("status") == "stopped":
        found.append(Alert(f"Training was stopped after {run.steps:,} agent steps; the same command can go on."))
    if run.not_finite:
        told = ", ".join(f"{printable(name)} ({count})" for name, count in list(run.not_finite.items())[:6])
        found.append(Alert(f"Values that are no finite numbers are left out: {told}.", bad=True))
    if run.damaged:
        lines = "1 line" if run.damaged == 1 else f"{run.damaged:,} lines"
        found.append(Alert(f"{lines} of metrics.jsonl or evaluations.jsonl could not be read and are left out."))
    if not run.series:
        found.append(Alert("No update was logged."))
    if not run.evaluations:
        found.append(
            Alert(
                "No evaluation was made: what is shown are returns of training episodes, in which the policy samples "
                "its actions and changes meanwhile. `daf evaluate` measures it."
            )
        )
    return found


def _finding(run: TrainingRun) -> str:
    if run.evaluations:
        last, first = run.evaluations[-1], run.evaluations[0]
        text = f"After {last.step:,} agent steps the policy scores {_amount(last)} reward per agent"
        text += f" ({_episodes(last)})."
        if len(run.evaluations) > 1:
            text += f" The first evaluation, at step {first.step:,}, was {_amount(first)}."
        return text
    returns = run.series.get("episode/return")
    if returns is None or len(returns.values) < 2:
        return (
            "No episode's return was logged." if returns is None else f"One return was logged: {returns.values[0]:.4g}."
        )
    start, end = _ends(returns)
    return (
        f"The return of training episodes went from {number(start)} to {number(end)} reward per agent "
        f"(means of the first and the last tenth of {len(returns.values):,} updates)."
    )


def _amount(one: TrainingEvaluation) -> str:
    if one.low is None or one.high is None:
        return number(one.mean)
    half = (one.high - one.low) / 2
    return f"{number(one.mean, half)} [{number(one.low, half)}, {number(one.high, half)}]"


def _episodes(one: TrainingEvaluation) -> str:
    missions = f" on {len(one.missions)} missions" if len(one.missions) > 1 else ""
    return f"{one.n:,} episode{'s' if one.n != 1 else ''}{missions}"


def _ends(series: Series) -> tuple[float, float]:
    tenth = max(1, len(series.values) // 10)
    return float(np.mean(series.values[:tenth])), float(np.mean(series.values[-tenth:]))


def _evaluations(run: TrainingRun) -> list[Section]:
    found = run.evaluations
    if not found:
        return []
    names = list(dict.fromkeys(name for one in found for name in one.missions))
    shown_names = dict(zip(names, labels(names), strict=True))
    parts: list[Part] = [Plots(_evaluation_plots(found, shown_names))]
    best = max(range(len(found)), key=lambda position: found[position].mean)
    rows = []
    missions = names if 1 < len(names) <= MOST_MISSIONS else []
    seeds = {one.seed for one in found}
    replays = any(one.replays for one in found)
    for position, one in enumerate(found):
        half = _half(one.low, one.high)
        rows.append(
            [
                cell(f"{one.step:,}"),
                cell(number(one.mean, half), strong=position == best and len(found) > 1),
                cell(_bounds(one.low, one.high)),
                cell(f"{one.n:,}"),
                *(
                    cell(
                        number(score.mean, _half(score.low, score.high)) if (score := one.missions.get(name)) else None
                    )
                    for name in missions
                ),
                *([cell(one.seed)] if len(seeds) > 1 else []),
                cell(None if one.seconds is None else duration(one.seconds)),
                *([_replay_cell(one)] if replays else []),
            ]
        )
    columns = [
        Column("Agent steps", number=True),
        Column("Reward per agent", number=True),
        Column(f"{INTERVAL} interval", number=True),
        Column("Episodes", number=True),
        *(Column(shown_names[name], number=True) for name in missions),
        *([Column("First seed", number=True)] if len(seeds) > 1 else []),
        Column("Took"),
        *([Column("Replay")] if replays else []),
    ]
    note = [_seeds(seeds)]
    if len(found) > 1:
        note.append("Bold: the highest. The best of several noisy numbers flatters; new seeds tell what it is worth.")
    parts.append(Table(columns, rows, note=" ".join(text for text in note if text)))
    if len(names) > MOST_MISSIONS:
        parts.append(_mission_table(found[-1], shown_names))
    return [Section("evaluations", "Evaluations", parts)]


def _seeds(seeds: set[int | None]) -> str:
    """ "Every evaluation has seeds from 1000 on.", where that is so and known."""
    seed = next(iter(seeds)) if len(seeds) == 1 else None
    return "" if seed is None else f"The episodes of every evaluation have seeds from {seed} on."


def _replay_cell(one: TrainingEvaluation) -> Cell:
    if not one.replays:
        return cell("")
    more = f" (1 of {len(one.replays)})" if len(one.replays) > 1 else ""
    return cell(f"replay{more}", link=one.replays[0])


def _evaluation_plots(found: Sequence[TrainingEvaluation], names: dict[str, str]) -> list[Plot]:
    def series(label: str, position: int, rows: Sequence[tuple[int, float, float | None, float | None]]) -> CurveSeries:
        full = all(low is not None and high is not None for _, _, low, high in rows)
        return CurveSeries(
            label,
            style(position),
            [step for step, *_ in rows],
            [mean for _, mean, *_ in rows],
            [low for _, _, low, _ in rows if low is not None] if full else (),
            [high for *_, high in rows if high is not None] if full else (),
            points=True,
        )

    overall = series("all missions", 0, [(one.step, one.mean, one.low, one.high) for one in found])
    episodes = sorted({one.n for one in found})
    n = f"n = {episodes[0]}" if len(episodes) == 1 else f"n = {episodes[0]} to {episodes[-1]}"
    drawn = curve_figure(
        [overall],
        x_title="agent steps",
        y_title="reward per agent",
        description="Evaluations during training: mean reward per agent with intervals, by agent steps",
        size="full",
    )
    lines = f"; lines: {INTERVAL} intervals" if overall.low else "; no intervals were recorded"
    title = "Score in evaluations" + (" (mean of the missions)" if len(names) > 1 else "")
    plots = [Plot(title, drawn.svg, f"Markers: means, {n} episodes each{lines}.",
                  "full")]  # fmt: skip
    if 1 < len(names) <= MOST_MISSIONS:
        each = [
            series(
                names[name],
                position,
                [
                    (one.step, score.mean, score.low, score.high)
                    for one in found
                    if (score := one.missions.get(name)) is not None
                ],
            )
            for position, name in enumerate(names)
        ]
        drawn = curve_figure(
            each,
            x_title="agent steps",
            y_title="reward per agent",
            description="Evaluations during training, mission by mission",
            size="full",
        )
        plots.append(Plot("Score by mission", drawn.svg, f"Markers: means; lines: {INTERVAL} intervals.", "full"))
    return plots


def _mission_table(last: TrainingEvaluation, names: dict[str, str]) -> Table:
    rows = [
        [
            cell(names[name]),
            cell(number(score.mean, _half(score.low, score.high))),
            cell(_bounds(score.low, score.high)),
            cell(None if score.iqm is None else number(score.iqm, _half(score.low, score.high))),
            cell(f"{score.n:,}"),
        ]
        for name, score in last.missions.items()
    ]
    columns = [
        Column("Mission"),
        *(Column(name, number=True) for name in ("Mean", f"{INTERVAL} interval", "IQM", "Episodes")),
    ]
    return Table(columns, rows, note=f"The last evaluation, after {last.step:,} agent steps.")


def _progress(run: TrainingRun) -> list[Section]:
    plots = [
        _plot(run.series[name], "full" if name == PROGRESS[0] else "half") for name in PROGRESS if name in run.series
    ]
    return [Section("training", "Training episodes", [Plots(plots)])] if plots else []


def _group(run: TrainingRun, key: str, title: str, names: Iterable[str]) -> list[Section]:
    plots = [_plot(run.series[name]) for name in names if name in run.series]
    return [Section(key, title, [Plots(plots)])] if plots else []


def _by_prefix(run: TrainingRun, key: str, title: str, prefix: str) -> list[Section]:
    return _group(run, key, title, [name for name in run.series if name.startswith(prefix)])


def _stats(run: TrainingRun) -> list[Section]:
    found = [series for name, series in run.series.items() if name.startswith("stats/")]
    moved = sorted(found, key=lambda series: -_movement(series))
    drawn = [series for series in moved if _movement(series) > 0][:MOST_STATS]
    if not drawn:
        return []
    left = len(found) - len(drawn)
    told = (
        f"Of {len(found)} stats the {len(drawn)} that moved most: difference of the means of the first and last tenth, "
        "in standard deviations of a stat's values. All are in the table of metrics."
        if left
        else "All stats that moved, those that moved most first."
    )
    return [Section("stats", "In the game", [Text([told], muted=True), Plots([_plot(series) for series in drawn])])]


def _movement(series: Series) -> float:
    spread = float(np.std(series.values))
    start, end = _ends(series)
    return abs(end - start) / spread if spread > 0 else 0.0


def _plot(series: Series, size: str = "half") -> Plot:
    told = words(series.name)
    label = printable(told.title)
    drawn: CurveFigure = curve_figure(
        [CurveSeries(label, style(0), series.steps, series.values)],
        x_title="agent steps",
        y_title=printable(told.unit),
        description=f"{label} by agent steps",
        size=size,
    )
    said = [told.meaning] if told.meaning else []
    if drawn.window > 1:
        said.append(f"Thin: every update; thick: mean of {drawn.window} updates around each.")
    if drawn.cut:
        said.append(f"{drawn.cut:,} value{'s' if drawn.cut != 1 else ''} beyond the axis.")
    return Plot(label, drawn.svg, " ".join(said), size)


def _checkpoints(run: TrainingRun, facts: RunFacts) -> list[Section]:
    if not run.checkpoints:
        return []
    rows = [
        [
            cell(f"{one.step:,}" if one.step is not None else "last"),
            cell(one.path, link=one.path, code=False),
            cell(size_text(one.size_bytes)),
        ]
        for one in run.checkpoints
    ]
    mission = str(run.result.get("mission") or "MISSION")
    parts: list[Part] = [Table([Column("Agent steps", number=True), Column("Folder"), Column("Size")], rows)]
    if any(one.step is None for one in run.checkpoints):
        parts += [
            Text(["The last one plays by the run's name:"], muted=True),
            Code(printable(shlex.join(["daf", "evaluate", "-p", f"run:{facts.info.run_id}", "-m", mission]))),
        ]
    return [Section("checkpoints", "Checkpoints", parts)]


def _all_metrics(run: TrainingRun) -> list[Section]:
    if not run.series:
        return []
    rows = []
    for name, series in run.series.items():
        start, end = _ends(series)
        rows.append(
            [
                cell(name, code=True),
                *(cell(_short(value)) for value in (start, end, min(series.values), max(series.values))),
                cell(f"{len(series.values):,}"),
            ]
        )
    columns = [
        Column("Metric"),
        *(Column(name, number=True) for name in ("First tenth", "Last tenth", "Lowest", "Highest", "Values")),
    ]
    note = "Means of the first and the last tenth of the updates. metrics.jsonl has every value."
    return [Section("metrics", "All metrics", [Table(columns, rows, note=note)])]


def _hyperparameters(run: TrainingRun, facts: RunFacts) -> list[Part]:
    """Every hyperparameter with its default, what was changed first."""
    given = run.result.get("hyperparameters")
    if not isinstance(given, dict) or not given:
        return []
    from daf.config.hyperparameters import find

    changed: list[list[Cell]] = []
    same: list[list[Cell]] = []
    for name, value in given.items():
        known = find(name)
        row = [
            cell(name, code=True),
            cell(shown(value), strong=known is not None and value != known.default),
            cell("–" if known is None else shown(known.default)),
            cell("the policy's own" if known is None else known.meaning),
        ]
        (same if known is not None and value == known.default else changed).append(row)
    columns = [Column("Hyperparameter"), Column("Value"), Column("Default"), Column("Meaning")]
    parts: list[Part] = [Heading("Hyperparameters")]
    if changed:
        parts.append(Table(columns, changed))
    if same:
        parts.append(Table(columns, same, folded=f"{len(same)} at their defaults"))
    return parts


def _repeat(run: TrainingRun) -> str:
    return (
        "The same command with the same seed gives the same numbers on the same kind of device with the same version "
        "of torch; those of clock and machine differ."
    )


def _reading(run: TrainingRun) -> list[tuple[str, str]]:
    told = [
        (
            "One run",
            "This page is of one seed. Runs that differ in the seed only may differ more than two settings do: to say "
            "that a setting is better takes several seeds of each.",
        ),
        (
            "Agent steps",
            "One step of one agent. An episode of 1,000 steps with 8 agents has 8,000 of them.",
        ),
    ]
    if run.evaluations:
        told.append(
            (
                "Evaluations",
                f"Episodes that the policy does not learn from. {INTERVAL} intervals say how "
                "well the mean over such episodes is known for this one policy; they say nothing about other seeds of "
                "training.",
            )
        )
    return told


def _half(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else (high - low) / 2


def _bounds(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "–"
    half = (high - low) / 2
    return f"{number(low, half)} to {number(high, half)}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 else f"{value:.4g}"


__all__ = ["Facts", "finite", "short_count", "training_page"]
