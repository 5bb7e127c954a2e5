"""Paired differences over missions that differ: their mean, its p and its interval.

The plain sign-flip test counts differences between missions as noise: where a policy gains on one mission and loses on
another, however surely, the interval of the mean becomes wide. Here every mission's differences are first shifted to
the overall mean and scaled by n / (n - 1) of variance, since each mission's mean is estimated from its own blocks. The
null hypothesis is that the mean over these missions is 0, not that it is 0 on each. With one mission nothing changes.

Simulated with effects of +2 and -2 spreads in turn (2 to 10 missions of 2 to 10 blocks each): normal differences are
called different at the 5 % level in 4 to 5 % of cases, and the interval covers 95 to 97 %. The plain test never calls
them different, and has equally little power where there is an effect. Exponential differences: 8 %, which skew costs
the plain test on one mission too.
"""

import numpy as np
from numpy.typing import ArrayLike

from daf.stats.arrays import FloatArray, finite, strata_of
from daf.stats.permutation import SignFlipResult, sign_flip


def paired_mean(
    differences: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
) -> SignFlipResult:
    """`sign_flip` of the mean over strata of `differences` (..., n_blocks), after removing differences between strata.

    Raises `DataError` for NaN or ill-shaped strata.
    """
    rows = finite(differences, what="differences")
    groups = strata_of(strata, rows.shape[-1])
    if int(groups.max()) == 0:
        return sign_flip(rows, groups, alpha=alpha, resamples=resamples, seed=seed)
    return sign_flip(_on_one_mean(rows, groups), groups, alpha=alpha, resamples=resamples, seed=seed)


def _on_one_mean(rows: FloatArray, groups: np.ndarray) -> FloatArray:
    parts = [rows[..., groups == group] for group in range(int(groups.max()) + 1)]
    middle = np.mean([part.mean(axis=-1) for part in parts], axis=0)[..., None]
    moved = np.empty_like(rows)
    for group, part in enumerate(parts):
        n = part.shape[-1]
        off = part - part.mean(axis=-1, keepdims=True)
        moved[..., groups == group] = middle + off * np.sqrt(n / max(n - 1, 1))
    return moved
