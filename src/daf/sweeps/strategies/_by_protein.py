"""Protein, PufferLib's search: score against cost, along the Pareto front of both (`pufferlib.sweep.Protein`).

It needs the extra `train`. Its first proposal is the centre of the space (or the priors), later ones lie around the
trials that no other beats in score and cost. It keeps no state of its own here: for every proposal a new one is made,
told the results, and asked under a seed of that trial's, with the global generators of torch, numpy and random put back
afterwards. Its kernels are fitted anew each time (in PufferLib they go on from the last proposal), which takes some
seconds. Pending trials are told as the mean of what is known, so that parallel proposals differ in their draws only
where the mean teaches nothing.

The cost is what the trials took, so another machine proposes otherwise; what was proposed is in the journal.
"""

import contextlib
import io
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from daf.config.extras import require
from daf.errors import ConfigError
from daf.sweeps.journal import Proposal
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.space import Configuration, Dimension, Space
from daf.sweeps.strategies._base import Lessons, State, Strategy, child_seed, drawing, generator, window

_LEAST_COST = 0.1


class ByProtein(Strategy):
    """lookahead: trials that may be open at a time. max_cost: proposals expected to cost more are not made."""

    def __init__(self, space: Space, seed: int, direction: str, *, lookahead: int, max_cost: float | None) -> None:
        super().__init__(space, seed)
        for dimension in space.dimensions:
            if dimension.choices:
                raise ConfigError(
                    f"search_space.{dimension.name}: strategy protein searches ranges of numbers, not choices."
                )
            if dimension.low == dimension.high:
                raise ConfigError(f"search_space.{dimension.name}: strategy protein needs min below max.")
        require("train", "strategy protein", "pufferlib", "pyro", "torch")
        self._direction = direction
        self._lookahead = lookahead
        self._max_cost = math.inf if max_cost is None else max_cost
        self._open: dict[int, Configuration] = {}

    def needs(self, number: int) -> int:
        return window(number, self._lookahead)

    def start(self, number: int, known: Any, fixed: Any) -> tuple[Configuration, State]:
        values, state = super().start(number, known, fixed)
        self._open[number] = values
        return values, state

    def restore(self, proposal: Proposal) -> None:
        self._open[proposal.number] = dict(proposal.hyperparameters)

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        observed = self._observations(number, known)
        if not observed and number:  # the centre was proposed already, and nothing is known of it yet
            values = self.space.configure(drawing(generator(self.seed, number)))
        else:
            with _seeded(child_seed(self.seed, number)), contextlib.redirect_stdout(io.StringIO()):
                protein = self._protein()
                for inputs, score, cost in observed:
                    protein.observe(inputs, score, cost)
                suggestion, _ = protein.suggest(None)
            values = self.space.configure(lambda d: d.number(float(suggestion[d.name])))
        self._open[number] = values
        return values, {}

    def _observations(
        self, number: int, known: Sequence[SweepTrialResult]
    ) -> list[tuple[dict[str, float], float, float]]:
        """What Protein is told: inputs, score, cost.

        It takes two trials of equal score and cost to beat each other, and fails where no trial is left. So costs grow
        by a ten-thousandth from one to the next, which no two costs are known to.
        """
        lessons = Lessons((self._direction,))
        sign = 1.0 if self._direction == "maximize" else -1.0
        told: list[tuple[dict[str, float], float, float]] = []
        for result in known:
            lesson = lessons.learn(result)
            if lesson is not None and result.cost is not None:
                told.append((self._inputs(result.hyperparameters), sign * lesson[0], max(result.cost, _LEAST_COST)))
        pending = [self._open[n] for n in range(len(known), number) if n in self._open]
        if told:
            score, cost = float(np.mean([t[1] for t in told])), float(np.mean([t[2] for t in told]))
            told += [(self._inputs(values), score, cost) for values in pending]
        return [(inputs, score, cost * (1 + index / 10_000)) for index, (inputs, score, cost) in enumerate(told)]

    def _inputs(self, values: Any) -> dict[str, float]:
        return {dimension.name: float(values[dimension.name]) for dimension in self.space.dimensions}

    def _protein(self) -> Any:
        from pufferlib.sweep import Hyperparameters, Protein

        described: dict[str, Any] = {d.name: _described(d) for d in self.space.dimensions}
        described |= {"metric": "score", "goal": "maximize", "method": "Protein", "downsample": 1}
        protein = Protein(described, max_suggestion_cost=self._max_cost)
        protein.hyperparameters = Hyperparameters(described, verbose=False)
        return protein


def _described(dimension: Dimension) -> dict[str, Any]:
    """A dimension as PufferLib's files have it."""
    middle = math.sqrt(dimension.low * dimension.high) if dimension.log else (dimension.low + dimension.high) / 2
    kind = "log_normal" if dimension.log else "int_uniform" if dimension.whole else "uniform"
    prior = middle if dimension.prior is None else float(dimension.prior)
    return {"distribution": kind, "min": dimension.low, "max": dimension.high, "mean": prior, "scale": "auto"}


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that PufferLib draws from, and put back afterwards what they were."""
    import pyro
    import torch

    pyro.clear_param_store()  # kernels of an earlier proposal, perhaps of another space, would be taken up again
    before = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
