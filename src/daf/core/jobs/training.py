"""The job `daf train`: its command, the files that show its progress, and why it failed."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.core.jobs.interface import JobSpec
from daf.core.training_file import read_training
from daf.errors import DamagedFileError, StorageError
from daf.storage.reading import read_bytes

DETERMINISTIC = ("CheckpointError",)
"""Errors that another attempt would hit again. For errors of training itself, see `machine` in `training.json`."""
USAGE = 2
"""Exit code for settings that are invalid: no attempt can succeed."""


@dataclass(frozen=True)
class JobFailure:
    """Why a job failed. error: its error message, else its last lines. ending: its exit code or signal.

    retry: whether another attempt may succeed.
    """

    error: str
    ending: str
    retry: bool

    def __str__(self) -> str:
        return f"{self.error} ({self.ending})"


def training_command(
    settings: Path, run_dir: Path, *, stop_at: int | None = None, branch_from: Path | None = None
) -> tuple[str, ...]:
    """`daf train` with the configuration file `settings`; it resumes if `run_dir` has a checkpoint."""
    argv = [sys.executable, "-m", "daf", "train", "--config", str(settings), "--run-dir", str(run_dir)]
    argv += [] if stop_at is None else ["--stop-at", str(stop_at)]
    argv += [] if branch_from is None else ["--branch-from", str(branch_from)]
    return (*argv, "--no-report", "--json", "--quiet")


def progress_files(run_dir: Path) -> tuple[Path, ...]:
    """What training changes in its run directory while it progresses."""
    return run_dir / "metrics.jsonl", run_dir / "checkpoints", run_dir


def failure(job: JobSpec, exit_code: int) -> JobFailure:
    """Why a job failed, from its error message."""
    ending = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    error = (printed_object(job) or {}).get("error")
    if isinstance(error, Mapping):
        retry = exit_code != USAGE and error.get("type") not in DETERMINISTIC
        return JobFailure(f"{error.get('type')}: {error.get('message')}", ending, retry)
    lines = [line for line in _text(job.stderr).splitlines() if line.strip()][-3:]
    return JobFailure(" / ".join(lines) or "no message", ending, retry=exit_code != USAGE)


def training_failure(job: JobSpec, exit_code: int, run_dir: Path) -> JobFailure:
    """`failure` of `daf train` in `run_dir`. What was not the machine's fault would fail again with the same seed."""
    found = failure(job, exit_code)
    return JobFailure(found.error, found.ending, found.retry and not _failed_by_itself(job, run_dir))


def printed_object(job: JobSpec) -> dict[str, Any] | None:
    """The last JSON object that the job printed to stdout; None if there is none."""
    for line in reversed(_text(job.stdout).splitlines()):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _failed_by_itself(job: JobSpec, run_dir: Path) -> bool:
    if (printed_object(job) or {}).get("status") != "failed":
        return False
    try:
        result = read_training(run_dir)
    except (DamagedFileError, StorageError):
        return False
    return result is not None and result.get("status") == "failed" and result.get("machine") is False


def _text(path: Path) -> str:
    try:
        content = read_bytes(path)
    except (DamagedFileError, StorageError):
        return ""
    return "" if content is None else content.decode(errors="replace")
