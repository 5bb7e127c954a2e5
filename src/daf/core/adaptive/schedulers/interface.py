"""The interface of schedulers: a pure function from the committed results to the wanted runs.

A scheduler does not give orders: given the committed results, it returns which runs there should be and how far each
should train. The controller starts the missing ones. So nothing depends on when a result arrived, and after a crash the
same question has the same answer. The guarantees, which one conformance suite checks:

- The answer depends only on the constructor's arguments and on `known`, not on the order of `known`.
- With more results, runs are added and targets grow; a wanted run is never dropped or changed.
- A scheduler never waits for a run that failed. When all wanted runs have ended, it wants more, or all is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from daf.config.training import Scalar

Settings = Mapping[str, Scalar]


@dataclass(frozen=True)
class Known:
    """The committed results of one run. scores: mean return by the agent steps at which it was evaluated."""

    scores: Mapping[int, float] = field(default_factory=dict)
    failed: bool = False

    def over(self, target: int) -> bool:
        """Whether there will be no further results of this run at `target` steps."""
        return self.failed or target in self.scores


@dataclass(frozen=True)
class Wanted:
    """A run that should exist, trained to `target` agent steps and evaluated at each of its targets.

    run: a `run_name`. parent: the run, and the steps of its checkpoint, that it branches from. why: a sentence for the
    journal.
    """

    run: str
    settings: Settings
    target: int
    why: str
    parent: tuple[str, int] | None = None


class Scheduler(Protocol):
    """Decides which runs there should be."""

    def wanted(self, known: Mapping[str, Known]) -> tuple[Wanted, ...]:
        """Every run that should exist given the results, in the order in which to start them."""


def run_name(index: int) -> str:
    """The name of an experiment's run number `index`, from 0."""
    return f"r{index:04d}"
