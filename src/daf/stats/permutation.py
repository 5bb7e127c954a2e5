"""Is the paired difference of two policies more than chance? The sign-flip test, and its interval.

Two equal policies could have swapped their scores in any block, so every pattern of signs of the differences was as
likely as the observed one. The p value is the share of patterns whose (weighted) mean difference is at least as large,
in both directions; exact under that symmetry for any distribution, any n, any ties. Few patterns are enumerated
(`EXACT_BLOCKS`); otherwise random ones are drawn and the observed one is counted with them: (k + 1) / (m + 1).

The interval holds the shifts that the same test, with the same patterns, does not reject. It needs no search: a
pattern beats the observed one at shift x exactly where the mean of its flipped blocks is at most x, so the bounds are
order statistics of subset means (Hartigan, "Using subsample values as typical values", JASA 64, 1969).

With several strata the test asks whether the policies are equal everywhere, while the interval is about their mean
difference over the strata, whatever it is on each: the means of flipped blocks are taken within each stratum first.
That is no longer exact but covers (docs/calibration.md), and it stays narrow where the rewards of one mission are
larger than those of another. It needs 9 blocks in every stratum (for alpha 0.05; `_ALONE`); with fewer, the differences
between strata count as spread, which also covers but is wide.

Limits: the symmetry is that of the *difference*. Equal policies have it, and so do two that differ by a shift. Where
one policy is far more erratic than the other, the mean difference is skewed, and at small n the interval covers less
than its nominal level (docs/calibration.md has the figures).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    block_weights,
    check_alpha,
    check_resamples,
    finite,
    generator,
    strata_of,
)

EXACT_BLOCKS = 15
"""Up to this number of blocks, all 2^(n-1) sign patterns are enumerated (a pattern equals its mirror image)."""

_TIE = 1e-10
"""Relative to the sum of absolute differences: closer sums are equal, since their order of summation differs."""

INTERVAL_PATTERNS = 1 << 14
"""This number of patterns fixes the bounds of an interval to a hundredth of its width; p values use more."""

_ALONE = 8
"""A stratum counts separately if its patterns resolve this share of alpha: it may carry all of the spread."""

_CHUNK = 1 << 22
"""Numbers held at once while patterns are processed."""


@dataclass(frozen=True)
class SignFlipResult:
    """The test's result for each row of differences; arrays have the shape of the rows."""

    difference: FloatArray
    """Mean over the strata of the mean differences."""
    p: FloatArray
    """Two-sided p value."""
    low: FloatArray
    high: FloatArray
    """Bounds of the interval by inversion; -inf and inf where the blocks are too few for its level."""
    exact: bool
    """All patterns were enumerated."""
    smallest_p: float
    """The least p that this number of blocks and patterns can give."""


def sign_flip(
    differences: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
) -> SignFlipResult:
    """Test that paired `differences` (..., n_blocks) are symmetric about 0, with 1 - `alpha` intervals of their mean.

    resamples: sign patterns drawn where there are too many to enumerate.
    Two-sided; every stratum counts the same. Raises `DataError` for NaN or ill-shaped strata.
    """
    array = finite(differences, what="differences")
    check_alpha(alpha)
    n = array.shape[-1]
    groups = strata_of(strata, n)
    weights = block_weights(groups)
    rows = array.reshape(-1, n)
    weighted = rows * weights
    within = strata_stand_alone(groups, alpha)
    spread = groups if within else np.zeros_like(groups)
    flipped = patterns(n, resamples=resamples, seed=seed)
    observed = weighted.sum(axis=1)
    tolerance = _TIE * np.abs(weighted).sum(axis=1)
    p = np.empty(observed.size)
    low, high = np.empty(observed.size), np.empty(observed.size)
    for part in _pieces(observed.size, len(flipped)):
        p[part] = _p_values(_product(flipped, weighted[part].T), observed[part], tolerance[part])
    for part in _pieces(observed.size, min(len(flipped), INTERVAL_PATTERNS)):
        ours, others = _subset_means(flipped[:INTERVAL_PATTERNS], rows[part], spread, weights)
        low[part], high[part] = _bounds(ours, others, observed[part], tolerance[part], alpha)
    shape = array.shape[:-1]
    return SignFlipResult(
        observed.reshape(shape),
        p.reshape(shape),
        low.reshape(shape),
        high.reshape(shape),
        n <= EXACT_BLOCKS,
        smallest_p(n, resamples=resamples),
    )


