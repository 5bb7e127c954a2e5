"""The interface of job runners: processes of this machine, of a Ray cluster and of SkyPilot's machines implement it.

A job is a command with a private directory, and a runner needs only that directory to find the job again: no state of a
job is kept only in the memory of the process that launched it. The guarantees, which one conformance suite checks:

- `launch` starts a job at most once, no matter who calls it and how often; after `forget` returned True, never.
- `status` reports running, ended (with the exit code), gone (died without an exit code) or absent (not seen to start).
- `interrupt` asks a job to save and end; `kill` ends all of its processes, and only those.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from daf.errors import DAFError

JobState = Literal["absent", "running", "ended", "gone"]
_CLAIM_SECONDS = 10.0
"""How long `stop` waits for a job that was just launched to start, so that it can be interrupted."""


class JobError(DAFError):
    """A job cannot be started, or its state cannot be determined."""


@dataclass(frozen=True)
class JobSpec:
    """One command. folder: private to the job, created by `launch`.

    heartbeat_files: files and directories; a change of one of them is a heartbeat, as is output of the command.
    environment: variables in addition to those of the launching process. outlives_launcher: False ends the job when the
    process that launched it ends, however that ended.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    heartbeat_files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    outlives_launcher: bool = True

    @property
    def stdout(self) -> Path:
        """What its command printed."""
        return self.folder / "stdout"

    @property
    def stderr(self) -> Path:
        """The command's messages."""
        return self.folder / "stderr"


@dataclass(frozen=True)
class JobStatus:
    """The observed state of a job. last_heartbeat: in seconds since 1970, None unless it runs."""

    state: JobState
    exit_code: int | None = None
    last_heartbeat: float | None = None
    pid: int | None = None

    @property
    def seconds_since_heartbeat(self) -> float | None:
        """None unless it runs."""
        return None if self.last_heartbeat is None else max(0.0, time.time() - self.last_heartbeat)


class JobRunner(Protocol):
    """Starts, monitors and ends jobs. Methods raise `JobError`, `StorageError`.

    attempts_if_gone: how often a job may be launched whose status becomes "gone": more than once where that means that
    its machine was lost, and another one is there.
    """

    attempts_if_gone: int

    def launch(self, job: JobSpec) -> None:
        """Start `job`."""

    def status(self, job: JobSpec) -> JobStatus:
        """The current state of `job`, also if another process launched it."""

    def forget(self, job: JobSpec) -> bool:
        """Give up an absent job: True if it can never start any more, False if it has started."""

    def interrupt(self, job: JobSpec) -> None:
        """Ask it to save and end (SIGINT); does nothing if it has ended."""

    def kill(self, job: JobSpec) -> None:
        """End all of its processes immediately."""

    def wait(self, jobs: Sequence[JobSpec], seconds: float) -> None:
        """Return after `seconds`, or sooner when one of the running `jobs` ends."""


def stop(runner: JobRunner, jobs: Sequence[JobSpec], *, grace: float) -> None:
    """Ask `jobs` to save and end, and kill those that have not ended after `grace` seconds."""
    deadline = time.monotonic() + _CLAIM_SECONDS
    while any(_starting(runner.status(job)) for job in jobs) and time.monotonic() < deadline:
        runner.wait(jobs, 0.05)
    for job in jobs:
        runner.interrupt(job)
    deadline = time.monotonic() + grace
    while left := [job for job in jobs if runner.status(job).state == "running"]:
        if time.monotonic() > deadline:
            break
        runner.wait(left, max(0.0, deadline - time.monotonic()))
    for job in jobs:
        if runner.status(job).state != "ended":
            runner.kill(job)


def last_change(job: JobSpec) -> float:
    """When one of the job's files, or of the files in its directories, was modified last; 0 if there are none."""
    times = [0.0]
    for path in (job.stdout, job.stderr, *job.heartbeat_files):
        with contextlib.suppress(OSError):  # a file that disappears meanwhile does not count
            times.append(path.stat().st_mtime)
            if path.is_dir():
                times += [entry.stat().st_mtime for entry in path.iterdir()]
    return max(times)


def unused_folder(jobs: Path, name: str) -> Path:
    """The directory for the next attempt at the job `name`: `jobs`/`name`-1, -2, …, the first that is not there."""
    number = 1
    while (jobs / f"{name}-{number}").exists():
        number += 1
    return jobs / f"{name}-{number}"


def _starting(status: JobStatus) -> bool:
    return status.state == "running" and status.pid is None
