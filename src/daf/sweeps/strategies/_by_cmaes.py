"""CMA-ES over continuous, stepped and categorical dimensions at once (CatCMA with margin, from `cmaes`).

It works in generations: every trial of a generation must have ended before the first of the next is proposed. The state
of the optimizer after g generations follows from the seed and their results, so a restart replays them. After
convergence it restarts at another point. A name that a condition switches off is sampled and dropped.
Source: Hamano et al., "CatCMA with Margin: Stochastic Optimization for Continuous, Integer, and Categorical Variables",
arXiv:2504.07884.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from daf.core.search.space import Configuration, Dimension, Space
from daf.errors import ConfigError
from daf.sweeps.strategies._base import Lessons, State, Strategy, child_seed
from daf.sweeps.trial_result import SweepTrialResult

MOST_STEPS = 200
"""A range with more values than this is treated as continuous and rounded."""


class ByCMAES(Strategy):
    """CMA-ES.

    first: the number of the first trial that it proposes. at_least: minimum number of trials per generation, unless
    `population` sets it.
    """

    def __init__(
        self, space: Space, seed: int, direction: str, *, first: int, at_least: int, population: int | None
    ) -> None:
        super().__init__(space, seed)
        self._sign = -1.0 if direction == "maximize" else 1.0
        searched = [d for d in space.order if d.count != 1]
        if not searched:
            raise ConfigError(
                "search_space: every name has one value, so that strategy cmaes has nothing to search. Give one of "
                "them several, or take strategy grid."
            )
        self._chosen = [d for d in searched if d.choices or d.count == 2]
        self._stepped = [d for d in searched if d not in self._chosen and (d.count or MOST_STEPS + 1) <= MOST_STEPS]
        self._continuous = [d for d in searched if d not in self._chosen and d not in self._stepped]
        self._first = first
        self._lessons = Lessons((direction,))
        self._began = 0
        self._optimizer = self._begun(population)
        self._population = population or max(at_least, self._optimizer.population_size)
        self._optimizer = self._begun(self._population)
        self._generation = 0
        self._asked = self._ask()

    def needs(self, number: int) -> int:
        if number < self._first:
            return 0
        return self._first + (number - self._first) // self._population * self._population

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        generation, index = divmod(number - self._first, self._population)
        while self._generation < generation:
            start = self._first + self._generation * self._population
            self._report(known[start : start + self._population])
        return self._configuration(self._asked[index]), {}

    def _report(self, results: Sequence[SweepTrialResult]) -> None:
        lessons = [self._lessons.learn(result) for result in results]
        losses = [None if lesson is None else self._sign * lesson[0] for lesson in lessons]
        worst = max((loss for loss in losses if loss is not None), default=0.0)
        reported = [worst if loss is None else loss for loss in losses]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it takes means over kinds of names that are absent
            self._optimizer.tell(list(zip(self._asked, reported, strict=True)))
        self._generation += 1
        if self._optimizer.should_stop():
            self._began += 1
            self._optimizer = self._begun(self._population)
        self._asked = self._ask()

    def _ask(self) -> list[Any]:
        return [self._optimizer.ask() for _ in range(self._population)]

    def _begun(self, population: int | None) -> Any:
        from cmaes import CatCMAwM

        spaces: dict[str, Any] = {}
        if self._continuous:
            spaces["x_space"] = [[0.0, 1.0]] * len(self._continuous)
        if self._stepped:
            spaces["z_space"] = [[d.position(d.nth(i)) for i in range(d.count or 1)] for d in self._stepped]
        if self._chosen:
            spaces["c_space"] = [d.count for d in self._chosen]
        return CatCMAwM(**spaces, population_size=population, seed=child_seed(self.seed, self._began))

    def _configuration(self, solution: Any) -> Configuration:
        values = {}
        for column, dimension in enumerate(self._continuous):
            values[dimension.name] = _clipped(dimension, float(solution.x[column]))
        for column, dimension in enumerate(self._stepped):
            places = [dimension.position(dimension.nth(i)) for i in range(dimension.count or 1)]
            wanted = float(solution.z[column])
            values[dimension.name] = dimension.nth(min(range(len(places)), key=lambda i: abs(places[i] - wanted)))
        for column, dimension in enumerate(self._chosen):
            values[dimension.name] = dimension.nth(int(solution.c[column].argmax()))
        return self.space.configure(lambda d: values[d.name] if d.name in values else d.nth(0))


def _clipped(dimension: Dimension, position: float) -> Any:
    return dimension.at(min(max(position, 0.0), 1.0))
