"""Many comparisons, one error rate: Holm, and Westfall and Young's max-T.

Both bound the probability of *any* false finding in the family by alpha. Holm works from p values alone, whatever their
dependence. Max-T uses the dependence: all pairs and missions are flipped by the same patterns, so correlated
comparisons cost less. Its p values can be as small as 1 / (resamples + 1) in a family of any size.

Max-T is exact for two policies, and for more where the differences are *jointly* symmetric. Equal policies with
skewed scores have that for each pair but not quite for all pairs together; docs/calibration.md shows what that costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.arrays import BoolArray, FloatArray, IntArray, finite, strata_of
from daf.stats.permutation import patterns

_ROWS = 1_000
"""Patterns processed at once; the result does not depend on it."""

_TIE = 1e-10


def holm(p: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Adjusted p values (n,) by Holm's step-down: at most 1, and in the order of p / weight never falling.

    weights: shares of alpha that the hypotheses start with, any positive numbers; equal ones by default.
    Source: Holm, Scandinavian Journal of Statistics 6, 1979, sections 2 and 3 (weights).
    """
    values = np.asarray(p, dtype=np.float64)
    shares = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or values.shape != shares.shape:
        raise DataError(f"p values and weights need one axis and the same length; got {values.shape}, {shares.shape}.")
    if not ((values >= 0) & (values <= 1)).all() or not (np.isfinite(shares) & (shares > 0)).all():
        raise DataError("p values must lie between 0 and 1, and weights must be above 0.")
    order = np.argsort(values / shares, kind="stable")
    remaining = np.cumsum(shares[order][::-1])[::-1]
    steps = np.maximum.accumulate(values[order] / shares[order] * remaining)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def e_holm(e: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Adjusted e-values (n,): reject where one reaches 1 / alpha, and any false rejection has chance at most alpha.

    The least weighted mean of any subset that holds the hypothesis, for arbitrary dependence. Of e-processes it may be
    taken at every look, and what was rejected once stays rejected: the mean of the true nulls' e-processes is itself
    one. Source: Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 49, 2021,
    section 5; Hartog and Lei, "Family-wise error rate control with e-values", 2025.
    """
    values = np.asarray(e, dtype=np.float64)
    shares = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or values.shape != shares.shape:
        raise DataError(f"e-values and weights need one axis and the same length; got {values.shape}, {shares.shape}.")
    if not (np.isfinite(values) & (values >= 0)).all() or not (np.isfinite(shares) & (shares > 0)).all():
        raise DataError("e-values must be finite and not negative, and weights must be above 0.")
    order = np.argsort(values, kind="stable")
    held = np.concatenate([[0.0], np.cumsum((values * shares)[order])])
    mass = np.concatenate([[0.0], np.cumsum(shares[order])])
    adjusted = np.empty_like(values)
    for place, index in enumerate(order):
        means = (held[: place + 1] + values[index] * shares[index]) / (mass[: place + 1] + shares[index])
        adjusted[index] = means.min()
    return adjusted


@dataclass(frozen=True)
class MaxT:
    """Adjusted p values of one family: every row of differences, overall and on every stratum."""

    overall: FloatArray
    """(rows,)"""
    by_stratum: FloatArray
    """(rows, n_strata)"""


def max_t(differences: ArrayLike, strata: ArrayLike | None = None, *, resamples: int = 10_000, seed: int = 0) -> MaxT:
    """Step-down max-T over `differences` (rows, n_blocks), rows usually the pairs of policies, with shared sign flips.

    The statistic is sum(d) / sqrt(sum(d²)): it grows with Student's t, and its divisor does not change under flips.
    With one stratum, overall and stratum are the same hypothesis and are counted once. Raises `DataError` for NaN or
    shapes.
    Source: Westfall and Young, Resampling-Based Multiple Testing, 1993, algorithm 4.1.
    """
    rows = finite(differences, what="differences")
    if rows.ndim != 2:
        raise DataError(f"differences need shape (rows, n_blocks); got {rows.shape}.")
    groups = strata_of(strata, rows.shape[1])
    columns = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    family = _Family([rows[:, c] for c in columns])
    observed = family.statistics(np.zeros((1, rows.shape[1]), dtype=np.bool_), columns)[0]
    order = np.argsort(-observed, kind="stable")
    ordered = observed[order] - _TIE
    count = np.zeros(observed.size)
    every = patterns(rows.shape[1], resamples=resamples, seed=seed)
    for start in range(0, len(every), _ROWS):
        drawn = family.statistics(every[start : start + _ROWS], columns)[:, order]
        largest_of_rest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
        count += (largest_of_rest >= ordered).sum(axis=0)
    adjusted = np.empty(observed.size)
    adjusted[order] = np.maximum.accumulate((1.0 + count) / (1.0 + len(every)))
    by_stratum = adjusted[: rows.shape[0] * len(columns)].reshape(len(columns), rows.shape[0]).T
    overall = by_stratum[:, 0] if len(columns) == 1 else adjusted[-rows.shape[0] :]
    return MaxT(overall.copy(), by_stratum.copy())


class _Family:
    """|sum(d) / sqrt(sum(d²))| of every row on every stratum, and overall where there are several."""

    def __init__(self, parts: list[FloatArray]) -> None:
        self._parts = [np.ascontiguousarray(part.T) for part in parts]
        squares = [np.sum(part**2, axis=1) for part in parts]
        sizes = [part.shape[1] for part in parts]
        self._shares = [1.0 / (len(parts) * size) for size in sizes]
        overall = np.sum([share**2 * square for share, square in zip(self._shares, squares, strict=True)], axis=0)
        self._scales = [_inverse_root(square) for square in squares]
        self._overall_scale = _inverse_root(overall)

    def statistics(self, flips: BoolArray, columns: list[IntArray]) -> FloatArray:
        """flips: (m, n_blocks) of bool → (m, hypotheses)."""
        rows = self._parts[0].shape[1]
        several = len(columns) > 1
        out = np.empty((len(flips), rows * (len(columns) + several)))
        combined = np.zeros((len(flips), rows))
        for index, column in enumerate(columns):
            sums = (1.0 - 2.0 * flips[:, column]) @ self._parts[index]
            combined += self._shares[index] * sums
            out[:, index * rows : (index + 1) * rows] = sums * self._scales[index]
        if several:
            out[:, -rows:] = combined * self._overall_scale
        return np.abs(out, out=out)


def _inverse_root(squares: FloatArray) -> FloatArray:
    return np.asarray(np.where(squares > 0, 1.0 / np.sqrt(np.where(squares > 0, squares, 1.0)), 0.0))
