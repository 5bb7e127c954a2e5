"""Which metrics correlate: Spearman's correlation within groups of similar episodes, with Holm over all pairs.

Policies differ in nearly everything at once, and so do missions: over pooled episodes almost any two metrics correlate.
So ranks are taken within each group (a policy on a mission) and centred there; the rest is how metrics vary together
from episode to episode of the same policy. With one group it is Spearman's ordinary coefficient.

The p values are Student's t with n − groups − 1 degrees of freedom: approximate, and too small with fewer than about 10
episodes a group or many ties. A correlation does not show causation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.stats.multiple import holm

LEAST_EPISODES = 5


@dataclass(frozen=True, slots=True)
class Correlation:
    """Two metrics. rho: −1 to 1. n: episodes. p_adjusted: Holm over every pair that was looked at."""

    a: str
    b: str
    rho: float
    n: int
    p: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Correlations:
    """pairs: strongest first. names, matrix: all coefficients. constant: metrics left out since they never vary."""

    pairs: tuple[Correlation, ...]
    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    constant: tuple[str, ...]
    n: int
    groups: int


def correlate(
    names: Sequence[str], table: NDArray[np.float64], groups: Sequence[object], *, target: str | None = None
) -> Correlations:
    """Correlate the columns of `table` (n_episodes, n_metrics) within `groups` (one label per episode).

    target: test only the pairs with this metric, so that Holm corrects for fewer. Raises `DataError` for NaN and
    for too few episodes.
    """
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise DataError(
            f"{names[column]} has no value in episode {row}; correlations need every metric in every episode."
        )
    labels = list(dict.fromkeys(groups))
    of = np.array([labels.index(group) for group in groups])
    n, free = len(table), len(table) - len(labels) - 1
    if n < LEAST_EPISODES or free < 3:
        raise DataError(
            f"{n} episodes in {len(labels)} groups are too few to correlate; need at least {len(labels) + 4}, and "
            "about 10 a group for meaningful results."
        )
    ranks = _centred_ranks(table, of, len(labels))
    spread = np.sqrt((ranks**2).sum(axis=0))
    varies = spread > 0
    constant = tuple(name for name, some in zip(names, varies, strict=True) if not some)
    kept = [name for name, some in zip(names, varies, strict=True) if some]
    if target is not None and target not in kept:
        raise DataError(f"{target} is the same in all episodes of every policy, so it cannot correlate with anything.")
    scaled = ranks[:, varies] / spread[varies]
    matrix = np.clip(scaled.T @ scaled, -1.0, 1.0)
    first, second = np.triu_indices(len(kept), 1)
    if target is not None:
        place = kept.index(target)
        chosen = (first == place) | (second == place)
        first, second = first[chosen], second[chosen]
    rho = matrix[first, second]
    p = _p_values(rho, free)
    adjusted = holm(p) if len(p) else p
    pairs = []
    for a, b, r, raw, corrected in zip(first, second, rho, p, adjusted, strict=True):
        one, other = kept[a], kept[b]
        if other == target:
            one, other = other, one
        pairs.append(Correlation(one, other, float(r), n, float(raw), float(corrected)))
    pairs.sort(key=lambda pair: (-abs(pair.rho), pair.a, pair.b))
    return Correlations(tuple(pairs), tuple(kept), matrix, constant, n, len(labels))


def _centred_ranks(table: NDArray[np.float64], of: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    ranks = np.zeros_like(table)
    for group in range(groups):
        rows = of == group
        inside = rankdata(table[rows], axis=0)
        inside -= inside.mean(axis=0)
        largest = np.abs(inside).max() if inside.size else 0.0
        ranks[rows] = inside / largest if largest else inside
    return ranks


def _p_values(rho: NDArray[np.float64], free: int) -> NDArray[np.float64]:
    """Two-sided, from t = rho sqrt(free / (1 − rho²)). Source: Kendall and Gibbons, Rank Correlation Methods, 1990."""
    from scipy.stats import t as student

    with np.errstate(divide="ignore"):
        statistic = np.abs(rho) * np.sqrt(free / np.maximum(1.0 - rho**2, 0.0))
    return np.asarray(np.where(np.abs(rho) >= 1.0, 0.0, 2.0 * student.sf(statistic, free)))