def smallest_p(n_blocks: int, *, resamples: int | None = None) -> float:
    """The least two-sided p that any sign-flip test of `n_blocks` blocks can give: 2 / 2^n; 1 for a single block.

    resamples: number of random patterns if the test draws them; it cannot resolve less than 1 / (resamples + 1).
    """
    if n_blocks < 1:
        raise DataError(f"{n_blocks} blocks: a test needs at least 1.")
    least = 2.0 ** (1 - n_blocks)
    return least if resamples is None or n_blocks <= EXACT_BLOCKS else max(least, 1.0 / (resamples + 1))


def fewest_blocks(alpha: float) -> int:
    """The least number of blocks with which a test can reach p <= `alpha`: 6 for 0.05, 8 for 0.01."""
    check_alpha(alpha)
    n = 1
    while smallest_p(n) > alpha:
        n += 1
    return n


def strata_stand_alone(groups: IntArray, alpha: float) -> bool:
    """Whether every stratum has enough blocks for an interval that leaves out differences between strata."""
    return bool(np.bincount(groups).min() >= fewest_blocks(alpha / _ALONE))


def patterns(n_blocks: int, *, resamples: int, seed: int) -> BoolArray:
    """(m, n_blocks): which blocks a pattern flips. The same bits for the same seed.

    All patterns but the observed one, mirror images left out, where `n_blocks` is at most `EXACT_BLOCKS`; else
    `resamples` random ones. Raises `UsageError` for `resamples` below 1.
    """
    check_resamples(resamples)
    if n_blocks <= EXACT_BLOCKS:
        numbers = np.arange(1, 2 ** (n_blocks - 1))[:, None]
        return ((numbers >> np.arange(n_blocks)) & 1).astype(np.bool_)
    words = generator(seed, n_blocks).integers(0, 2**64, size=(resamples, -(-n_blocks // 64)), dtype=np.uint64)
    return np.unpackbits(words.view(np.uint8), axis=1, count=n_blocks).view(np.bool_)


def _pieces(rows: int, per_row: int) -> list[slice]:
    step = max(1, _CHUNK // (per_row + 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def _product(flipped: BoolArray, columns: FloatArray) -> FloatArray:
    """`flipped @ columns` without holding all of `flipped` as floats."""
    out = np.empty((len(flipped), columns.shape[1]))
    step = max(1, _CHUNK // flipped.shape[1])
    for start in range(0, len(flipped), step):
        out[start : start + step] = flipped[start : start + step].astype(np.float64) @ columns
    return out


def _p_values(moved: FloatArray, observed: FloatArray, tolerance: FloatArray) -> FloatArray:
    """moved: (m, rows) sums of the flipped blocks; a pattern's statistic is observed - 2 moved."""
    beats = np.abs(observed - 2.0 * moved) >= np.abs(observed) - tolerance
    return np.asarray((1.0 + beats.sum(axis=0)) / (len(moved) + 1.0))


def _subset_means(
    flipped: BoolArray, rows: FloatArray, groups: IntArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(m, rows) means of the flipped blocks and of the others, averaged over `groups`, for the patterns that have both
    in each."""
    parts = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    proper = np.all([flipped[:, part].any(axis=1) & ~flipped[:, part].all(axis=1) for part in parts], axis=0)
    ours, others = np.zeros((int(proper.sum()), len(rows))), np.zeros((int(proper.sum()), len(rows)))
    for part in parts:
        chosen = flipped[np.ix_(proper, part)]
        values, mass = (rows[:, part] * weights[part]).T, chosen @ weights[part]
        moved = _product(chosen, values)
        ours += moved / mass[:, None] / len(parts)
        others += (values.sum(axis=0) - moved) / (weights[part].sum() - mass)[:, None] / len(parts)
    return ours, others


def _bounds(
    ours: FloatArray, others: FloatArray, observed: FloatArray, tolerance: FloatArray, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Order statistics of the subset means: the test at shift x counts the patterns whose lower (for x below the
    observed difference) or higher (above it) of both means lies beyond x."""
    k = int(np.floor(alpha * (len(ours) + 1) * (1 + 1e-12)))
    if k == 0:
        return np.full(observed.shape, -np.inf), np.full(observed.shape, np.inf)
    low, high = np.minimum(ours, others), np.maximum(ours, others)
    lower = np.minimum(np.partition(low, k - 1, axis=0)[k - 1], observed)
    upper = np.maximum(np.partition(high, len(high) - k, axis=0)[len(high) - k], observed)
    lower[np.abs(lower) <= tolerance] = 0.0
    upper[np.abs(upper) <= tolerance] = 0.0
    return lower, upper
