"""Properties of the data that make an interval cover less, or a test detect less, than its level suggests.

Checked: scores that are mostly zero, differences that are mostly ties, skew, and single blocks that dominate the
result. The caveat is a sentence for the reader of a table; it is empty if nothing stands out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from daf.stats.arrays import finite

MANY_ZEROS = 0.5
MANY_TIES = 0.3
STRONG_SKEW = 1.0
"""Skew beyond what 30 normal values show in about 1 of 50 samples."""
ONE_CARRIES = 0.5
SKEWED_COVERAGE = ((35, 87, 91), (100, 89, 93), (1_000_000_000, 92, 94))
"""Up to which number of blocks 95 % intervals of skewed differences cover from how many to how many percent: lognormal
scores against constant and against normal ones, docs/calibration.md.
"""
SPARSE_COVERAGE = ((35, 78), (100, 86), (1_000_000_000, 92))
"""Likewise where 80 % of the differences are 0 and the others have one sign."""
ENOUGH_TO_SEE = 8
"""With fewer values, skew cannot be distinguished from chance."""


@dataclass(frozen=True)
class Shape:
    """Shares and moments of one sample."""

    n: int
    zeros: float
    """Share of values that are 0."""
    distinct: int
    skew: float
    """Third standardised moment; 0 where all values are the same."""
    largest_share: float
    """The farthest value's share of the sum of absolute deviations from the median."""


def shape(values: ArrayLike) -> Shape:
    """The shape of `values` (n,)."""
    sample = finite(values, what="values").ravel()
    off = sample - sample.mean()
    spread = float(np.sqrt(np.mean(off**2)))
    skew = float(np.mean(off**3) / spread**3) if spread > 1e-12 * float(np.abs(sample).max()) else 0.0
    away = np.abs(sample - np.median(sample))
    total = float(away.sum())
    return Shape(
        n=sample.size,
        zeros=float(np.mean(sample == 0)),
        distinct=int(np.unique(sample).size),
        skew=skew,
        largest_share=float(away.max()) / total if total > 0 else 0.0,
    )


def caveat_for_scores(values: ArrayLike) -> str:
    """What a reader of the mean of `values` and its interval should know; "" if nothing stands out."""
    seen = shape(values)
    if seen.n == 1:
        return "A single episode shows no spread."
    if seen.distinct == 1:
        return f"All {seen.n} episodes scored the same."
    if seen.zeros >= MANY_ZEROS:
        return f"{seen.zeros:.0%} of the scores are 0: the interval of the mean covers less than its nominal level."
    if seen.n >= ENOUGH_TO_SEE and abs(seen.skew) > STRONG_SKEW:
        return f"The scores are skewed ({seen.skew:+.1f}): the interval of the mean covers less than its nominal level."
    return ""


def caveat_for_differences(differences: ArrayLike) -> str:
    """What a reader of a paired verdict on `differences` should know; "" if nothing stands out."""
    seen = shape(differences)
    if seen.distinct == 1:
        return ""
    skewed = seen.n >= ENOUGH_TO_SEE and abs(seen.skew) > STRONG_SKEW
    if seen.zeros >= MANY_TIES:
        ties = f"{seen.zeros:.0%} of the episodes are ties, which carry no evidence."
        signs = np.sign(np.asarray(differences, dtype=np.float64))
        if not (skewed and seen.zeros >= MANY_ZEROS and np.unique(signs).size == 2):
            return ties
        percent = next(percent for most, percent in SPARSE_COVERAGE if seen.n <= most)
        one_sided = f"The others have one sign, so the differences are skewed ({seen.skew:+.1f})"
        return f"{ties} {one_sided}: {_covers(f'{percent} %', seen.n)}"
    if seen.n >= ENOUGH_TO_SEE and seen.largest_share > ONE_CARRIES:
        return f"A single episode makes up {seen.largest_share:.0%} of the spread."
    if skewed:
        low, high = next((low, high) for most, low, high in SKEWED_COVERAGE if seen.n <= most)
        return f"The differences are skewed ({seen.skew:+.1f}): {_covers(f'{low} to {high} %', seen.n)}"
    return ""


def _covers(percent: str, blocks: int) -> str:
    return f"a 95 % interval covers about {percent} for such differences and {blocks} blocks."
