"""The interface of executors: what a task returns, and how its failure is described."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from daf.compute.carried import Files


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


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How episodes run on a Ray cluster. address: HOST:PORT or auto; None starts a cluster on this machine.

    cpus_per_episode: CPUs that one reserves. gpus_per_episode: share of a GPU, for networks that compute on one.
    allow_version_mismatch: use nodes with other versions of DAF, the game or torch too.
    """

    address: str | None = None
    cpus_per_episode: float = 1.0
    gpus_per_episode: float = 0.1
    allow_version_mismatch: bool = False


THIS_MACHINE = ClusterOptions()


class Executor(Protocol):
    """Where tasks run. isolated: whether a task can die or hang without harm to others."""

    isolated: bool

    @property
    def jobs(self) -> int:
        """The maximum number of tasks at a time."""
        ...

    def run[T, R](
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> Iterator[Done[R]]:
        """Call `function` on every task. function and tasks must be picklable. timeout: seconds per task.

        files: what tasks read through `daf.compute.carried.path_here`.
        """
        ...

    def close(self) -> None:
        """Stop the workers. A closed executor starts new ones when used again."""
        ...


def failure_of(error: BaseException, traceback: str) -> Failure:
    """The failure of a function that raised."""
    text: Any = str(error).strip()
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure("error", message, traceback, error)
