"""Jobs as processes of this machine, each with a supervisor that records how it ended.

A job has a separate process group, so that Ctrl-C at the terminal does not reach it, and a mark in its environment, so
that its processes are found even if its supervisor was killed. Only processes whose pid and identity
were recorded, or that carry the job's mark, are ever signalled.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec

from daf.core.jobs._process_table import MARK, alive, end_marked, signal_group
from daf.core.jobs._supervisor import EXIT, JOB, PROCESS, claim
from daf.core.jobs.interface import JobError, JobSpec, JobStatus, last_change
from daf.errors import DamagedFileError, StorageError
from daf.processes import lifeline
from daf.storage.atomic import explain, write_json
from daf.storage.reading import read_object

_POLL_SECONDS = 0.2
"""Seconds between checks if the operating system cannot wait for processes that are not our children."""
_REAP_SECONDS = 1.0


class LocalJobs:
    """The runner for one machine; several threads may use one."""

    attempts_if_gone = 1

    def __init__(self) -> None:
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def launch(self, job: JobSpec) -> None:
        """Start the job's supervisor in a new session."""
        watched = () if job.outlives_launcher else (lifeline.descriptor(),)
        try:
            write_json(
                job.folder / JOB,
                {
                    "argv": job.argv,
                    "cwd": str(job.cwd or Path.cwd()),
                    "environment": _environment(job),
                    "stdout": str(job.stdout),
                    "stderr": str(job.stderr),
                    "lifeline": watched[0] if watched else None,
                },
            )
            self._children[job.folder] = subprocess.Popen(
                [sys.executable, "-m", "daf.core.jobs._supervisor", str(job.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | _environment(job),
                start_new_session=True,
                pass_fds=watched,
            )
        except OSError as error:
            raise JobError(explain(error, f"starting {job.name}")) from error

    def status(self, job: JobSpec) -> JobStatus:
        """The state of the job, from its directory and the process table."""
        child = self._children.get(job.folder)
        exited = child is not None and child.poll() is not None  # also reaps it
        process = _process(job)
        if process is None:
            if child is not None and not exited:
                return JobStatus("running", last_heartbeat=time.time())
            return JobStatus("absent" if child is None else "gone")
        pid = process.get("pid")
        if pid is None:
            return JobStatus("gone")
        living = alive(pid, process.get("identity", ""))  # before the exit file, which a live process writes
        ended = self.exit_code(job)
        if ended is not None:
            if (child := self._children.pop(job.folder, None)) is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_REAP_SECONDS)  # it exits right after it wrote the file; unreaped, it stays a zombie
            return JobStatus("ended", exit_code=ended, pid=pid)
        if not living:
            return JobStatus("gone", pid=pid)
        return JobStatus("running", last_heartbeat=max(process.get("claimed", 0.0), last_change(job)), pid=pid)

    def exit_code(self, job: JobSpec) -> int | None:
        """The exit code that its supervisor recorded, wherever it ran; None if there is none."""
        ended = _read(job.folder / EXIT, _Exit)
        return None if ended is None else ended["code"]

    def forget(self, job: JobSpec) -> bool:
        """Take the claim that its supervisor would otherwise take."""
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            return claim(job.folder, {"pid": None, "given_up": time.time()})
        except OSError as error:
            raise JobError(explain(error, f"giving up {job.name}")) from error

    def interrupt(self, job: JobSpec) -> None:
        """Send SIGINT to its process group."""
        process = _process(job)
        if process is not None and (pid := process.get("pid")) is not None:
            signal_group(pid, process.get("identity", ""), signal.SIGINT)

    def kill(self, job: JobSpec) -> None:
        """Send SIGKILL to its process group, and to all processes that carry its mark."""
        if _process(job) is None and self.forget(job):
            return
        process = _process(job)
        if process is not None and (pid := process.get("pid")) is not None:
            signal_group(pid, process.get("identity", ""), signal.SIGKILL)
        end_marked(str(job.folder))

    def wait(self, jobs: Sequence[JobSpec], seconds: float) -> None:
        """Sleep until a supervisor ends, with a pidfd if available."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            found = [self.status(job) for job in jobs]
            if any(status.state in ("ended", "gone") for status in found):
                return
            pids = [status.pid for status in found if status.pid is not None]
            with contextlib.ExitStack() as stack:
                poll = select.poll()
                complete = hasattr(os, "pidfd_open") and len(pids) == len(jobs)
                if complete:
                    for pid in pids:
                        descriptor = _pidfd(pid)
                        if descriptor is None:
                            return
                        stack.callback(os.close, descriptor)
                        poll.register(descriptor, select.POLLIN)
                if poll.poll(1000 * left if complete else 1000 * min(left, _POLL_SECONDS)):
                    return


def _environment(job: JobSpec) -> dict[str, str]:
    return {**job.environment, MARK: str(job.folder)}


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _process(job: JobSpec) -> "_Process | None":
    """The process that claimed the job. Processes of another machine are not visible here, so they are not judged."""
    process = _read(job.folder / PROCESS, _Process)
    host = socket.gethostname() if process is None else process.get("host", socket.gethostname())
    if host != socket.gethostname():
        raise JobError(
            f"{job.name} was started on {host}; whether it still runs cannot be seen from {socket.gethostname()}. "
            f"Continue on {host}. If that machine no longer exists, remove {job.folder / PROCESS} first."
        )
    return process


class _Process(TypedDict, total=False):
    """`process.json`: the process that claimed a job."""

    host: str
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)] | None
    identity: str
    claimed: float


class _Exit(TypedDict):
    """`exit.json`: how a job ended."""

    code: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


def _read[T](path: Path, kind: type[T]) -> T | None:
    """Read a file that appears completely or not at all."""
    try:
        return read_object(path, kind, limit=2**20)
    except (DamagedFileError, StorageError) as error:
        raise JobError(f"{error} Remove it if its job has ended.") from error
