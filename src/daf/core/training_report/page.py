"""The page of a training run: how it ended, scores of the policy, every curve, every checkpoint, what was run."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daf.core.learning_verdict import LearningVerdict, learning_verdict
from daf.core.recorded_training import RecordedTraining, TrainingEvaluation, read_training_run
from daf.core.training_report._agreement import agreement_section
from daf.core.training_report._learning import learning_section
from daf.core.training_report._training_curves import curve_sections, ends
from daf.core.training_report._training_evaluations import INTERVAL, evaluations_section, scored
from daf.output_manager.kinds import run_of
from daf.render.pages.files import pages_of, write_pages
from daf.render.pages.parts import Alert, Cell, Code, Column, Heading, Part, RunPage, Section, Table, Text, cell
from daf.render.pages.run_facts import RunFacts, ending_alerts, facts_of, shown, size_text, subtitle_of, what_was_run
from daf.render.text import interval, printable
from daf.stats.sentences import amount_text, counted, number
from daf.storage.printable import printable_lines

REPEAT = (
    "The same command with the same seed gives the same numbers on the same kind of device with the same version of "
    "torch, except for timings and machine metrics."
)


def write_training_page(run_dir: Path) -> Path:
    """Write the page of the run in `run_dir`, from its files, and return its path. Raises `StorageError`."""
    page = training_page(read_training_run(run_dir), facts_of(run_of(run_dir)))
    html, _ = write_pages(run_dir, pages_of(page))
    return html


def training_page(run: RecordedTraining, facts: RunFacts) -> RunPage:
    """Build the page of `run`."""
    mission, policy = (_named(run, facts, key) for key in ("mission", "policy"))
    verdict = learning_verdict(run.evaluations)
    title = facts.info.title or (f"{policy} on {mission}" if policy or mission else "Training")
    return RunPage(
        title=printable(title),
        subtitle=subtitle_of(facts.info),
        chips=_chips(run, policy, mission),
        alerts=_alerts(run, facts),
        finding=_finding(run, verdict),
        sections=[
            *learning_section(run, verdict),
            *agreement_section(run.path),
            *evaluations_section(run, facts.info.path),
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
        counted(run.updates, "update"),
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
        reasons = "\n".join(dict.fromkeys(reason for one in failed for reason in one.failures))
        count = sum(one.failed for one in failed)
        text = f"{counted(count, 'episode')} failed in {counted(len(failed), 'evaluation')}; means exclude them."
        found.append(Alert(text, bad=True, detail=printable_lines(reasons)))
    if run.result.get("status") == "stopped":
        found.append(
            Alert(
                f"Training was stopped after {run.steps:,} agent steps. Resume: daf train --resume {facts.info.run_id}."
            )
        )
    if run.not_finite:
        names = ", ".join(f"{printable(name)} ({count})" for name, count in list(run.not_finite.items())[:6])
        found.append(Alert(f"Values that are not finite numbers are omitted: {names}.", bad=True))
    if run.damaged:
        lines = "1 damaged line is" if run.damaged == 1 else f"{run.damaged:,} damaged lines are"
        found.append(Alert(f"{lines} omitted (of metrics.jsonl and evaluations.jsonl)."))
    if not run.series:
        found.append(Alert("No update was logged."))
    if not run.evaluations:
        found.append(
            Alert(
                "The policy was not evaluated. Returns are those of training episodes, in which the policy samples its "
                "actions and keeps changing. Use `daf evaluate` to score it."
            )
        )
    return found


def _finding(run: RecordedTraining, verdict: LearningVerdict) -> str:
    measured = [one for one in scored(run) if one.start is None]
    if measured:
        first, last = measured[0], measured[-1]
        if verdict.pairs:
            return f"{printable(verdict.sentence)} It scores {_amount(last)} reward per agent ({_episodes(last)})."
        text = f"After {last.step:,} agent steps the policy scores {_amount(last)} reward per agent"
        text += f" ({_episodes(last)})."
        if len(measured) > 1:
            text += f" The first evaluation, at step {first.step:,}, was {_amount(first)}."
        return f"{text} {printable(verdict.sentence)}"
    returns = run.series.get("episode/return")
    if returns is None:
        return "No return of an episode was logged."
    if len(returns.values) == 1:
        return f"One return was logged: {returns.values[0]:.4g} reward per agent."
    start, end = ends(returns)
    return (
        f"The return of training episodes went from {number(start)} to {number(end)} reward per agent "
        f"(means of the first and the last tenth of {len(returns.values):,} updates)."
    )


def _amount(one: TrainingEvaluation) -> str:
    return amount_text(one.mean or 0.0, interval(one.low, one.high))


def _episodes(one: TrainingEvaluation) -> str:
    missions = f" on {len(one.missions)} missions" if len(one.missions) > 1 else ""
    return f"{counted(one.n, 'episode')}{missions}"


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
    columns = [Column("Agent steps", number=True), Column("Score"), Column("Directory"), Column("Size")]
    parts: list[Part] = [Table(columns, rows)]
    if any(one.step is None for one in run.checkpoints):
        command = ["daf", "evaluate", "-p", f"run:{facts.info.run_id}", "-m", mission or "MISSION"]
        parts += [
            Text(["To play the last checkpoint, name the run:"], muted=True),
            Code(printable(shlex.join(command))),
        ]
    return [Section("checkpoints", "Checkpoints", parts)]


def _all_metrics(run: RecordedTraining) -> list[Section]:
    if not run.series:
        return []
    rows = []
    for name, series in run.series.items():
        numbers = (*ends(series), min(series.values), max(series.values))
        rows.append(
            [cell(name, code=True), *(cell(_short(value)) for value in numbers), cell(f"{len(series.values):,}")]
        )
    columns = [
        Column("Metric"),
        *(Column(name, number=True) for name in ("First tenth", "Last tenth", "Lowest", "Highest", "Values")),
    ]
    note = "First and last tenth: means over these updates. metrics.jsonl has all values."
    return [Section("metrics", "Metrics", [Table(columns, rows, note=note)])]


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
        parts.append(Table(columns, same, folded=f"{counted(len(same), 'hyperparameter')} at default values"))
    return parts


def _configured(given: Mapping[str, Any]) -> list[tuple[str, object, object, str]]:
    """(name, value, default, meaning) of each setting; default is `...` if this version has none for the name."""
    from daf.config import DAFTrainingConfig

    found: list[tuple[str, object, object, str]] = []
    own = "Argument of the policy class."
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
    notes = [
        (
            "One run",
            "This page shows one seed. Two seeds of the same settings can differ more than two settings do: compare "
            "settings over several seeds of each.",
        ),
        ("Agent steps", "One step of one agent. An episode of 1,000 steps with 8 agents has 8,000 agent steps."),
    ]
    if run.evaluations:
        notes.append(
            (
                "Evaluations",
                f"The policy does not learn from these episodes. {INTERVAL} intervals are for the mean over episodes "
                "for this one policy; they say nothing about other training seeds.",
            )
        )
    return notes


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 else f"{value:.4g}"
