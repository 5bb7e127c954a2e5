"""The commands that train and evaluate a run, and what their results mean."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from daf.config.training import DAFTrainingConfig, Scalar, without_aliases
from daf.core.adaptive.config import NETWORK, DAFAdaptiveConfig
from daf.core.adaptive.record import run_dir
from daf.core.adaptive.state import Run
from daf.core.jobs.interface import JobSpec
from daf.core.jobs.training import (
    JobFailure,
    failure,
    printed_object,
    progress_files,
    training_command,
    training_failure,
)
from daf.core.training_file import own_checkpoint, read_ended
from daf.errors import ConfigError, DamagedFileError, StorageError, UnsafePathError

NOT_KEPT = ("stats/", "clock/", "system/")
"""Metrics that stay in the run directory: they are many, or differ each time."""


@dataclass(frozen=True)
class Ended:
    """The outcome of a job. values: the fields of the run's next event; None if it failed.

    retry: whether another attempt may succeed.
    """

    values: Mapping[str, Any] | None
    error: str | None = None
    retry: bool = True


class Commands(Protocol):
    """Creates the jobs of runs and reads their results."""

    def check(self, run: Run) -> None:
        """Raise `UsageError` if the run's settings are invalid."""

    def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """The command that trains `run` to its target, and the files whose changes show that it is alive."""

    def evaluate(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """The command that evaluates `run` in its current state, and the files whose changes show that it is alive."""

    def trained(self, run: Run, job: JobSpec, exit_code: int) -> Ended:
        """The outcome of training: steps, checkpoint, metrics."""

    def evaluated(self, run: Run, job: JobSpec, exit_code: int) -> Ended:
        """The outcome of the evaluation: score."""


class DafCommands:
    """`daf train` and `daf evaluate`.

    folder: the experiment's directory. keep_checkpoints: how many of the newest a run keeps if its configuration does
    not say; None for its default.
    """

    def __init__(self, config: DAFAdaptiveConfig, folder: Path, *, keep_checkpoints: int | None = None) -> None:
        self.config = config
        self.folder = folder
        self._keep_checkpoints = keep_checkpoints

    def check(self, run: Run) -> None:
        """Build its training configuration."""
        training_config(self.config, run)

    def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """`daf train` in the run's directory, up to its target."""
        folder = self.run_dir(run)
        path = folder.with_name(f"{folder.name}.yaml")
        training = training_config(self.config, run)
        if self._keep_checkpoints is not None:
            training = training.keeping(self._keep_checkpoints)
        training.to_yaml(path)
        argv = training_command(path, folder, stop_at=run.target, branch_from=branch_from)
        return (*argv, "--output-dir", str(self.evaluations)), progress_files(folder)

    def evaluate(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """`daf evaluate` of its last checkpoint. Not quiet: the progress lines show that it is alive."""
        chosen = self.config.evaluation
        argv = [sys.executable, "-m", "daf", "evaluate", "-p", str(self.folder / str(run.checkpoint))]
        for mission in self.config.evaluated_on:
            argv += ["-m", mission]
        argv += [
            "--game",
            self.config.trains.game,
            "-e",
            str(chosen.episodes),
            "--seed",
            str(chosen.seed),
            "--jobs",
            str(chosen.jobs),
            "--no-report",
        ]
        argv += ["--output-dir", str(self.evaluations), "--json"]
        if chosen.max_steps is not None:
            argv += ["--max-steps", str(chosen.max_steps)]
        return tuple(argv), ()

    @property
    def evaluations(self) -> Path:
        """The output directory of evaluations, which share cached episodes."""
        return self.folder / "evaluations"

    def run_dir(self, run: Run) -> Path:
        """The run directory that `daf train` uses."""
        return run_dir(self.folder, run.name)

    def trained(self, run: Run, job: JobSpec, exit_code: int) -> Ended:
        """From `training.json`, which `daf train` writes whenever it stops."""
        path = self.run_dir(run) / "training.json"
        if exit_code != 0:
            return _failed(training_failure(job, exit_code, path.parent))
        try:
            result = read_ended(self.run_dir(run))
        except (DamagedFileError, StorageError) as error:
            return Ended(None, f"{job.name} ended well, but {error}")
        if result is None:
            return Ended(None, f"{job.name} ended well, but without {path}")
        steps, checkpoint = result["steps"], result["final_checkpoint"]
        if steps < run.target or checkpoint is None:
            return Ended(None, f"{job.name} ended well at {steps} of {run.target} steps, {result['status']}")
        try:
            place = own_checkpoint(self.run_dir(run), checkpoint)
        except UnsafePathError as error:
            return Ended(None, f"{job.name} ended well, but {path} names another place: {error}")
        place = place.relative_to(self.folder.resolve())  # so that the output directory can be moved
        metrics = result["metrics"].items()
        kept = {name: value for name, value in metrics if value is not None and not name.startswith(NOT_KEPT)}
        return Ended({"steps": steps, "checkpoint": str(place), "metrics": kept})

    def evaluated(self, run: Run, job: JobSpec, exit_code: int) -> Ended:
        """From the object that `daf evaluate --json` prints. If an episode failed there is no score."""
        if exit_code != 0:
            return _failed(failure(job, exit_code))
        printed = printed_object(job)
        if printed is None or not printed.get("ranking"):
            return Ended(None, f"{job.name} ended well, but printed no result to {job.stdout}")
        row = printed["ranking"][0]
        low, high = row["ci"] or (None, None)
        score = {"mean": row["mean"], "low": low, "high": high, "iqm": row["iqm"], "n": row["n"]}
        return Ended({"score": score})


def training_config(config: DAFAdaptiveConfig, run: Run) -> DAFTrainingConfig:
    """The training configuration of `run`: the shared section with its settings. Raises `ConfigError`, `UsageError`.

    A run that a scheduler creates has a separate seed, the shared one plus its number; listed runs use the shared seed
    unless they set one.
    """
    index = int(run.name.removeprefix("r"))
    shared = config.trains
    fields: dict[str, Any] = {"experiment_name": f"{config.experiment_id}-{run.name}"}
    if "eval_frequency" not in shared.model_fields_set:
        fields["eval_frequency"] = None  # the experiment does the evaluations
    if "eval_baselines" not in shared.model_fields_set:
        fields["eval_baselines"] = False  # its runs are compared with each other
    network: dict[str, Scalar] = dict(shared.network)
    if index >= len(config.runs):
        fields["seed"] = (shared.seed + index) % 2**31
    for name, value in run.settings.items():
        if name.startswith(NETWORK):
            network[name.removeprefix(NETWORK)] = value
        elif name == "policy":
            fields["policy"] = value
        else:
            fields |= without_aliases({name: value})
    if network:
        fields["network"] = network
    if config.checkpoint_interval is not None:
        fields["checkpoint_frequency"] = config.checkpoint_interval
    if not config.enable_checkpointing:
        fields["checkpoint_frequency"] = shared.total_timesteps
    if config.wandb_project is not None:
        fields["trackers"] = list(dict.fromkeys([*shared.trackers, "wandb"]))
        wandb = {
            "group": config.experiment_id,
            **shared.tracker_options.get("wandb", {}),
            "project": config.wandb_project,
        }
        fields["tracker_options"] = {**shared.tracker_options, "wandb": wandb}
    try:
        return shared.replace(**fields)
    except ConfigError as error:
        raise ConfigError(f"{run.name} with {_shown(run.settings)}: {error}") from error


def _failed(why: JobFailure) -> Ended:
    return Ended(None, str(why), why.retry)


def _shown(settings: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "no settings"
