"""The interface of a strategy, and what makes its proposals reproducible.

A proposal is a function of the sweep's seed, the trial's number, and the results of the trials below `needs(number)`:
all of them, in whichever order they finished, and no others, even if more have finished already. The trials between
those and the new one always count as pending. So neither the number of workers nor their speed nor a restart changes
the proposals. In exchange, `needs` limits how many trials can run at a time.

Random numbers are drawn from generators keyed by (seed, number), never from one that persists between proposals.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daf.config.training import Scalar
from daf.core.search.space import Configuration, Draw, Space
from daf.sweeps.journal import Proposal
from daf.sweeps.trial_result import SweepTrialResult

State = Mapping[str, Any]


class Strategy(ABC):
    """Proposes configurations. Each number comes once, in order: started, proposed, or restored from the journal."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    def needs(self, number: int) -> int:
        """The number of trials, counted from 0, that must have ended before `number` is proposed; 0 by default."""
        return 0

    @abstractmethod
    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        """The configuration of trial `number`, and the JSON data that the journal must keep for `restore`.

        known: the results of trials 0 to `needs(number)` - 1, in order.
        """

    def start(
        self, number: int, known: Sequence[SweepTrialResult], fixed: Mapping[str, Scalar]
    ) -> tuple[Configuration, State]:
        """Like `propose`, for a starting point: `fixed` sets values, and the remaining names are drawn."""
        return self.space.configure(drawing(generator(self.seed, number)), fixed), {}

    def restore(self, proposal: Proposal) -> None:
        """Restore a proposal that an earlier process made."""
        return


def generator(seed: int, number: int, purpose: int = 0) -> np.random.Generator:
    """Random number generator of one trial, different for each purpose."""
    return np.random.default_rng([seed, number, purpose])


def child_seed(seed: int, number: int) -> int:
    """A seed below 2**31 for engines that take a single integer."""
    return int(generator(seed, number, 1).integers(2**31))


def drawing(random: np.random.Generator) -> Draw:
    """Draws a dimension's value uniformly (on a logarithmic scale if the dimension is logarithmic)."""
    return lambda dimension: dimension.at(float(random.random()))


def window(number: int, lookahead: int) -> int:
    """The number of trials that must have ended before `number` if `lookahead` trials may be open at a time."""
    return max(0, number - lookahead + 1)


class Lessons:
    """Results as numbers that strategies learn from, in sequence.

    A stopped trial counts as no better than the worst complete one before it. An infeasible one does, too, and is worse
    the further it violates its constraints (Deb, "An efficient constraint handling method for genetic algorithms",
    2000; each violation relative to the largest so far, and to the range of the complete trials); unless `constrained`:
    the strategy then learns the violations itself. A failed trial counts as the worst of all before it; `None` if
    nothing is known yet. These numbers are for the strategies only and never become a trial's result.
    """

    def __init__(self, directions: Sequence[str], *, constrained: bool = False) -> None:
        self._penalizes = not constrained
        self._excesses: dict[str, float] = {}
        self._signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
        self._worst_complete: np.ndarray | None = None
        self._best_complete: np.ndarray | None = None
        self._worst: np.ndarray | None = None

    def learn(self, result: SweepTrialResult) -> tuple[float, ...] | None:
        """The numbers to learn from `result`; results come in the order of their numbers."""
        if result.status == "failed":
            return None if self._worst is None else self._values(self._worst)
        losses = np.asarray(result.values) * self._signs
        penalized = result.status == "infeasible" and self._penalizes
        if (result.status == "stopped" or penalized) and self._worst_complete is not None:
            losses = np.maximum(losses, self._worst_complete)
        if penalized:
            losses = losses + self._penalty(result.constraints)
        if result.status == "complete":
            self._worst_complete = losses if self._worst_complete is None else np.maximum(losses, self._worst_complete)
            self._best_complete = losses if self._best_complete is None else np.minimum(losses, self._best_complete)
        self._worst = losses if self._worst is None else np.maximum(losses, self._worst)
        return self._values(losses)

    def _penalty(self, constraints: Mapping[str, float]) -> np.ndarray:
        size = np.ones(len(self._signs))
        if self._worst_complete is not None and self._best_complete is not None:
            size = np.where(self._worst_complete > self._best_complete, self._worst_complete - self._best_complete, 1.0)
        total = 0.0
        for name, excess in constraints.items():
            if excess > 0:
                self._excesses[name] = max(excess, self._excesses.get(name, 0.0))
                total += excess / self._excesses[name]
        return size * total

    def _values(self, losses: np.ndarray) -> tuple[float, ...]:
        return tuple(float(value) for value in losses * self._signs)
