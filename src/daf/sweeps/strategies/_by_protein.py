"""Protein, PufferLib's search: score against cost, along the Pareto front of both (`pufferlib.sweep.Protein`).

It needs the extra `train`. Its first proposal is the centre of the space (or the priors); later ones are near the
trials that no other dominates in score and cost. It keeps no state between proposals: each one creates a new `Protein`,
passes it the results, and draws under a seed specific to the trial. The global generators of torch, numpy and random
are restored afterwards. Its kernels are refitted each time, which takes some seconds (PufferLib starts from those of
the last proposal). Pending trials enter with the mean of the known results, so parallel proposals differ only in their
draws if the mean adds no information.

The cost is measured on the trials, so another machine gets different proposals; the journal records those that were
made.
"""

import contextlib
import io
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from daf.config.extras import require
from daf.core.search.space import Configuration, Dimension, Space
from daf.errors import ConfigError
from daf.sweeps.journal import Proposal
from daf.sweeps.strategies._base import Lessons, State, Strategy, child_seed, drawing, generator, window
from daf.sweeps.trial_result import SweepTrialResult

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
        observed = self._observed(number, known)
        if not observed and number:  # the centre was already proposed and has no result yet
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

    def _observed(self, number: int, known: Sequence[SweepTrialResult]) -> list[tuple[dict[str, float], float, float]]:
        """The observed passed to Protein: inputs, score, cost.

        Protein treats two trials of equal score and cost as dominating each other, and fails if no trial is left. So
        costs increase by a ten-thousandth from one trial to the next, which is below the precision of a cost.
        """
        lessons = Lessons((self._direction,))
        sign = 1.0 if self._direction == "maximize" else -1.0
        observed: list[tuple[dict[str, float], float, float]] = []
        for result in known:
            lesson = lessons.learn(result)
            if lesson is not None and result.cost is not None:
                observed.append((self._inputs(result.hyperparameters), sign * lesson[0], max(result.cost, _LEAST_COST)))
        pending = [self._open[n] for n in range(len(known), number) if n in self._open]
        if observed:
            score, cost = float(np.mean([t[1] for t in observed])), float(np.mean([t[2] for t in observed]))
            observed += [(self._inputs(values), score, cost) for values in pending]
        return [(inputs, score, cost * (1 + index / 10_000)) for index, (inputs, score, cost) in enumerate(observed)]

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
    """A dimension in the format of PufferLib's files."""
    middle = math.sqrt(dimension.low * dimension.high) if dimension.log else (dimension.low + dimension.high) / 2
    kind = "log_normal" if dimension.log else "int_uniform" if dimension.whole else "uniform"
    prior = middle if dimension.prior is None else float(dimension.prior)
    return {"distribution": kind, "min": dimension.low, "max": dimension.high, "mean": prior, "scale": "auto"}


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that PufferLib draws from, and restore their state afterwards."""
    import pyro
    import torch

    pyro.clear_param_store()  # otherwise kernels of an earlier proposal, perhaps of another space, would be reused
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
