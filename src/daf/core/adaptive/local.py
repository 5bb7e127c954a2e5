"""Jobs as processes of this machine, each with a supervisor that outlives the controller.

A job has a separate process group, so that Ctrl-C at the controller's terminal does not reach it, and a mark in its
environment, so that its processes are found even if its supervisor was killed. Only processes whose pid and identity
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec

from daf.core.adaptive._supervisor import EXIT, JOB, PROCESS, STDERR, STDOUT, claim
from daf.core.adaptive.dispatch import Job, Look
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.process import MARK, alive, end_marked, signal_group
from daf.errors import DamagedFileError, StorageError
from daf.storage.atomic import explain, write_json
from daf.storage.reading import read_object

_PATIENCE = 0.2
"""Seconds between checks if the operating system cannot wait for processes that are not our children."""


class LocalProcesses:
    """The dispatcher for one machine."""

    def __init__(self) -> None:
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def launch(self, job: Job) -> None:
        """Start the job's supervisor in a new session."""
        try:
            write_json(
                job.folder / JOB,
                {"argv": job.argv, "cwd": str(job.cwd or Path.cwd()), "environment": _environment(job)},
            )
            self._children[job.folder] = subprocess.Popen(
                [sys.executable, "-m", "daf.core.adaptive._supervisor", str(job.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | _environment(job),
                start_new_session=True,
            )
        except OSError as error:
            raise AdaptiveControllerError(explain(error, f"starting {job.name}")) from error

    def look(self, job: Job) -> Look:
        """The state of the job, from its directory and the process table."""
        child = self._children.get(job.folder)
        over = child is not None and child.poll() is not None  # also reaps it
        process = _process(job)
        if process is None:
            return Look("gone" if over else "running" if child is not None else "absent", last_sign=time.time())
        pid = process.get("pid")
        if pid is None:
            return Look("gone")
        there = alive(pid, process.get("identity", ""))  # before the exit file, which a live process writes
        ended = _read(job.folder / EXIT, _Exit)
        if ended is not None:
            return Look("ended", exit_code=ended["code"], pid=pid)
        if not there:
            return Look("gone", pid=pid)
        return Look("running", last_sign=max([process.get("claimed", 0.0), *_changes(job)]), pid=pid)

    def forget(self, job: Job) -> bool:
        """Take the claim that its supervisor would otherwise take."""
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            return claim(job.folder, {"pid": None, "given_up": time.time()})
        except OSError as error:
            raise AdaptiveControllerError(explain(error, f"giving up {job.name}")) from error

    def interrupt(self, job: Job) -> None:
        """Send SIGINT to its process group."""
        process = _process(job)
        if process is not None and (pid := process.get("pid")) is not None:
            signal_group(pid, process.get("identity", ""), signal.SIGINT)

    def kill(self, job: Job) -> None:
        """Send SIGKILL to its process group, and to all processes that carry its mark."""
        if _process(job) is None and self.forget(job):
            return
        process = _process(job)
        if process is not None and (pid := process.get("pid")) is not None:
            signal_group(pid, process.get("identity", ""), signal.SIGKILL)
        end_marked(str(job.folder))

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Sleep until a supervisor ends, with a pidfd if available."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            looks = [self.look(job) for job in jobs]
            if any(look.state in ("ended", "gone") for look in looks):
                return
            pids = [look.pid for look in looks if look.pid is not None]
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
                if poll.poll(1000 * left if complete else 1000 * min(left, _PATIENCE)):
                    return


def _environment(job: Job) -> dict[str, str]:
    return {**job.environment, MARK: str(job.folder)}


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _process(job: Job) -> "_Process | None":
    """The process that claimed the job. Processes of another machine are not visible here, so they are not judged."""
    process = _read(job.folder / PROCESS, _Process)
    host = socket.gethostname() if process is None else process.get("host", socket.gethostname())
    if host != socket.gethostname():
        raise AdaptiveControllerError(
            f"{job.name} was started on {host}; whether it still runs cannot be seen from {socket.gethostname()}. Go "
            f"on there. Where that machine is gone, remove {job.folder / PROCESS} first."
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
        raise AdaptiveControllerError(f"{error} Remove it where its job is over.") from error


def _changes(job: Job) -> Iterator[float]:
    """When the job's files were last modified, including the files in its directories."""
    for sign in (job.folder / STDOUT, job.folder / STDERR, *job.signs):
        with contextlib.suppress(OSError):  # a file that disappears meanwhile does not count
            yield sign.stat().st_mtime
            if sign.is_dir():
                yield from (entry.stat().st_mtime for entry in sign.iterdir())
