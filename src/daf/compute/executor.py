"""Run a function over tasks, here or elsewhere; one interface, one meaning.

An `Executor` calls `function(task)` for every task and yields a `Done` for each, in the order in which they finish,
with the task's position. What the function raises, a time-out and the death of a worker cost that one task and become
its `Failure`. Closing the iterator early stops what has not finished. Every implementation runs the suite in
tests/compute/test_executors.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from daf.errors import UsageError, unknown


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value. kind: error (the function raised), time-out, crash (its worker died).

    error: what was raised, where it could be brought back.
    """

    kind: str
    message: str
    traceback: str = ""
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Done[R]:
    """A finished task: its position among the tasks, and either its value or its failure."""

    position: int
    value: R | None
    failure: Failure | None = None


class Executor(Protocol):
    """Where tasks run. jobs: how many at a time. isolated: whether a task can die or hang without harm to others."""

    jobs: int
    isolated: bool

    def run[T, R](
        self, function: Callable[[T], R], tasks: Sequence[T], *, timeout: float | None = None
    ) -> Iterator[Done[R]]:
        """Call `function` on every task. function and tasks must be picklable. timeout: seconds for one task."""
        ...

    def close(self) -> None:
        """Stop the workers. A closed executor starts new ones when it is used again."""
        ...


def make_executor(name: str = "local", *, jobs: int | str = "auto", preload: Sequence[str] = ()) -> Executor:
    """The executor called `name`: "local" (processes of this machine) or "serial" (this process).

    jobs: a number, or "auto" for every core. preload: modules that workers import once, before the first task.
    Raises `UsageError`.
    """
    from daf.compute.local import LocalProcesses
    from daf.compute.serial import Serial

    if name == "serial":
        if str(jobs) not in ("auto", "1"):
            raise UsageError(f"--executor serial runs one episode at a time, so --jobs {jobs} has no meaning there.")
        return Serial()
    if name == "local":
        return LocalProcesses(jobs=job_count(jobs), preload=preload)
    raise UsageError(unknown("executor", name, ("local", "serial")))


def job_count(jobs: int | str) -> int:
    """The number of workers that `jobs` means. Raises `UsageError`."""
    import os

    if str(jobs) == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        count = int(jobs)
    except ValueError:
        raise UsageError(f'--jobs "{jobs}" is neither a number nor auto.') from None
    if not 1 <= count <= 1024:
        raise UsageError(f"--jobs {count} is outside 1 to 1024.")
    return count


def failure_of(error: BaseException, traceback: str) -> Failure:
    """The failure of a function that raised."""
    text: Any = str(error).strip()
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure("error", message, traceback, error)
