"""The commands that train and evaluate a run, and what their results mean."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from daf.config.training import DAFTrainingConfig, Scalar, without_aliases
from daf.core.adaptive._supervisor import STDERR, STDOUT
from daf.core.adaptive.config import NETWORK, DAFAdaptiveConfig
from daf.core.adaptive.dispatch import Job
from daf.core.adaptive.record import run_dir
from daf.core.adaptive.state import Run
from daf.core.training_file import own_checkpoint, read_ended, read_training
from daf.errors import ConfigError, DamagedFileError, StorageError, UnsafePathError
from daf.storage.reading import read_bytes

HOPELESS = ("CheckpointError",)
"""Errors that another attempt would hit again. For errors of training itself, see `machine` in `training.json`."""


NOT_KEPT = ("stats/", "clock/", "system/")
"""Metrics that stay in the run directory: they are many, or differ each time."""


@dataclass(frozen=True)
class Ended:
    """The outcome of a job. values: the fields of the run's next event; None if it failed.

    again: whether another attempt may succeed.
    """

    values: Mapping[str, Any] | None
    error: str | None = None
    again: bool = True


class Commands(Protocol):
    """Creates the jobs of runs and reads their results."""

    def check(self, run: Run) -> None:
        """Raise `UsageError` if the run's settings are invalid."""

    def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """The command that trains `run` to its target, and the files whose changes show that it is alive."""

    def evaluate(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """The command that evaluates `run` in its current state, and the files whose changes show that it is alive."""

    def trained(self, run: Run, job: Job, exit_code: int) -> Ended:
        """The outcome of training: steps, checkpoint, metrics."""

    def evaluated(self, run: Run, job: Job, exit_code: int) -> Ended:
        """The outcome of the evaluation: score."""


class DafCommands:
    """`daf train` and `daf evaluate`. folder: the experiment's directory."""

    def __init__(self, config: DAFAdaptiveConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder

    def check(self, run: Run) -> None:
        """Build its training configuration."""
        training_config(self.config, run)

    def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        """`daf train` in the run's directory, up to its target."""
        folder = self.run_dir(run)
        path = folder.with_name(f"{folder.name}.yaml")
        training_config(self.config, run).to_yaml(path)
        argv = [sys.executable, "-m", "daf", "train", "--config", str(path), "--run-dir", str(folder)]
        argv += ["--stop-at", str(run.target), "--output-dir", str(self.evaluations), "--json", "--quiet"]
        if branch_from is not None:
            argv += ["--branch-from", str(branch_from)]
        return tuple(argv), (folder / "metrics.jsonl", folder / "checkpoints", folder)

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

    def trained(self, run: Run, job: Job, exit_code: int) -> Ended:
        """From `training.json`, which `daf train` writes whenever it stops."""
        path = self.run_dir(run) / "training.json"
        if exit_code != 0:
            failed = failure(job, exit_code)
            return replace(failed, again=failed.again and not _would_again(path, job))
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

    def evaluated(self, run: Run, job: Job, exit_code: int) -> Ended:
        """From the object that `daf evaluate --json` prints. If an episode failed there is no score."""
        if exit_code != 0:
            return failure(job, exit_code)
        printed = printed_object(job)
        if printed is None or not printed.get("ranking"):
            return Ended(None, f"{job.name} ended well, but printed no result to {job.folder / STDOUT}")
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


def failure(job: Job, exit_code: int) -> Ended:
    """Why a job failed, from its error message; usage errors (2) and errors that would recur are not retried."""
    told = (printed_object(job) or {}).get("error")
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    if isinstance(told, Mapping):
        words = f"{told.get('type')}: {told.get('message')}"
        return Ended(None, f"{words} ({how})", again=exit_code != 2 and told.get("type") not in HOPELESS)
    last = [line for line in _text(job.folder / STDERR).splitlines() if line.strip()][-3:]
    return Ended(None, f"{' / '.join(last) or 'no message'} ({how})", again=exit_code != 2)


def _would_again(path: Path, job: Job) -> bool:
    """Whether training failed, and not because of the machine: the same seed would fail again."""
    if (printed_object(job) or {}).get("status") != "failed":
        return False
    try:
        result = read_training(path.parent)
    except (DamagedFileError, StorageError):
        return False
    return result is not None and result.get("status") == "failed" and result.get("machine") is False


def printed_object(job: Job) -> dict[str, Any] | None:
    """The last JSON object that the job printed to stdout; None if there is none."""
    for line in reversed(_text(job.folder / STDOUT).splitlines()):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _text(path: Path) -> str:
    try:
        content = read_bytes(path)
    except (DamagedFileError, StorageError):
        return ""
    return "" if content is None else content.decode(errors="replace")


def _shown(settings: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "no settings"
