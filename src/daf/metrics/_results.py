"""The findings about metrics: distributions, correlations, and single agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daf.episodes.metrics_correlation import Correlation


@dataclass(frozen=True)
class Distribution:
    """How a metric spreads over the episodes of one policy on one mission.

    quartiles: (25 %, median, 75 %). zeros: share of episodes in which it is 0. std: over episodes, n − 1; None for one.
    caveat: a warning about the data, "" if there is none. values: by episode, in plan order.
    """

    metric: str
    mission: str
    policy: str
    n: int
    mean: float
    std: float | None
    minimum: float
    quartiles: tuple[float, float, float]
    maximum: float
    zeros: float
    skew: float
    caveat: str
    values: tuple[float, ...]


class Sampled(Protocol):
    """A metric's values in the episodes, or of the agents, of one policy on one mission."""

    @property
    def metric(self) -> str: ...
    @property
    def mission(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def values(self) -> tuple[float, ...]: ...


def same_values(samples: Sequence[Sampled], asked: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """By metric, the later ones that have its values for every policy on every mission, for which it can stand.

    asked: names that are never left to another.
    """
    cells: dict[str, list[tuple[str, str, tuple[float, ...]]]] = {}
    for one in samples:
        cells.setdefault(one.metric, []).append((one.mission, one.policy, one.values))
    first: dict[tuple[tuple[str, str, tuple[float, ...]], ...], str] = {}
    found: dict[str, list[str]] = {}
    for metric, own in cells.items():
        if metric not in asked:
            key = tuple(sorted(own))
            if first.setdefault(key, metric) != metric:
                found.setdefault(first[key], []).append(metric)
    return {metric: tuple(others) for metric, others in found.items()}


@dataclass(frozen=True)
class AgentRow:
    """An agents' metric, agent by agent, as means over a policy's episodes on a mission.

    share: of the largest agent in the sum, None if the sum is 0.
    """

    metric: str
    mission: str
    policy: str
    agents: tuple[float, ...]
    share: float | None

    @property
    def values(self) -> tuple[float, ...]:
        """The agents' means."""
        return self.agents


@dataclass(frozen=True)
class CorrelationReport:
    """Correlations on one mission. groups: the policies; correlations are within each."""

    mission: str
    policies: tuple[str, ...]
    pairs: tuple[Correlation, ...]
    metrics: tuple[str, ...]
    matrix: NDArray[np.float64]
    constant: tuple[str, ...]
    n: int
    alpha: float

    @property
    def significant(self) -> list[Correlation]:
        """The pairs that hold after Holm's correction."""
        return [pair for pair in self.pairs if pair.p_adjusted <= self.alpha]
