"""The interface of executors: what a task returns, and how its failure is described."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value. kind: error (the function raised), time-out, crash (its worker died).

    error: the exception, if it could be transferred.
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
    """Where tasks run. jobs: maximum at a time. isolated: whether a task can die or hang without harm to others."""

    jobs: int
    isolated: bool

    def run[T, R](
        self, function: Callable[[T], R], tasks: Sequence[T], *, timeout: float | None = None
    ) -> Iterator[Done[R]]:
        """Call `function` on every task. function and tasks must be picklable. timeout: seconds per task."""
        ...

    def close(self) -> None:
        """Stop the workers. A closed executor starts new ones when used again."""
        ...


def failure_of(error: BaseException, traceback: str) -> Failure:
    """The failure of a function that raised."""
    text: Any = str(error).strip()
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure("error", message, traceback, error)
