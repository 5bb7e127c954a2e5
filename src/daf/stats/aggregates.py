"""One number for many episodes: mean, IQM, median.

Each works along the last axis, so one call serves all policies and all resamples: (..., n) → (...). `stratified`
averages one of them over the missions, every mission counting the same. The scales of missions differ, so episodes of
different missions are never sorted into one pool.

`standard_error` (of mean and IQM) is what the studentized bootstrap divides by.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.arrays import FloatArray, finite, split, strata_of

Statistic = Callable[[FloatArray], FloatArray]
"""A statistic of blocks, vectorised: (..., n) → (...)."""


def mean(scores: FloatArray) -> FloatArray:
    """The arithmetic mean along the last axis."""
    return np.asarray(scores.mean(axis=-1))


def median(scores: FloatArray) -> FloatArray:
    """The median along the last axis; the mean of the two middle values for even n."""
    return np.asarray(np.median(scores, axis=-1))


def iqm(scores: FloatArray) -> FloatArray:
    """Interquartile mean: the mean of the middle half along the last axis, for any n >= 1.

    Where n is not a multiple of 4, the two values at the quartiles count with the fraction that lies inside. (rliable
    drops whole values instead, so that it trims 7 episodes like 4.)
    Source: Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021, section 4.
    """
    return np.asarray(np.sort(scores, axis=-1) @ _middle_half(scores.shape[-1]))


def stratified(scores: ArrayLike, strata: ArrayLike | None = None, *, statistic: Statistic = mean) -> FloatArray:
    """Mean over the strata of `statistic` within each: (..., n_blocks) → (...).

    Raises `DataError` for NaN and for strata that do not fit.
    """
    array = finite(scores)
    groups = strata_of(strata, array.shape[-1])
    return np.mean([statistic(part) for part in split(array, groups)], axis=0)


def mean_error(scores: FloatArray) -> FloatArray:
    """Standard error of `mean`: s / sqrt(n), with n - 1 in s; needs n >= 2."""
    _need_two(scores)
    return np.asarray(scores.std(axis=-1, ddof=1) / np.sqrt(scores.shape[-1]))


def iqm_error(scores: FloatArray) -> FloatArray:
    """Standard error of `iqm`: that of a mean trimmed by a quarter, from the winsorised spread; needs n >= 2.

    Source: Tukey and McLaughlin, Sankhya A 25, 1963; with the fractional quartiles of `iqm`.
    """
    _need_two(scores)
    n = scores.shape[-1]
    ordered = np.sort(scores, axis=-1)
    cut = min(int(n / 4), (n - 1) // 2)
    winsorised = np.clip(ordered, ordered[..., cut, None], ordered[..., n - 1 - cut, None])
    return np.asarray(winsorised.std(axis=-1, ddof=1) / (0.5 * np.sqrt(n)))


def standard_error(statistic: Statistic) -> Statistic:
    """The standard error of `statistic`. Raises `DataError` if none is known (the median, custom statistics)."""
    known: dict[Statistic, Statistic] = {mean: mean_error, iqm: iqm_error}
    if statistic not in known:
        raise DataError("no standard error is known for this statistic; pass one, or use method percentile or bca.")
    return known[statistic]


def _middle_half(n: int) -> FloatArray:
    edges = np.clip(np.arange(n + 1, dtype=np.float64), n / 4, 3 * n / 4)
    return np.asarray(np.diff(edges) / (n / 2))


def _need_two(scores: FloatArray) -> None:
    if scores.shape[-1] < 2:
        raise DataError("a single block has no spread; a standard error needs at least 2 blocks.")
