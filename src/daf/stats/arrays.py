"""The array shapes that `daf.stats` works on, and the checks of its inputs.

`scores` is (n_policies, n_blocks): one column per block, and a block (a mission, a seed, an assignment) is the same
for every policy. `strata` is (n_blocks,): the mission of each block, as any integers. Wherever strata are averaged each
counts the same, however many blocks it has. Only finite numbers are accepted: silently dropping a failed episode would
make its policy look better than it is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daf.errors import DataError, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SAME = 1e-12
"""Relative tolerance below which two scores are equal: means of rewards differ in the last bits."""

LARGEST = 1e100
"""Largest absolute value: beyond it third powers overflow, and results would be silently wrong."""


def finite(values: ArrayLike, *, what: str = "scores") -> FloatArray:
    """`values` as float64. Raises `DataError` if empty, and for NaN and values beyond `LARGEST`."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{what}: nothing to analyse (shape {array.shape}); need at least one block.")
    bad = ~(np.abs(array) <= LARGEST)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{what}: {int(bad.sum())} of {array.size} are not finite numbers up to {LARGEST:g}; the first is "
            f"{array[first]} at {first}. "
            "Leave the block out for every policy, or run the failed episode again."
        )
    return array


def strata_of(strata: ArrayLike | None, n_blocks: int) -> IntArray:
    """`strata` as indices 0 … n_strata-1 in the order of their labels; `None` puts all blocks into one stratum."""
    if strata is None:
        return np.zeros(n_blocks, dtype=np.int64)
    labels = np.asarray(strata)
    if labels.shape != (n_blocks,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"strata: need {n_blocks} integers, one per block; got shape {labels.shape} of {labels.dtype}.")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def split(scores: FloatArray, strata: IntArray) -> list[FloatArray]:
    """The blocks (..., n) of each stratum 0, 1, …, in their order; linear in the number of blocks."""
    order = np.argsort(strata, kind="stable")
    return np.split(scores[..., order], np.cumsum(np.bincount(strata))[:-1], axis=-1)


def block_weights(strata: IntArray) -> FloatArray:
    """(n_blocks,) weights that sum to 1 with the same total for every stratum."""
    counts = np.bincount(strata)
    weights: FloatArray = 1.0 / (counts.size * counts[strata])
    return weights


def differences(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """`a - b` block by block, exactly 0 where both are equal up to rounding (`SAME`)."""
    first, second = finite(a), finite(b)
    if first.shape != second.shape:
        raise DataError(f"paired scores need the same blocks; got shapes {first.shape} and {second.shape}.")
    difference = first - second
    difference[np.abs(difference) <= SAME * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return difference


def generator(seed: int, *path: int) -> np.random.Generator:
    """A random generator for `seed`, any integer, and one purpose, named by `path`; purposes draw independently."""
    return np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, *path])


def check_alpha(alpha: float) -> float:
    """Return `alpha` if it is an error rate. Raises `UsageError`."""
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha must be between 0 and 1, got {alpha}; 0.05 and 0.01 are common.")
    return alpha


MAX_RESAMPLES = 10_000_000
"""Upper bound: the statistics of all resamples are held in memory."""


def check_resamples(resamples: int) -> int:
    """Return `resamples` if it is a number of draws. Raises `UsageError`."""
    if resamples < 1:
        raise UsageError(f"resamples must be at least 1, got {resamples}; 1,000 to 100,000 is common.")
    if resamples > MAX_RESAMPLES:
        raise UsageError(f"resamples must be at most {MAX_RESAMPLES:,}, got {resamples:,}; 1,000 to 100,000 is common.")
    return resamples


def check_names(names: Sequence[str], count: int, *, what: str) -> None:
    """Raises `DataError` unless there are `count` names."""
    if len(names) != count:
        raise DataError(f"{len(names)} {what} names for {count} {what} rows.")
