"""What a scheduler is: a pure function from what is known to what shall run.

A scheduler does not give orders, it says which runs there shall be and how far each shall train, given the results that
are committed. The controller starts what is missing. So nothing depends on when a result came, and after a crash the
same question has the same answer. The promises, which one conformance suite checks:

- The answer depends on the arguments of the constructor and on `known` alone, not on the order of `known`.
- With more known, runs are added and targets grow; nothing that was wanted is dropped or changed.
- A run that failed is never waited for. When all that is wanted has ended, either more is wanted or all is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from daf.config.training import Scalar

Settings = Mapping[str, Scalar]


@dataclass(frozen=True)
class Known:
    """What is committed of one run. scores: mean return by the agent steps at which it was evaluated."""

    scores: Mapping[int, float] = field(default_factory=dict)
    failed: bool = False

    def over(self, target: int) -> bool:
        """Whether nothing more is to be learned about this run at `target` steps."""
        return self.failed or target in self.scores


@dataclass(frozen=True)
class Wanted:
    """A run that shall be there, trained to `target` agent steps and evaluated at each of its targets.

    run: a `run_name`. parent: the run, and the steps of its checkpoint, from which it branches. why: in a sentence for
    the journal.
    """

    run: str
    settings: Settings
    target: int
    why: str
    parent: tuple[str, int] | None = None


class Scheduler(Protocol):
    """Says what shall run."""

    def wanted(self, known: Mapping[str, Known]) -> tuple[Wanted, ...]:
        """Every run that shall be there given what is known, in the order in which they are to be started."""


def run_name(index: int) -> str:
    """The name of an experiment's run number `index`, from 0."""
    return f"r{index:04d}"
