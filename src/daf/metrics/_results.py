"""The findings about metrics: distributions, correlations, and single agents."""

from dataclasses import dataclass

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
