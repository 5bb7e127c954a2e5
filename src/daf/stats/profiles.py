"""Performance profiles: for every score, the share of a policy's episodes above it.

A profile shows where policies differ, not only by how much on average: policies whose curves cross are better at
different things. Every mission counts the same. The default band is simultaneous: with the given level the *whole* true
curve lies inside. A pointwise band covers each single height with that level and the whole curve much less often; it is
narrower, so name it. Source: Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021,
section 4.2.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError, UsageError
from daf.stats.aggregates import mean, stratified
from daf.stats.arrays import FloatArray, check_alpha, finite, strata_of
from daf.stats.bootstrap import interval

Band = Literal["simultaneous", "pointwise"]


@dataclass(frozen=True)
class Profile:
    """Curves of all policies over the same thresholds."""

    thresholds: FloatArray
    """(n_thresholds,) scores, rising."""
    share: FloatArray
    """(n_policies, n_thresholds) of episodes above each."""
    low: FloatArray
    high: FloatArray
    band: Band
    level: float


def profile(
    scores: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    thresholds: ArrayLike | None = None,
    band: Band = "simultaneous",
    alpha: float = 0.05,
    resamples: int = 2_000,
    seed: int = 0,
) -> Profile:
    """Profiles of `scores` (n_policies, n_blocks) with 1 - `alpha` bands.

    thresholds: where the curves are evaluated; by default 101 from the least to the largest score.
    simultaneous: the share plus or minus Massart's bound of each mission, divided among the missions; no resampling.
    pointwise: percentiles of resampled blocks. Raises `DataError` for NaN, shapes, and unsorted thresholds.
    """
    rows = finite(scores)
    if rows.ndim != 2:
        raise DataError(f"scores need shape (n_policies, n_blocks); got {rows.shape}.")
    check_alpha(alpha)
    groups = strata_of(strata, rows.shape[1])
    at = np.linspace(rows.min(), rows.max(), 101) if thresholds is None else finite(thresholds, what="thresholds")
    if at.ndim != 1 or (np.diff(at) < 0).any():
        raise DataError("thresholds must have one axis and increasing values.")
    above = (rows[:, None, :] > at[:, None]).astype(np.float64)
    share = stratified(above, groups)
    if band == "simultaneous":
        counts = np.bincount(groups)
        reach = float(np.mean(np.sqrt(np.log(2 * counts.size / alpha) / (2 * counts))))
        low, high = np.clip(share - reach, 0.0, 1.0), np.clip(share + reach, 0.0, 1.0)
    elif band == "pointwise":
        found = interval(
            above, groups, statistic=mean, method="percentile", alpha=alpha, resamples=resamples, seed=seed
        )
        low, high = found.low, found.high
    else:
        raise UsageError(f'no band "{band}". Choose simultaneous or pointwise.')
    return Profile(at, share, low, high, band, 1 - alpha)
