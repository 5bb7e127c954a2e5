"""How good a trial is, as a colour: a ramp by rank, from the page's ground to its first series colour.

Ranks, not values: one outlier would squeeze all others into one shade. The colours are CSS mixes, so that they follow
light and dark mode.
"""

from collections.abc import Sequence

import numpy as np

BANDS = 8
BEST = "var(--s1)"
"""The colour of the best trial, which is also drawn larger."""


def shade(band: int, bands: int = BANDS) -> str:
    """The colour of band 0 (worst) to `bands` - 1 (best)."""
    return f"color-mix(in oklab,var(--s0) {20 + round(80 * band / max(1, bands - 1))}%,var(--ground))"


def bands_of(values: Sequence[float], *, maximize: bool, bands: int = BANDS) -> list[int]:
    """The band of each value by its rank; equal values share one."""
    array = np.asarray(values, dtype=np.float64) * (1.0 if maximize else -1.0)
    different, place = np.unique(array, return_inverse=True)
    if len(different) == 1:
        return [bands - 1] * len(array)
    below = np.searchsorted(np.sort(array), different, side="left") / max(1, len(array) - 1)
    found = np.minimum(bands - 1, (below * bands).astype(int))
    found[-1] = bands - 1
    return [int(band) for band in found[place]]
