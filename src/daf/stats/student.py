"""Intervals of single means from few blocks: Student's t, and its counterpart for the interquartile mean.

With fewer than about 20 blocks a bootstrap has too little to resample: the studentized one diverges, the percentile one
covers too little. For the mean the t interval is exact for normal scores, and holds up for bounded ones. For the IQM, a
mean trimmed by a quarter on either side, the standard error comes from winsorized scores, with the degrees of freedom
of the remaining ones (Tukey and McLaughlin, Sankhyā A 25, 1963). Missions are combined as independent parts of one
mean, with Satterthwaite's degrees of freedom.
"""

from typing import Literal

import numpy as np

from daf.stats.aggregates import iqm, mean, stratified
from daf.stats.arrays import FloatArray, IntArray, split

Centre = Literal["mean", "iqm"]


def student_interval(
    scores: FloatArray, strata: IntArray, centre: Centre, *, alpha: float = 0.05
) -> tuple[FloatArray, FloatArray]:
    """(low, high) of each row's mean or IQM over strata that count the same.

    scores: (n_rows, n_blocks); strata: (n_blocks,) from 0, each with at least two blocks. An IQM of fewer than four
    blocks trims nothing, so its interval is the mean's.
    """
    from scipy.special import stdtrit  # scipy.stats, which has the same, takes 0.5 s to import

    parts = [_variance(part, centre) for part in split(scores, strata)]
    variances = np.array([variance for variance, _ in parts]) / len(parts) ** 2
    freedom = np.array([degrees for _, degrees in parts], dtype=float)[:, None]
    total = variances.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(total > 0, total**2 / (variances**2 / freedom).sum(axis=0), freedom.min())
    half = stdtrit(degrees, 1 - alpha / 2) * np.sqrt(total)
    middle = stratified(scores, strata, statistic=mean if centre == "mean" else iqm)
    return middle - half, middle + half


def _variance(scores: FloatArray, centre: Centre) -> tuple[FloatArray, int]:
    """Squared standard error of each row's centre, and its degrees of freedom."""
    n = scores.shape[1]
    trimmed = n // 4 if centre == "iqm" else 0
    ordered = np.sort(scores, axis=1)
    if trimmed:
        ordered[:, :trimmed] = ordered[:, trimmed : trimmed + 1]
        ordered[:, n - trimmed :] = ordered[:, n - trimmed - 1 : n - trimmed]
    left = (n - 2 * trimmed) / n
    return ordered.var(axis=1, ddof=1) / (n * left**2), n - 2 * trimmed - 1
