"""Measurements of an operation or a call: time, outcome, memory.

Memory is the resident size of the whole process as the operating system counts it (tracemalloc would slow allocation
several times and sees only Python's). `peak_memory_mb` is the process's high-water mark since it started, read when the
operation ends; `peak_memory_rise_mb` is how far the operation raised it, 0 if an earlier one had needed more.
"""

import functools
import inspect
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from daf.errors import UsageError
from daf.storage import atomic

P = ParamSpec("P")
R = TypeVar("R")
MEGABYTE = 1024 * 1024


@dataclass
class OperationTracker:
    """One operation: started when created, ended by `finish`."""

    name: str
    metadata: dict[str, Any] = field(default_factory=dict)
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    status: str = "running"
    error: str | None = None
    duration_seconds: float | None = None
    peak_memory_mb: float | None = None
    peak_memory_rise_mb: float | None = None

    def __post_init__(self) -> None:
        self._start = time.perf_counter()
        self._peak_before = peak_memory_mb()

    def finish(self, status: str = "completed", error: str | None = None) -> None:
        """End it as "completed", "failed" or "interrupted". Raises `UsageError` if it has already ended."""
        if self.status != "running":
            raise UsageError(f'the operation "{self.name}" has already ended ({self.status}).')
        self.status = status
        self.error = error
        self.duration_seconds = time.perf_counter() - self._start
        self.peak_memory_mb = peak_memory_mb()
        self.peak_memory_rise_mb = self.peak_memory_mb - self._peak_before

    def to_dict(self) -> dict[str, Any]:
        """All fields, for a log or a file."""
        return {
            "operation": self.name,
            "metadata": self.metadata,
            "started_at": self.started_at,
            "status": self.status,
            "error": self.error,
            "duration_seconds": self.duration_seconds,
            "peak_memory_mb": self.peak_memory_mb,
            "peak_memory_rise_mb": self.peak_memory_rise_mb,
        }


def peak_memory_mb() -> float:
    """The most resident memory that this process ever had, in MiB."""
    if sys.platform == "linux":  # there getrusage counts what ran in this process before exec, such as a large parent
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEGABYTE if sys.platform == "darwin" else peak / 1024


class RecordsCalls(Protocol):
    """What `track_function_calls` needs: a `CallTracker` or a `DAFLogger`."""

    def record_call(
        self,
        function: str,
        duration_seconds: float,
        error: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None: ...


class CallTracker:
    """Calls of functions in order, from any thread."""

    def __init__(self) -> None:
        self._calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @property
    def calls(self) -> list[dict[str, Any]]:
        """A copy of the calls so far, oldest first."""
        with self._lock:
            return list(self._calls)

    def record_call(
        self,
        function: str,
        duration_seconds: float,
        error: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a call that has ended; `error` if it raised."""
        call = {
            "function": function,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "duration_seconds": duration_seconds,
            "error": error,
            "arguments": {name: _short(value) for name, value in (arguments or {}).items()},
        }
        with self._lock:
            self._calls.append(call)

    def summary(self) -> dict[str, dict[str, float | int]]:
        """Per function: calls, errors, total and mean seconds."""
        found: dict[str, dict[str, float | int]] = {}
        for call in self.calls:
            row = found.setdefault(
                call["function"], {"calls": 0, "errors": 0, "total_seconds": 0.0, "mean_seconds": 0.0}
            )
            row["calls"] += 1
            row["errors"] += call["error"] is not None
            row["total_seconds"] += call["duration_seconds"]
            row["mean_seconds"] = row["total_seconds"] / row["calls"]
        return found

    def save(self, path: str | Path) -> Path:
        """Write calls and summary as JSON. Raises `StorageError`."""
        atomic.write_json(path, {"summary": self.summary(), "calls": self.calls})
        return Path(path)


def track_function_calls(tracker: RecordsCalls) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: every call is recorded by `tracker`, with arguments, duration and the error it raised, if any."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"
        try:
            signature = inspect.signature(function)
        except ValueError:  # some built-in functions have no signature
            signature = inspect.Signature()

        @functools.wraps(function)
        def tracked(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            error: str | None = None
            try:
                return function(*args, **kwargs)
            except BaseException as raised:
                error = f"{type(raised).__name__}: {raised}"
                raise
            finally:
                duration = time.perf_counter() - start
                tracker.record_call(name, duration, error, _bound(signature, args, kwargs))

        return tracked

    return decorate


def _bound(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:  # a call with wrong arguments raises by itself; its arguments are still worth recording
        return {"args": args, "kwargs": kwargs}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
