"""Strategies that use no results: every cell of a grid, random points, quasi-random points."""

from collections.abc import Iterator, Sequence

from daf.core.search.space import Configuration, Space
from daf.sweeps.strategies._base import State, Strategy, child_seed, drawing, generator
from daf.sweeps.trial_result import SweepTrialResult


class Grid(Strategy):
    """Trial n is cell n, the last name of the space changing fastest."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._cells: Iterator[Configuration] = space.cells()
        self._next = 0

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        while True:
            cell = next(self._cells)
            self._next += 1
            if self._next == number + 1:
                return cell, {}


class Random(Strategy):
    """Every name independently and uniformly; trial n depends only on the seed and n."""

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        return self.space.configure(drawing(generator(self.seed, number))), {}


class QuasiRandom(Strategy):
    """A scrambled Sobol' sequence, whose points cover the space more evenly than random ones.

    Source: Sobol', "On the distribution of points in a cube", 1967; scrambling after Owen, 1998. first: the number of
    the first trial that it proposes; trial first + n is point n.
    """

    def __init__(self, space: Space, seed: int, *, first: int) -> None:
        from scipy.stats import qmc

        super().__init__(space, seed)
        self._first = first
        self._engine = qmc.Sobol(d=len(space.order), scramble=True, rng=child_seed(seed, 0))
        self._points: list[list[float]] = []

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        index = number - self._first
        while len(self._points) <= index:
            more = max(1, len(self._points))  # powers of two, for which the sequence is balanced
            self._points += self._engine.random(more).tolist()
        positions = dict(zip((d.name for d in self.space.order), self._points[index], strict=True))
        return self.space.configure(lambda dimension: dimension.at(positions[dimension.name])), {}
