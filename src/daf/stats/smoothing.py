"""Running means."""

import numpy as np
from numpy.typing import ArrayLike

from daf.stats.arrays import FloatArray


def running_mean(values: ArrayLike, window: int, weights: ArrayLike | None = None) -> FloatArray:
    """The mean of the `window` values around each value, fewer at the ends, weighted by `weights` (default: equally).

    values: (n,), weights: (n,), above 0.
    """
    found = np.asarray(values, dtype=np.float64)
    if window <= 1 or len(found) < 2:
        return found
    weight = np.ones(len(found)) if weights is None else np.asarray(weights, dtype=np.float64)
    half = window // 2
    # Sums of differences to the first value: sums of large values would lose the digits in which they differ.
    sums = np.concatenate(([0.0], np.cumsum(weight * (found - found[0]))))
    weight_sums = np.concatenate(([0.0], np.cumsum(weight)))
    positions = np.arange(len(found))
    first, last = np.maximum(positions - half, 0), np.minimum(positions + half + 1, len(found))
    means: FloatArray = found[0] + (sums[last] - sums[first]) / (weight_sums[last] - weight_sums[first])
    return means
