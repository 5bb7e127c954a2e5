"""Training run of a trial: `daf train` in the trial's directory, as a job that ends with the sweep's process.

If the directory has a checkpoint, training resumes from it with bit-identical results. A job that was killed, ran out
of memory or ran out of disk space failed because of its machine and is worth another attempt; a run that diverged is
not.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daf.config.training import DAFTrainingConfig
from daf.core.jobs.interface import JobError, JobRunner, JobSpec, JobStatus, stop, unused_folder
from daf.core.jobs.training import progress_files, training_command, training_failure
from daf.core.training_file import FILE, own_checkpoint, read_ended
from daf.errors import CheckpointError, DamagedFileError, UnsafePathError
from daf.storage import atomic
from daf.sweeps.playing import TOO_LONG, TrialFailed

JOBS = "jobs"
"""Directory of a sweep with a directory per job: `0003-end-1` is the first attempt at training trial 3 to its end."""
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 30.0
"""Time that a training run has to write its checkpoint after it was asked to stop."""


class TrainingStopped(Exception):
    """The sweep was interrupted during the training of this trial, which has no result yet."""


@dataclass(frozen=True)
class TrainedTrial:
    """A training run that reached its goal. metrics: the last ones. seconds: total wall time of all its processes.

    before: agent steps before its last update.
    """

    steps: int
    before: int
    checkpoint: Path
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrialTraining:
    """Trains the trials of the sweep in `sweep_dir`.

    stop: set by another thread to end training with a checkpoint. keep_checkpoints: how many of the newest a trial
    keeps if its configuration does not say.
    """

    runner: JobRunner
    sweep_dir: Path
    stop: threading.Event
    keep_checkpoints: int
    gpu_allowed: bool = True

    def train(
        self, run_dir: Path, config: DAFTrainingConfig, *, stop_at: int | None, deadline: float | None
    ) -> TrainedTrial:
        """Train in `run_dir` until `stop_at` agent steps, or to the end. Raises `TrialFailed`, `TrainingStopped`.

        If training has passed `stop_at`, it is rolled back: the checkpoint is always that of `stop_at`. deadline: a
        value of `time.monotonic()`.
        """
        done = self._trained(run_dir, config, stop_at, deadline)
        if stop_at is not None and done.before >= stop_at:
            roll_back(done.checkpoint.parent, stop_at)
            done = self._trained(run_dir, config, stop_at, deadline)
        return done

    def _trained(
        self, run_dir: Path, config: DAFTrainingConfig, stop_at: int | None, deadline: float | None
    ) -> TrainedTrial:
        settings = run_dir.with_name(f"{run_dir.name}.yaml")
        config.keeping(self.keep_checkpoints).to_yaml(settings)
        status = JobStatus("absent")
        for _ in range(self.runner.attempts_if_gone):
            folder = unused_folder(self.sweep_dir / JOBS, f"{run_dir.name}-{'end' if stop_at is None else stop_at}")
            job = JobSpec(
                folder.name,
                training_command(settings, run_dir, stop_at=stop_at),
                folder,
                progress_files(run_dir),
                environment={} if self.gpu_allowed else {"DAF_ENABLE_GPU": "false"},
                outlives_launcher=False,
            )
            try:
                status = self._ended(job, deadline)
            except JobError as error:
                raise TrialFailed(str(error), machine=True) from error
            if status.state != "gone":
                break
        if status.exit_code is None:
            raise TrialFailed(f"its training was killed; see {job.stderr}", machine=True)
        if status.exit_code != 0:
            why = training_failure(job, status.exit_code, run_dir)
            raise TrialFailed(f"training failed: {why}; see {job.stderr}", machine=why.retry)
        try:
            found = read_ended(run_dir)
            if found is None:
                raise TrialFailed(f"training ended without {FILE}; see {job.stderr}")
            if found["final_checkpoint"] is None:
                raise TrialFailed(f"training ended at {found['steps']} steps without a checkpoint; see {job.stderr}")
            checkpoint = own_checkpoint(run_dir, found["final_checkpoint"])
        except (DamagedFileError, UnsafePathError) as error:
            raise TrialFailed(str(error)) from error
        return TrainedTrial(
            steps=found["steps"],
            before=found["steps"] - found["steps"] // max(1, found["updates"]),
            checkpoint=checkpoint,
            seconds=found["wall_seconds"],
            metrics={name: float(value) for name, value in found["metrics"].items() if value is not None},
        )

    def _ended(self, job: JobSpec, deadline: float | None) -> JobStatus:
        """Run the job until it ends; any exception ends it, also Ctrl-C."""
        self.runner.launch(job)
        try:
            while (status := self.runner.status(job)).state == "running":
                if self.stop.is_set():
                    raise TrainingStopped
                if deadline is not None and time.monotonic() > deadline:
                    raise TrialFailed(TOO_LONG)
                self.runner.wait([job], _POLL_SECONDS)
        except BaseException:
            stop(self.runner, [job], grace=_GRACE_SECONDS)
            raise
        return status


def roll_back(folder: Path, goal: int) -> None:
    """Delete the checkpoints in `folder` of a training run that continued past `goal` agent steps.

    The update that reaches the goal is the last one kept; training repeats the later ones with bit-identical results.
    Raises `StorageError`.
    """
    from daf.core import checkpoints  # imports torch

    for path in checkpoints.steps(folder).values():
        try:
            reached = checkpoints.reached(path)
        except CheckpointError:
            continue  # training skips it, too
        if reached["steps"] - reached["steps"] // max(1, reached["updates"]) >= goal:
            atomic.remove(path)
    if (folder / checkpoints.FINAL).exists():
        atomic.remove(folder / checkpoints.FINAL)
