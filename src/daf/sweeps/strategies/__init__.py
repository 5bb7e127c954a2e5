"""Search strategies by name, and the starting points that precede them."""

import math
from collections.abc import Sequence

from daf.config.extras import require
from daf.config.sweep import DAFSweepConfig, prior_of
from daf.config.training import Scalar
from daf.core.search.space import Dimension, Space
from daf.errors import ConfigError
from daf.sweeps.journal import Proposal
from daf.sweeps.strategies._base import Strategy, window
from daf.sweeps.trial_result import SweepTrialResult

LARGEST_GRID = 100_000
"""Maximum number of cells of a grid that is run completely; a larger one needs `num_trials`."""
SLACK = 4
"""Open trials per parallel one with early stopping, so that a long trial does not hold up the others."""


class Proposer:
    """The proposals of a sweep, in order. total: the number of trials."""

    def __init__(self, config: DAFSweepConfig, space: Space, directions: Sequence[str]) -> None:
        self._starts = starting_points(config, space)
        self.lookahead = lookahead_of(config)
        self.total = trials_of(config, space)
        self._strategy = _strategy(config, space, directions, self.lookahead, len(self._starts))
        self._name = "tpe" if config.strategy == "bayesian" else config.strategy
        self._waits = config.early_stopping is not None

    def needs(self, number: int) -> int:
        """The number of trials, counted from 0, that must have ended before trial `number` is proposed."""
        return max(self._strategy.needs(number), self.judges(number))

    def judges(self, number: int) -> int:
        """The number of trials, counted from 0, that trial `number` is compared with for early stopping."""
        return window(number, self.lookahead) if self._waits else 0

    def next(self, number: int, results: Sequence[SweepTrialResult]) -> Proposal:
        """Propose trial `number`. results: at least those of trials 0 to `needs(number)` - 1, in order."""
        known = results[: self._strategy.needs(number)]
        if number < len(self._starts):
            values, state = self._strategy.start(number, known, self._starts[number])
            return Proposal(number, values, "start", state)
        values, state = self._strategy.propose(number, known)
        return Proposal(number, values, self._name, state)

    def restore(self, proposal: Proposal) -> None:
        """Restore a proposal that an earlier process made."""
        self._strategy.restore(proposal)


def lookahead_of(config: DAFSweepConfig) -> int:
    """The number of trials that may be open at a time: `lookahead`, else enough to keep `num_parallel` trials busy."""
    if config.lookahead is not None:
        return config.lookahead
    return config.num_parallel * (SLACK if config.early_stopping is not None and config.num_parallel > 1 else 1)


def trials_of(config: DAFSweepConfig, space: Space) -> int:
    """The number of trials: all cells of a grid, or `num_trials`. Raises `ConfigError` for too large a grid."""
    if config.strategy != "grid":
        return config.num_trials
    cells = space.size()
    if cells is None:
        name = next(d.name for d in space.dimensions if d.count is None)
        raise ConfigError(f"search_space.{name}: strategy grid needs a step in a range, or a list of choices.")
    if "num_trials" in config.model_fields_set:
        return min(config.num_trials, cells)
    if cells > LARGEST_GRID:
        raise ConfigError(
            f"the grid has {cells:,} cells, and at most {LARGEST_GRID:,} are run by default. Make it "
            "coarser, take strategy random or tpe, or say num_trials to run only the first cells."
        )
    return cells


def starting_points(config: DAFSweepConfig, space: Space) -> list[dict[str, Scalar]]:
    """The first trials: the priors as one trial, if there are any, then the starting points of the file.

    Raises `ConfigError` for a number outside its range, and if `num_trials` is too small for all of them.
    """
    found = {dimension.name: dimension for dimension in space.dimensions}
    priors = {name: prior for name, p in config.search_space.items() if (prior := prior_of(p)) is not None}
    points = [
        {name: _value(found[name], value, f"starting_points[{index}].{name}") for name, value in point.items()}
        for index, point in enumerate(config.starting_points)
    ]
    if priors:
        points.insert(0, {name: _value(found[name], v, f"search_space.{name}.prior") for name, v in priors.items()})
    if len(points) > config.num_trials:
        counted = " (the priors are one)" if priors else ""
        raise ConfigError(
            f"num_trials: {config.num_trials} is below the {len(points)} starting points{counted}. Raise it, or leave "
            "some of them out."
        )
    return points


def _value(dimension: Dimension, value: Scalar, where: str) -> Scalar:
    if dimension.choices:
        return value
    nearest = dimension.number(float(value))
    if not math.isclose(float(value), float(nearest), rel_tol=1e-9, abs_tol=1e-12 * (dimension.spacing or 0.0)):
        wanted = "no whole number" if dimension.step is None else f"not on the steps of {dimension.step:g}"
        raise ConfigError(f"{where}: {value!r} is {wanted}. Take {nearest!r}, or change the range.")
    return nearest


def _strategy(config: DAFSweepConfig, space: Space, directions: Sequence[str], lookahead: int, first: int) -> Strategy:
    from daf.sweeps.strategies import _blind as blind

    match config.strategy:
        case "grid":
            return blind.Grid(space, config.seed)
        case "random":
            return blind.Random(space, config.seed)
        case "qmc":
            return blind.QuasiRandom(space, config.seed, first=first)
        case "cmaes":
            from daf.sweeps.strategies._by_cmaes import ByCMAES

            return ByCMAES(
                space,
                config.seed,
                directions[0],
                first=first,
                at_least=config.num_parallel,
                population=config.population_size,
            )
        case "protein":
            from daf.sweeps.strategies._by_protein import ByProtein

            return ByProtein(space, config.seed, directions[0], lookahead=lookahead, max_cost=config.max_cost)
        case _:
            from daf.sweeps.strategies.by_optuna import ByOptuna

            kind = "tpe" if config.strategy == "bayesian" else config.strategy
            if kind == "gp":
                require("train", "strategy gp", "torch")
            return ByOptuna(
                kind,
                space,
                config.seed,
                directions,
                lookahead=lookahead,
                population=config.population_size,
                constraints=tuple(config.constraints or ()),
            )
