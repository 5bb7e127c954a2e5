"""`execution_log.json`: how a run was started, on what, and how it ended.

Its status is "running" until the run ends, "completed", "failed" or "interrupted" afterwards, and "saved" if results
were saved without an operation. A process that is killed cannot write its end: the operating system releases its lock
on the run directory, so `is_running` shows such a run as interrupted, on whatever host or in whatever container it ran.
Runs without a lock (of older versions, or on a file system without locks) are identified by host and pid; the state of
such a run on another host is unknown.
"""

import os
import platform
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from daf.errors import DamagedFileError, StorageError
from daf.output_manager import labels
from daf.output_manager.layout import EXECUTION_LOG, LOCK, SESSION_ID, Operation
from daf.processes.answers import answer_of
from daf.storage import locks
from daf.storage.reading import read_json

FORMAT = "daf-run-1"
_FAMILY = "daf-run-"
MOST_BYTES = 8 * 2**20
"""An execution log has a command line and a few details of each attempt; a larger file is not one."""
Status = Literal["running", "completed", "failed", "interrupted", "saved"]
ENDS = ("completed", "failed", "interrupted")
_NOT_WORK = (LOCK, labels.FILE, labels.LOCK)
_PACKAGES = ("daf", "cogames", "mettagrid", "numpy", "torch", "pufferlib-core", "ray")
_MASK = "MASKED"
_CLOCK_TOLERANCE_SECONDS = 60.0
"""How far a process's start may appear to move when the clock is set; a pid is not reused that soon."""
_SECRET = re.compile(r"(?i)(token|password|secret|api[-_]?key)")


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Attempt(TypedDict, total=False):
    """The fields that are read of an earlier attempt in the same run directory."""

    started_at: str
    status: Status
    duration_seconds: _Seconds | None
    error: str | None
    command: str


class Execution(TypedDict):
    """An execution log: the fields that are read, and their types. `read` accepts nothing else."""

    format: Literal["daf-run-1"]
    run_id: str
    operation: Operation
    title: str
    status: Status
    started_at: str
    ended_at: str | None
    duration_seconds: _Seconds | None
    error: str | None
    command: str
    host: str
    pid: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    process_started: _Seconds | None
    previous: list[Attempt]
    working_directory: NotRequired[str | None]
    versions: NotRequired[dict[str, str]]
    platform: NotRequired[str]
    git_commit: NotRequired[str | None]
    details: NotRequired[dict[str, Any]]


def begun(run_id: str, operation: str, title: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """A new, running execution by this process."""
    return {
        "format": FORMAT,
        "run_id": run_id,
        "operation": operation,
        "title": title,
        "status": "running",
        "started_at": now(),
        "ended_at": None,
        "duration_seconds": None,
        "error": None,
        "command": command_line(sys.argv),
        "working_directory": _working_directory(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": process_started(os.getpid()),
        "locked": False,
        "versions": versions(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
        "details": dict(details),
        "previous": [],
    }


def ended(execution: Mapping[str, Any], status: str, error: str | None, details: Mapping[str, Any]) -> dict[str, Any]:
    """`execution`, ended now."""
    end = now()
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(execution["started_at"])).total_seconds()
    return {
        **execution,
        "status": status,
        "ended_at": end,
        "duration_seconds": max(0.0, seconds),
        "error": error,
        "details": {**execution["details"], **details},
    }


def broken_off(folder: Path, execution: Mapping[str, Any]) -> dict[str, Any]:
    """`execution`, whose process died: it ended when it last changed a file of the run directory."""
    # this process made the lock, and labels may be edited long after the end
    files = (path for path in folder.rglob("*") if path.name not in _NOT_WORK and path.is_file())
    last = max((path.stat().st_mtime for path in files), default=0.0)
    started = datetime.fromisoformat(execution["started_at"])
    end = max(started, datetime.fromtimestamp(last).astimezone())
    return {
        **execution,
        "status": "interrupted",
        "ended_at": end.isoformat(timespec="milliseconds"),
        "duration_seconds": (end - started).total_seconds(),
    }


def read(folder: Path) -> dict[str, Any] | None:
    """The execution log of a run directory; None if there is none, or another program wrote it.

    Fields that `Execution` does not name are kept as they are. Raises `DamagedFileError`, `StorageError`.
    """
    path = folder / EXECUTION_LOG
    execution = read_json(path, dict[str, Any], limit=MOST_BYTES)
    if execution is None:
        return None
    written_by = execution.get("format")
    if isinstance(written_by, str) and written_by != FORMAT:
        if written_by.startswith(_FAMILY):
            raise DamagedFileError(
                path, f'format "{written_by:.40}" is not "{FORMAT}"; a newer DAF may have written it'
            )
        return None
    try:
        found = msgspec.convert(execution, Execution)
    except msgspec.ValidationError as error:
        raise DamagedFileError(path, str(error)) from error
    if not SESSION_ID.fullmatch(found["run_id"]):
        raise DamagedFileError(path, f'run_id "{found["run_id"]:.80}" is not a session id')
    _require_time(path, "started_at", found["started_at"])
    if found["ended_at"] is not None:
        _require_time(path, "ended_at", found["ended_at"])
    for attempt in found["previous"]:
        if "started_at" in attempt:
            _require_time(path, "started_at of an earlier session", attempt["started_at"])
    return execution


def _require_time(path: Path, field: str, text: str) -> None:
    """Refuse times that cannot be compared with those of other runs: no offset, or a year that overflows."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise DamagedFileError(path, f'{field} "{text:.80}" is not an ISO 8601 time') from None
    if when.tzinfo is None or not 1970 < when.year < 9999:
        raise DamagedFileError(path, f'{field} "{text:.80}" has no time zone or is outside the years 1971 to 9998')


def is_running(folder: Path, execution: Mapping[str, Any]) -> bool | None:
    """Whether the process of the execution in `folder` is still running; None if this host cannot determine it."""
    if execution["status"] != "running":
        return False
    if execution.get("locked"):
        try:
            return locks.is_held(folder / LOCK)
        except StorageError:  # not readable here, or moved to a file system without locks
            return None
    if execution["host"] != socket.gethostname():
        return None
    started = process_started(execution["pid"])
    begun_at = execution["process_started"]
    return started is not None and begun_at is not None and abs(started - begun_at) < _CLOCK_TOLERANCE_SECONDS


def process_started(pid: int) -> float | None:
    """When a process of this host started (seconds since 1970), which with the pid identifies it; None without it."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def error_text(error: str | BaseException | None) -> str | None:
    """An exception as `Type: message`."""
    if not isinstance(error, BaseException):
        return error
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def now() -> str:
    """Local time with its offset, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def command_line(arguments: list[str]) -> str:
    """The command as it could be typed again, with values of secret options masked.

    arguments: as in `sys.argv`; the program is always shown as `daf`, however it was started.
    """
    shown: list[str] = []
    hide = False
    for argument in arguments:
        name, separator, _ = argument.partition("=")
        secret = argument.startswith("-") and _SECRET.search(name) is not None
        shown.append(_MASK if hide else f"{name}={_MASK}" if secret and separator else argument)
        hide = secret and not separator
    if shown and Path(shown[0]).name in ("daf", "__main__.py"):
        shown[0] = "daf"
    return shlex.join(shown)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, as installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the repository around the working directory; None without one, or without git."""
    answer = answer_of("git", "rev-parse", "HEAD")
    return None if answer is None else answer.strip() or None


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:
        return None
