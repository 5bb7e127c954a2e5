"""The page of a training run: how it ended, scores of the policy, every curve, every checkpoint, what was run."""

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from daf.core.recorded_training import RecordedTraining, TrainingEvaluation
from daf.render.pages.parts import Alert, Cell, Code, Column, Heading, Part, RunPage, Section, Table, Text, cell
from daf.render.pages.run_facts import RunFacts, ending_alerts, shown, size_text, subtitle_of, what_was_run
from daf.render.pages.score_words import amount_of
from daf.render.text import printable
from daf.reporting._training_curves import curve_sections, ends
from daf.reporting._training_evaluations import INTERVAL, evaluations_section, scored
from daf.stats.sentences import number
from daf.storage.printable import printable_lines

REPEAT = (
    "The same command with the same seed gives the same numbers on the same kind of device with the same version of "
    "torch; those of clock and machine differ."
)


def training_page(run: RecordedTraining, facts: RunFacts) -> RunPage:
    """Build the page of `run`."""
    mission, policy = (_named(run, facts, key) for key in ("mission", "policy"))
    title = facts.info.title or (f"{policy} on {mission}" if policy or mission else "Training")
    return RunPage(
        title=printable(title),
        subtitle=subtitle_of(facts.info),
        chips=_chips(run, policy, mission),
        alerts=_alerts(run, facts),
        finding=_finding(run),
        sections=[
            *evaluations_section(run),
            *curve_sections(run),
            *_checkpoints(run, facts, mission),
            *_all_metrics(run),
            what_was_run(facts, before=_hyperparameters(run), note=REPEAT),
        ],
        reading=_reading(run),
    )


def _named(run: RecordedTraining, facts: RunFacts, key: str) -> str:
    value = run.result.get(key) or facts.config.get(key) or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _chips(run: RecordedTraining, policy: str, mission: str) -> list[str]:
    result = run.result
    planned, seed, status = result.get("total_timesteps"), result.get("seed"), str(result.get("status") or "")
    steps = f"{run.steps:,} agent steps"
    if isinstance(planned, int) and planned > run.steps:
        steps = f"{run.steps:,} of {planned:,} agent steps"
    speed = run.series.get("clock/sps")
    return [
        *([printable(policy)] if policy else []),
        *([printable(mission)] if mission else []),
        steps,
        f"{run.updates:,} update{'s' if run.updates != 1 else ''}",
        *([f"seed {seed}"] if isinstance(seed, int) else []),
        *([f"{np.median(speed.values):,.0f} steps/s"] if speed else []),
        *([printable(status)] if status else []),
    ]


def _alerts(run: RecordedTraining, facts: RunFacts) -> list[Alert]:
    error = run.result.get("error")
    found: list[Alert] = []
    if isinstance(error, dict):
        message = f"{error.get('type', 'Error')}: {error.get('message', '')}"
        first, _, rest = message.partition("\n")
        found.append(Alert(f"Training failed. {printable(first)}", bad=True, detail=printable_lines(rest.strip())))
    else:
        found += ending_alerts(facts)
    failed = [one for one in run.evaluations if one.failed]
    if failed:
        told = "\n".join(dict.fromkeys(reason for one in failed for reason in one.failures))
        count = sum(one.failed for one in failed)
        text = f"{count} episode{'s' if count != 1 else ''} of {len(failed)} evaluations failed; no mean counts them."
        found.append(Alert(text, bad=True, detail=printable_lines(told)))
    if run.result.get("status") == "stopped":
        found.append(Alert(f"Training was stopped after {run.steps:,} agent steps; the same command can go on."))
    if run.not_finite:
        told = ", ".join(f"{printable(name)} ({count})" for name, count in list(run.not_finite.items())[:6])
        found.append(Alert(f"Values that are not finite numbers are omitted: {told}.", bad=True))
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


def _finding(run: RecordedTraining) -> str:
    measured = scored(run)
    if measured:
        first, last = measured[0], measured[-1]
        text = f"After {last.step:,} agent steps the policy scores {_amount(last)} reward per agent"
        text += f" ({_episodes(last)})."
        if len(measured) > 1:
            text += f" The first evaluation, at step {first.step:,}, was {_amount(first)}."
        return text
    returns = run.series.get("episode/return")
    if returns is None:
        return "No episode's return was logged."
    if len(returns.values) == 1:
        return f"One return was logged: {returns.values[0]:.4g} reward per agent."
    start, end = ends(returns)
    return (
        f"The return of training episodes went from {number(start)} to {number(end)} reward per agent "
        f"(means of the first and the last tenth of {len(returns.values):,} updates)."
    )


