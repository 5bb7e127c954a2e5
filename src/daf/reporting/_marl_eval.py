"""Runs in the JSON format of marl-eval, the evaluation protocol of Gorsane et al., "Towards a Standardised Performance
Evaluation Protocol for Cooperative MARL", NeurIPS 2022.

    {environment: {task: {algorithm: {"seed_42": {"step_1": {"step_count": N, "return": […]}, …,
                                                  "absolute_metrics": {"return": […]}}}}}}

A task is a mission, `return` the reward per agent of each episode. A training run is one seed of its algorithm: the
evaluations during training are its steps. The absolute metrics come from evaluations that played a checkpoint of the
run, for which the protocol asks ten times as many episodes. A policy that was not trained by the given runs has its
episodes as the only step, at 0, and as its absolute metrics. Failed episodes are left out, and counted in a note.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.core.recorded_training import read_training_run
from daf.episodes.plan_file import read_plan
from daf.episodes.results_file import read_results
from daf.errors import DataError, UsageError
from daf.output_manager import RunInfo
from daf.output_manager.kinds import kind_of, read_json, run_of
from daf.output_manager.layout import EXPERIMENT_CONFIG
from daf.stats.sentences import counted
from daf.storage.atomic import write_text
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

METRIC, STEPS, ABSOLUTE = "return", "step_count", "absolute_metrics"
TIMES = 10
"""Episodes of the absolute metrics for each episode of an evaluation during training, as the protocol asks."""
GAME = "cogs_vs_clips"
_PLAYED = ("evaluation", "comparison")
"""Kinds of runs that have the returns of policies, and nothing else."""
_NOT_SETTINGS = ("seed", "experiment_name", "mission", "eval_missions")
"""Fields of a training run in which the runs of one algorithm may differ."""


@dataclass
class _Run:
    """One seed of an algorithm. steps: by task, the agent steps and returns of each evaluation. absolute: by task."""

    algorithm: str
    seed: object
    place: Path | None
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    games: dict[str, str] = field(default_factory=dict)
    steps: dict[str, list[tuple[int, list[float]]]] = field(default_factory=lambda: defaultdict(list))
    absolute: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class MarlEvalFile:
    """data: the file's content. notes: what a reader must know about it."""

    data: dict[str, Any]
    notes: tuple[str, ...]


