"""Training run of a trial, in a separate process: `daf train` in the trial's directory.

The process ends with this one, however this one ends, so no training continues unsupervised. If the directory has a
checkpoint, training resumes from it with bit-identical results. A process that was killed, ran out of memory or ran out
of disk space failed because of its machine and is worth another attempt; a run that diverged is not.
"""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.config.training import DAFTrainingConfig
from daf.core.training_file import FILE, own_checkpoint, read_ended
from daf.errors import CheckpointError, DamagedFileError, StorageError, UnsafePathError
from daf.processes import lifeline
from daf.storage import atomic
from daf.storage.atomic import explain
from daf.sweeps.playing import TOO_LONG, TrialFailed

MACHINE_ERRORS = ("StorageError", "ExecutorError", "OutOfMemoryError", "MemoryError", "EnvironmentCheckError")
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0
"""Time that a training run has to write its checkpoint after it was asked to stop."""


class Stopped(Exception):
    """The sweep was interrupted during the training of this trial, which has no result yet."""


@dataclass(frozen=True)
class Trained:
    """A training run that reached its goal. metrics: the last ones. seconds: total wall time of all its processes.

    before: agent steps before its last update.
    """

    steps: int
    before: int
    checkpoint: Path
    seconds: float
    metrics: Mapping[str, float]


def train(
    run_dir: Path,
    config: DAFTrainingConfig,
    *,
    stop_at: int | None,
    deadline: float | None,
    stop: threading.Event,
) -> Trained:
    """Train in `run_dir` until `stop_at` agent steps, or to the end. Raises `TrialFailed`, `Stopped`.

    If training has passed `stop_at`, it is rolled back: the checkpoint is always that of `stop_at`. deadline: a value
    of `time.monotonic()`. stop: set by another thread to end the training run with a checkpoint.
    """
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        done = _trained(run_dir, config, stop_at, deadline, stop)
        if stop_at is not None and done.before >= stop_at:
            go_back(done.checkpoint.parent, stop_at)
            done = _trained(run_dir, config, stop_at, deadline, stop)
        return done
    except OSError as error:
        raise StorageError(explain(error, f"training in {run_dir}")) from error


def _trained(
    run_dir: Path,
    config: DAFTrainingConfig,
    stop_at: int | None,
    deadline: float | None,
    stop: threading.Event,
) -> Trained:
    settings = run_dir.with_name(f"{run_dir.name}.yaml")
    config.to_yaml(settings)
    log = run_dir.with_name(f"{run_dir.name}.log")
    command = lifeline.command("daf", "train", "--config", str(settings), "--run-dir", str(run_dir))
    command += ["--json", "--quiet", *(["--stop-at", str(stop_at)] if stop_at is not None else [])]
    code, out = _called(command, log, deadline, stop)
    if code != 0:
        raise _failure(code, out, log)
    try:
        found = read_ended(run_dir)
        if found is None:
            raise TrialFailed(f"training ended without {FILE}; see {log}")
        if found["final_checkpoint"] is None:
            raise TrialFailed(f"training ended at {found['steps']} steps without a checkpoint; see {log}")
        checkpoint = own_checkpoint(run_dir, found["final_checkpoint"])
    except (DamagedFileError, UnsafePathError) as error:
        raise TrialFailed(str(error)) from error
    return Trained(
        steps=found["steps"],
        before=found["steps"] - found["steps"] // max(1, found["updates"]),
        checkpoint=checkpoint,
        seconds=found["wall_seconds"],
        metrics={name: float(value) for name, value in found["metrics"].items() if value is not None},
    )


def _called(command: Sequence[str], log: Path, deadline: float | None, stop: threading.Event) -> tuple[int, bytes]:
    """Exit code and output of the process `command`; its messages are appended to `log`."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=(lifeline.descriptor(),),
        )
        try:
            out = _watch(process, deadline, stop)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return process.returncode, out


def go_back(folder: Path, goal: int) -> None:
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


def _watch(process: "subprocess.Popen[bytes]", deadline: float | None, stop: threading.Event) -> bytes:
    """Wait for the process and return its output; end it at the deadline or on request."""
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            if stop.is_set():
                _end(process)
                raise Stopped from None
            if deadline is not None and time.monotonic() > deadline:
                _end(process)
                raise TrialFailed(TOO_LONG) from None


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _failure(code: int, out: bytes, log: Path) -> TrialFailed:
    if code < 0:
        return TrialFailed(f"its training was killed ({signal.Signals(-code).name}); see {log}", machine=True)
    try:
        error: Any = json.loads(out.strip().splitlines()[-1])["error"]
        kind, message = error["type"], error["message"]
    except (ValueError, LookupError, TypeError):
        return TrialFailed(f"its training ended with exit code {code} and no word; see {log}", machine=code == 137)
    return TrialFailed(f"training failed: {kind}: {message}", machine=kind in MACHINE_ERRORS)
