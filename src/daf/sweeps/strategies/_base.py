"""What a strategy is, and what makes its proposals repeat.

A proposal is a function of the sweep's seed, the trial's number, and the results of the trials below `needs(number)`:
all of them, whichever finished first, and no others, even where more are finished already. The trials between those and
the new one are pending for everybody. So neither the number of workers nor their speed nor a restart changes what is
proposed; what can run at a time is bounded by `needs` instead.

Random numbers are drawn from generators keyed by (seed, number), never from one that goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daf.config.training import Scalar
from daf.sweeps.journal import Proposal
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.space import Configuration, Draw, Space

State = Mapping[str, Any]


class Strategy(ABC):
    """Proposes configurations. Numbers come in order, each once: started, proposed, or restored from the journal."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    def needs(self, number: int) -> int:
        """How many trials, from 0 on, must have ended before `number` is proposed; none, unless a strategy says so."""
        return 0

    @abstractmethod
    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        """The configuration of trial `number`, and what the journal must keep for `restore`, as JSON data.

        known: the results of trials 0 to `needs(number)` - 1, in order.
        """

    def start(
        self, number: int, known: Sequence[SweepTrialResult], fixed: Mapping[str, Scalar]
    ) -> tuple[Configuration, State]:
        """As `propose`, for a starting point: `fixed` says values, and the names it leaves out are drawn."""
        return self.space.configure(drawing(generator(self.seed, number)), fixed), {}

    def restore(self, proposal: Proposal) -> None:
        """Take a proposal that an earlier process made."""
        return


def generator(seed: int, number: int, purpose: int = 0) -> np.random.Generator:
    """Random numbers of one trial; different for each purpose."""
    return np.random.default_rng([seed, number, purpose])


def child_seed(seed: int, number: int) -> int:
    """A seed below 2**31 for engines that take one number."""
    return int(generator(seed, number, 1).integers(2**31))


def drawing(random: np.random.Generator) -> Draw:
    """Draws a dimension's value uniformly (in the logarithm where it is logarithmic)."""
    return lambda dimension: dimension.at(float(random.random()))


def window(number: int, lookahead: int) -> int:
    """Trials that must have ended before `number` where `lookahead` trials may be open at a time."""
    return max(0, number - lookahead + 1)


class Lessons:
    """Results as numbers that strategies learn from, one after the other.

    A stopped trial counts as no better than the worst complete one before it, a failed one as the worst of all before
    it; `None` where nothing is known yet. These numbers are for the strategies only and are never a trial's result.
    """

    def __init__(self, directions: Sequence[str]) -> None:
        self._signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
        self._worst_complete: np.ndarray | None = None
        self._worst: np.ndarray | None = None

    def learn(self, result: SweepTrialResult) -> tuple[float, ...] | None:
        """What `result` teaches; results come in the order of their numbers."""
        if result.status == "failed":
            return None if self._worst is None else self._values(self._worst)
        losses = np.asarray(result.values) * self._signs
        if result.status == "stopped" and self._worst_complete is not None:
            losses = np.maximum(losses, self._worst_complete)
        if result.status == "complete":
            self._worst_complete = losses if self._worst_complete is None else np.maximum(losses, self._worst_complete)
        self._worst = losses if self._worst is None else np.maximum(losses, self._worst)
        return self._values(losses)

    def _values(self, losses: np.ndarray) -> tuple[float, ...]:
        return tuple(float(value) for value in losses * self._signs)