def daf_export_marl_eval(
    runs: Sequence[str | Path],
    output_path: str | Path | None = None,
    *,
    base_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> MarlEvalFile:
    """Training runs and evaluations in marl-eval's format; with output_path, also write the file.

    runs: ids, "latest" or directories. Raises `UsageError` (another kind of run; training runs with different settings
    and one name), `DataError` (no evaluations, or none of a training run's checkpoints), `StorageError`.
    """
    infos = [run_of(run, base_dir) for run in runs]
    kinds = {info.path: kind_of(info.path) for info in infos}
    for info in infos:
        if kinds[info.path] not in ("training", *_PLAYED):
            raise UsageError(
                f"{info.operation}/{info.run_id} is neither a training run nor an evaluation or comparison; only those "
                "have the returns that marl-eval needs."
            )
    failed: list[str] = []
    found = [_trained(info, failed) for info in infos if kinds[info.path] == "training"]
    _check_settings(found)
    for info in infos:
        if kinds[info.path] in _PLAYED:
            found += _evaluated(info, found, failed)
    notes = [*_absolute_notes(found)]
    if failed:
        notes.append(f"{counted(len(failed), 'failed episode')} left out.")
    file = MarlEvalFile(_tree(found), tuple(notes))
    if output_path is not None:
        write_text(Path(output_path).expanduser(), json.dumps(file.data, indent=1, ensure_ascii=False) + "\n")
    if console is not None:
        for note in file.notes:
            console.print(terminal_text(note), soft_wrap=True)
    return file


def _trained(info: RunInfo, failed: list[str]) -> _Run:
    training = read_training_run(info.path)
    config = read_json(info.path / EXPERIMENT_CONFIG) or {}
    policy = str(training.result.get("policy") or config.get("policy") or "policy")
    settings = {key: value for key, value in config.items() if key not in _NOT_SETTINGS}
    seed = training.result.get("seed", config.get("seed"))
    run = _Run(info.labels.name or policy, seed, info.path.resolve(), info.run_id, settings)
    for evaluation in training.evaluations:
        for task, returns in evaluation.returns.items():
            run.games[task] = str(config.get("game") or GAME)
            run.steps[task].append((evaluation.step, [value for value in returns if value is not None]))
            failed += [f"{info.run_id} {task}"] * sum(value is None for value in returns)
    if not run.steps:
        raise DataError(
            f"{info.path} has no evaluations with their episodes' returns. Train with --eval-every, or leave it out."
        )
    return run


def _check_settings(trained: Sequence[_Run]) -> None:
    """Runs of one algorithm differ in their seeds only."""
    first: dict[str, _Run] = {}
    for run in trained:
        other = first.setdefault(run.algorithm, run)
        keys = sorted(set(run.settings) | set(other.settings))
        differs = [key for key in keys if run.settings.get(key) != other.settings.get(key)]
        if differs:
            raise UsageError(
                f"runs {other.label} and {run.label} are both {run.algorithm}, with different settings "
                f"({', '.join(differs[:4])}). Name them as different algorithms: daf runs rename {run.label} NAME."
            )


def _evaluated(info: RunInfo, trained: Sequence[_Run], failed: list[str]) -> list[_Run]:
    """Add an evaluation to the training runs whose checkpoints it played, and return the other policies as runs."""
    plan, results = read_plan(info.path), read_results(info.path)
    if plan is None or results is None:
        raise DataError(f"{info.path} has no plan.json and results.json, so it has no returns.")
    rewards = {episode["key"]: episode["rewards"] for episode in results.get("episodes", ())}
    games = {mission.name: mission.game or GAME for mission in plan.missions}
    others: dict[int, _Run] = {}
    for planned in plan.episodes:
        contender = plan.contenders[planned.contender]
        paths = [plan.policies[number].data_path for number in contender.policies]
        run = next((one for one in trained if one.place and all(_inside(path, one.place) for path in paths)), None)
        if run is None:
            run = others.setdefault(planned.contender, _Run(contender.name, plan.seed, None, info.run_id))
        run.games.setdefault(planned.mission, games.get(planned.mission, GAME))
        returns = rewards.get(planned.key)
        if returns:
            run.absolute[planned.mission].append(sum(returns) / len(returns))
        else:
            failed.append(f"{info.run_id} {planned.mission}")
    for run in others.values():
        for task, returns in run.absolute.items():
            run.steps[task].append((0, returns))
    return list(others.values())


def _inside(path: str | None, place: Path) -> bool:
    return path is not None and Path(path).resolve().is_relative_to(place)


def _absolute_notes(found: Sequence[_Run]) -> list[str]:
    notes = []
    for run in found:
        for task, steps in run.steps.items():
            count, needed = len(run.absolute.get(task, ())), TIMES * max(len(returns) for _, returns in steps)
            if not count:
                raise DataError(
                    f"no evaluation given played a checkpoint of training run {run.label} on {task}, which its "
                    f"absolute metrics need. Run `daf evaluate -p run:{run.label} -m {task} -e {needed}`, and name "
                    "that run too."
                )
            if run.place is not None and count < needed:
                notes.append(
                    f"{run.algorithm} on {task}: the absolute metrics have {counted(count, 'episode')}; the protocol "
                    f"asks for {needed}."
                )
    return notes


def _tree(found: Sequence[_Run]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for run in found:
        for task, steps in run.steps.items():
            seeds = tree.setdefault(run.games[task], {}).setdefault(task, {}).setdefault(run.algorithm, {})
            content: dict[str, Any] = {
                f"step_{number}": {STEPS: step, METRIC: returns} for number, (step, returns) in enumerate(steps, 1)
            }
            name, number = f"seed_{run.seed}", 1
            while name in seeds:
                number += 1
                name = f"seed_{run.seed}_{number}"
            seeds[name] = content | {ABSOLUTE: {METRIC: run.absolute[task]}}
    return tree
