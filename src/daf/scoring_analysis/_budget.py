"""The number of episodes needed for an interval of a requested width.

Based on the spread of the blocks that were played: an interval of the mean over n blocks has a half-width of t s / √n.
The spread is itself estimated from these blocks, so the answer has a range; with fewer than ten blocks the range is
wide. Normal theory: for scores that are mostly zero it is too optimistic.
"""

import math
from dataclasses import dataclass

import numpy as np

from daf.errors import DataError, UsageError
from daf.stats.arrays import FloatArray, IntArray, check_alpha, finite, strata_of
from daf.stats.sentences import counted

MOST_BLOCKS = 10**9


@dataclass(frozen=True)
class Budget:
    """The cost of a half-width of `precision`. blocks: seeds per mission; low, high: 90 % range of that number.

    have: seeds per mission so far (the fewest). episodes: of all teams on all missions together.
    """

    precision: float
    have: int
    blocks: int
    low: int
    high: int
    episodes: int

    @property
    def sentence(self) -> str:
        """The budget as text."""
        if self.blocks <= self.have:
            played = f"it needs about {counted(self.blocks, 'seed')} and has {self.have:,}"
            return f"±{self.precision:.3g} is reached: {played}."
        return (
            f"±{self.precision:.3g} needs about {self.blocks:,} seeds (90 % range {self.low:,} to {self.high:,}, "
            "estimated from "
            f"{counted(self.have, 'seed')}): {self.episodes:,} episodes in total; use -e {self.blocks}."
        )


def budget_for(
    values: FloatArray,
    strata: IntArray | None = None,
    *,
    precision: float,
    episodes_per_block: int,
    alpha: float = 0.05,
) -> Budget:
    """The budget for the mean of `values` (n_blocks,), all strata having equal weight and equally many blocks.

    episodes_per_block: episodes that one seed costs on all strata together. Raises `UsageError` for a precision that
    is not above 0, `DataError` for a stratum of fewer than two blocks.
    """
    from scipy.special import gammaincinv, ndtri, stdtrit  # scipy.stats, which has the same, takes 0.5 s to import

    row = finite(values, what="values")
    check_alpha(alpha)
    if not (math.isfinite(precision) and precision > 0):
        raise UsageError(f"--precision must be above 0, got {precision:g}.")
    groups = strata_of(strata, row.size)
    parts = [row[groups == group] for group in range(int(groups.max()) + 1)]
    have = min(part.size for part in parts)
    if have < 2:
        raise DataError("a single block has no spread; a budget needs at least 2 of each mission.")
    variance = float(sum(np.var(part, ddof=1) for part in parts)) / len(parts) ** 2
    freedom = sum(part.size - 1 for part in parts)

    def blocks(spread: float) -> int:
        count = min(MOST_BLOCKS, max(2, math.ceil(float(ndtri(1 - alpha / 2)) ** 2 * spread / precision**2)))
        while count < float(stdtrit(len(parts) * (count - 1), 1 - alpha / 2)) ** 2 * spread / precision**2:
            if count == MOST_BLOCKS:
                break
            count += 1
        return count

    low, high = (variance * freedom / (2 * float(gammaincinv(freedom / 2, level))) for level in (0.95, 0.05))
    needed = blocks(variance)
    return Budget(precision, have, needed, blocks(low), blocks(high), needed * episodes_per_block)
