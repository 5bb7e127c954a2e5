"""Intervals for any statistic, by resampling whole blocks within their strata.

A resample draws, in every stratum, its number of blocks with replacement; a block brings the scores of all policies
along, so paired scores stay paired. The statistic of each stratum is averaged over the strata. The draws depend only on
the seed and the strata, never on the size of the batches that bound the memory.

Which method: `studentized` for means and IQMs, with the most accurate coverage at small n; `bca` where no standard
error is known (it corrects bias and skew, but not enough at small n); `percentile` because it is widely reported. None
reaches its nominal coverage with 20 episodes of which 80 % are zero, or of a lognormal: the tail that matters is not
in the sample.
docs/calibration.md has the figures, `daf.stats.shapes` the warning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError, UsageError
from daf.stats.aggregates import Statistic, mean, standard_error
from daf.stats.arrays import FloatArray, check_alpha, check_resamples, finite, generator, strata_of

Method = Literal["studentized", "bca", "percentile"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; arrays have the shape that the statistic gives for the whole data."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    """Infinite where a studentized interval has no bound: too many resamples have no spread."""
    level: float
    method: Method
    resamples: int


def interval(
    scores: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    statistic: Statistic = mean,
    error: Statistic | None = None,
    method: Method = "studentized",
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
    batch: int = 1 << 22,
) -> Interval:
    """The 1 - `alpha` interval of `statistic`, averaged over the strata, for `scores` (..., n_blocks).

    statistic: (..., n) → (...), or (..., policies, n) → (..., any) for one that looks at the policies together.
    error: its standard error, for `studentized`; known for mean and IQM.
    batch: numbers held at once; no effect on the result.
    Raises `DataError` for NaN, for a stratum of one block (its spread is unknown), and where no standard error is
    known.
    """
    rows = finite(scores)
    check_alpha(alpha)
    check_resamples(resamples)
    groups = strata_of(strata, rows.shape[-1])
    parts = [rows[..., groups == group] for group in range(int(groups.max()) + 1)]
    smallest = min(part.shape[-1] for part in parts)
    if smallest < 2:
        raise DataError("a stratum has only one block; an interval needs at least 2 in each.")
    tails = (alpha / 2, 1 - alpha / 2)
    estimate = np.mean([statistic(part) for part in parts], axis=0)
    if method == "studentized":
        spread = error if error is not None else standard_error(statistic)
        low, high = _studentized(parts, estimate, statistic, spread, tails, resamples, seed, batch)
    elif method == "bca":
        draws = _statistics(parts, [statistic], resamples, seed, batch)[0]
        low, high = _bca(parts, estimate, statistic, draws, tails)
    elif method == "percentile":
        draws = _statistics(parts, [statistic], resamples, seed, batch)[0]
        low, high = np.quantile(draws, tails[0], axis=0), np.quantile(draws, tails[1], axis=0)
    else:
        raise UsageError(f'no interval method "{method}". Choose studentized, bca or percentile.')
    return Interval(estimate, low, high, 1 - alpha, method, resamples)


def resampled(
    scores: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    statistic: Statistic = mean,
    resamples: int = 10_000,
    seed: int = 0,
    batch: int = 1 << 22,
) -> FloatArray:
    """(resamples, ...): `statistic`, averaged over the strata, of every resample that `interval` looks at."""
    rows = finite(scores)
    groups = strata_of(strata, rows.shape[-1])
    parts = [rows[..., groups == group] for group in range(int(groups.max()) + 1)]
    return _statistics(parts, [statistic], check_resamples(resamples), seed, batch)[0]


def _draws(part: FloatArray, resamples: int, rng: np.random.Generator, batch: int) -> Iterator[FloatArray]:
    """Resamples of one stratum, (rows, ..., n) at a time; one random number per block, whatever the batch."""
    n = part.shape[-1]
    step = max(1, batch // part.size)
    for start in range(0, resamples, step):
        index = (rng.random((min(step, resamples - start), n)) * n).astype(np.int64)
        yield np.moveaxis(part[..., index], -2, 0)


def _statistics(
    parts: list[FloatArray], statistics: list[Statistic], resamples: int, seed: int, batch: int
) -> list[FloatArray]:
    """For each of `statistics`: (resamples, ...) of its mean over the strata."""
    totals: list[FloatArray | None] = [None] * len(statistics)
    for group, part in enumerate(parts):
        pieces: list[list[FloatArray]] = [[] for _ in statistics]
        for drawn in _draws(part, resamples, generator(seed, len(parts), group), batch):
            for kept, statistic in zip(pieces, statistics, strict=True):
                kept.append(statistic(drawn))
        for position, kept in enumerate(pieces):
            values = np.concatenate(kept)
            total = totals[position]
            totals[position] = values if total is None else total + values
    return [total / len(parts) for total in totals if total is not None]


def _studentized(
    parts: list[FloatArray],
    estimate: FloatArray,
    statistic: Statistic,
    error: Statistic,
    tails: tuple[float, float],
    resamples: int,
    seed: int,
    batch: int,
) -> tuple[FloatArray, FloatArray]:
    """Bootstrap-t: quantiles of (resample - estimate) / its error, times the error of the data.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5.
    """

    def variance(drawn: FloatArray) -> FloatArray:
        return error(drawn) ** 2

    draws, variances = _statistics(parts, [statistic, variance], resamples, seed, batch)
    errors = np.sqrt(variances / len(parts))
    own = np.sqrt(np.sum([variance(part) for part in parts], axis=0)) / len(parts)
    off = draws - estimate
    off[np.abs(off) <= 1e-12 * np.abs(estimate)] = 0.0
    flat = errors <= 1e-12 * own
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(flat, np.where(off == 0, 0.0, np.sign(off) * np.inf), off / errors)
    lower, upper = (np.quantile(ratios, q, axis=0, method="inverted_cdf") for q in tails)
    constant = (off == 0).all(axis=0)
    spreadless = own == 0
    with np.errstate(invalid="ignore"):
        low = np.where(spreadless, -np.inf, estimate - upper * own)
        high = np.where(spreadless, np.inf, estimate - lower * own)
    return np.where(constant, estimate, low), np.where(constant, estimate, high)


def _bca(
    parts: list[FloatArray],
    estimate: FloatArray,
    statistic: Statistic,
    draws: FloatArray,
    tails: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """Bias-corrected and accelerated; acceleration from leaving out one block of one stratum at a time.

    Source: Efron, "Better bootstrap confidence intervals", JASA 82, 1987; Davison and Hinkley 1997, section 5.3.2.
    """
    from scipy.special import ndtr, ndtri

    below = (draws < estimate).mean(axis=0) + 0.5 * (draws == estimate).mean(axis=0)
    margin = 0.5 / len(draws)
    bias = ndtri(np.clip(below, margin, 1 - margin))
    cubes, squares = np.zeros(estimate.shape), np.zeros(estimate.shape)
    for part in parts:
        influence = _influence(part, statistic) / len(parts) / part.shape[-1]
        cubes, squares = cubes + np.sum(influence**3, axis=0), squares + np.sum(influence**2, axis=0)
    acceleration = np.where(squares > 0, cubes / (6 * np.where(squares > 0, squares, 1.0) ** 1.5), 0.0)
    bounds = []
    for tail in tails:
        z = bias + ndtri(tail)
        levels = ndtr(bias + z / (1 - acceleration * z))
        ordered = np.sort(draws, axis=0)
        position = np.clip(np.floor(levels * len(draws)).astype(np.int64), 0, len(draws) - 1)
        bounds.append(np.take_along_axis(ordered, position[None], axis=0)[0])
    return bounds[0], bounds[1]


def _influence(part: FloatArray, statistic: Statistic) -> FloatArray:
    """(n, ...): how much each block pulls the statistic of its stratum, by the jackknife."""
    n = part.shape[-1]
    others = np.array([[i for i in range(n) if i != left] for left in range(n)])
    without = statistic(np.moveaxis(part[..., others], -2, 0))
    return np.asarray((n - 1) * (without.mean(axis=0) - without))