def _amount(one: TrainingEvaluation) -> str:
    return amount_of(one.mean or 0.0, one.low, one.high)


def _episodes(one: TrainingEvaluation) -> str:
    missions = f" on {len(one.missions)} missions" if len(one.missions) > 1 else ""
    return f"{one.n:,} episode{'s' if one.n != 1 else ''}{missions}"


def _checkpoints(run: RecordedTraining, facts: RunFacts, mission: str) -> list[Section]:
    if not run.checkpoints:
        return []
    scores = {one.step: one for one in scored(run)}
    rows = []
    for one in run.checkpoints:
        score = scores.get(run.steps if one.step is None else one.step)
        rows.append(
            [
                cell(f"{one.step:,}" if one.step is not None else "last"),
                cell(None if score is None else _amount(score)),
                cell(one.path, link=one.path),
                cell(size_text(one.size_bytes)),
            ]
        )
    columns = [Column("Agent steps", number=True), Column("Evaluated"), Column("Folder"), Column("Size")]
    parts: list[Part] = [Table(columns, rows)]
    if any(one.step is None for one in run.checkpoints):
        command = ["daf", "evaluate", "-p", f"run:{facts.info.run_id}", "-m", mission or "MISSION"]
        parts += [Text(["The last one plays by the run's name:"], muted=True), Code(printable(shlex.join(command)))]
    return [Section("checkpoints", "Checkpoints", parts)]


def _all_metrics(run: RecordedTraining) -> list[Section]:
    if not run.series:
        return []
    rows = []
    for name, series in run.series.items():
        told = (*ends(series), min(series.values), max(series.values))
        rows.append([cell(name, code=True), *(cell(_short(value)) for value in told), cell(f"{len(series.values):,}")])
    columns = [
        Column("Metric"),
        *(Column(name, number=True) for name in ("First tenth", "Last tenth", "Lowest", "Highest", "Values")),
    ]
    note = "Means of the first and the last tenth of the updates. metrics.jsonl has every value."
    return [Section("metrics", "All metrics", [Table(columns, rows, note=note)])]


def _hyperparameters(run: RecordedTraining) -> list[Part]:
    """The settings of the run next to the defaults, changed ones first."""
    given = run.result.get("hyperparameters")
    if not isinstance(given, dict) or not given:
        return []
    changed: list[list[Cell]] = []
    same: list[list[Cell]] = []
    for name, value, default, meaning in _configured(given):
        differs = default is not ... and value != default
        row = [
            cell(name, code=True),
            cell(shown(value), strong=differs),
            cell(None if default is ... else shown(default)),
            cell(meaning),
        ]
        (changed if differs or default is ... else same).append(row)
    columns = [Column("Hyperparameter"), Column("Value"), Column("Default"), Column("Meaning")]
    parts: list[Part] = [Heading("Hyperparameters")]
    if changed:
        parts.append(Table(columns, changed))
    if same:
        parts.append(Table(columns, same, folded=f"{len(same)} at their defaults"))
    return parts


def _configured(given: Mapping[str, Any]) -> list[tuple[str, object, object, str]]:
    """(name, value, default, meaning) of each setting; default is `...` if this version has none for the name."""
    from daf.config import DAFTrainingConfig

    found: list[tuple[str, object, object, str]] = []
    own = "Argument of the policy's own class."
    for name, value in given.items():
        field = DAFTrainingConfig.model_fields.get(name)
        if name == "network" and isinstance(value, dict):
            found += [(f"network.{key}", inner, ..., own) for key, inner in value.items()]
        elif field is None:
            found.append((name, value, ..., own))
        else:
            found.append((name, value, field.get_default(call_default_factory=True), field.description or ""))
    return found


def _reading(run: RecordedTraining) -> list[tuple[str, str]]:
    told = [
        (
            "One run",
            "This page is of one seed. Runs that differ in the seed only may differ more than two settings do: to say "
            "that a setting is better takes several seeds of each.",
        ),
        ("Agent steps", "One step of one agent. An episode of 1,000 steps with 8 agents has 8,000 of them."),
    ]
    if run.evaluations:
        told.append(
            (
                "Evaluations",
                f"Episodes that the policy does not learn from. {INTERVAL} intervals say how well the mean over such "
                "episodes is known for this one policy; they say nothing about other seeds of training.",
            )
        )
    return told


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 else f"{value:.4g}"
