"""How large a paired difference is, in addition to how certain.

`d_z` is the mean difference in units of the differences' standard deviation; `improvement` the probability that the
first policy does better on a block, ties counted half; `equivalence` the test that the difference is practically zero.
"""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import UsageError
from daf.stats.arrays import FloatArray, IntArray, block_weights, check_alpha, finite, strata_of
from daf.stats.permutation import sign_flip


def d_z(differences: ArrayLike, strata: ArrayLike | None = None) -> FloatArray:
    """Mean difference over its standard deviation, (..., n_blocks) → (...).

    Every stratum counts the same in both; the deviation is from the overall mean, with n - 1. 0 where all differences
    are 0, infinite where they are all the same but not 0, NaN for a single block.
    Source: Cohen, Statistical Power Analysis, 1988, section 2.3.5.
    """
    rows = finite(differences, what="differences")
    n = rows.shape[-1]
    weights = block_weights(strata_of(strata, n))
    centre = np.asarray(rows @ weights)
    if n < 2:
        return np.where(centre == 0, 0.0, np.nan)
    spread = np.sqrt(np.maximum((rows - centre[..., None]) ** 2 @ weights, 0.0) * n / (n - 1))
    flat = spread <= 1e-12 * np.abs(centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(flat, np.sign(centre) * np.inf, centre / np.where(flat, 1.0, spread))
    return np.where(centre == 0, 0.0, ratio)


@dataclass(frozen=True)
class Improvement:
    """The chance that the first of two policies does better on a block of an average stratum, ties half."""

    probability: FloatArray
    low: FloatArray
    high: FloatArray


def improvement(differences: ArrayLike, strata: ArrayLike | None = None, *, alpha: float = 0.05) -> Improvement:
    """Probability of improvement of paired `differences` (..., n_blocks), with intervals that cover at least their
    level.

    Clopper and Pearson's bounds (Biometrika 26, 1934), on the number of blocks that the strata's weights are worth;
    ties make them wider than necessary, never narrower.
    """
    from scipy.special import betaincinv

    rows = finite(differences, what="differences")
    check_alpha(alpha)
    weights = block_weights(strata_of(strata, rows.shape[-1]))
    probability = np.round((1.0 + np.sign(rows) @ weights) / 2, 12)
    n = 1.0 / float(np.sum(weights**2))
    hits = np.asarray(probability * n)
    misses = n - hits
    sure_low, sure_high = hits <= 1e-9, misses <= 1e-9
    low = betaincinv(np.where(sure_low, 1.0, hits), misses + 1.0, alpha / 2)
    high = betaincinv(hits + 1.0, np.where(sure_high, 1.0, misses), 1 - alpha / 2)
    return Improvement(np.asarray(probability), np.where(sure_low, 0.0, low), np.where(sure_high, 1.0, high))


class PairedMeasures(TypedDict):
    """What `paired_measures` returns, by the names of `PairVerdict`'s fields."""

    n: int
    wins: int
    losses: int
    ties: int
    effect_size: float | None
    prob_improvement: float
    prob_improvement_ci: tuple[float, float]


def paired_measures(blocks: FloatArray, groups: IntArray, *, alpha: float) -> PairedMeasures:
    """Counts and sizes of the effect in paired differences (n_blocks,), which may be none.

    Without blocks there is no effect size, and the probability of improvement is 0.5 in (0, 1).
    """
    effect = float(d_z(blocks, groups)) if blocks.size else float("nan")
    chance = improvement(blocks, groups, alpha=alpha) if blocks.size else None
    return {
        "n": blocks.size,
        "wins": int(np.sum(blocks > 0)),
        "losses": int(np.sum(blocks < 0)),
        "ties": int(np.sum(blocks == 0)),
        "effect_size": effect if np.isfinite(effect) else None,
        "prob_improvement": 0.5 if chance is None else float(chance.probability),
        "prob_improvement_ci": (0.0, 1.0) if chance is None else (float(chance.low), float(chance.high)),
    }


def equivalence(
    differences: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    margin: float,
    resamples: int = 10_000,
    seed: int = 0,
) -> FloatArray:
    """p value for "the mean difference is at least `margin` away from 0": small means practically equal, (...,).

    Two one-sided sign-flip tests, at -margin and at +margin; the larger p counts.
    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.
    """
    check_margin(margin)
    rows = finite(differences, what="differences")
    larger = np.zeros(rows.shape[:-1])
    for shift, inside in ((margin, 1.0), (-margin, -1.0)):
        result = sign_flip(rows + shift, strata, resamples=resamples, seed=seed)
        one_sided = np.where(inside * result.difference > 0, result.p / 2, 1 - result.p / 2)
        larger = np.maximum(larger, one_sided)
    return larger


def check_margin(margin: float) -> float:
    """Return `margin` if it is positive. Raises `UsageError`."""
    if not (np.isfinite(margin) and margin > 0):
        raise UsageError(f"the practical difference must be above 0, got {margin}; give it in the unit of the scores.")
    return margin
