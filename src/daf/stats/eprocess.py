"""Evidence that may be inspected after every block: e-processes and the intervals that they give.

An e-process is the wealth of a bettor who starts with 1 and cannot win on average while the null holds: the probability
that it *ever* reaches 1 / alpha is at most alpha (Ville). So one may look after every block, stop when convinced and
continue when not, which p values for a fixed number of blocks do not allow.

`symmetry` bets that paired differences lie to one side. It needs no bound on rewards, only that under the null a
difference is as likely d as -d, given everything before it; equal policies have that on identical blocks. The bet on a
block, tanh(c (d - null) / scale), has its scale from the blocks before it; several c are bet on at once, since the
size of the effect is unknown. For normal differences that is the likelihood ratio (Robbins 1970; Ramdas et al.,
"Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38, 2023, section 5).

`betting` bets on the mean itself and needs a declared range instead of symmetry (Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", JRSS B 86, 2024, section 4).

Both are monotone in the null, so their confidence sequences, valid at every look as well, are found by bisection.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError, UsageError
from daf.stats.arrays import BoolArray, FloatArray, check_alpha, finite

BETS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Effects, in standard deviations of the differences, that `symmetry` bets on with equal stakes."""
WARM_UP = 4
"""Blocks before the estimated spread is trusted; until then bets use only the sign."""
FRACTIONS = (0.95, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
"""Largest fractions of the wealth that `betting` stakes, with equal shares."""

_CUTS = 40
_LOOKS = 6
"""Bounds are found to 41^-6, about 2e-10, of the range searched."""


@dataclass(frozen=True)
class Fortunes:
    """e-processes after every block, (..., n_blocks), for paired differences (..., n_blocks)."""

    above: FloatArray
    """Against "the difference is at most the null"."""
    below: FloatArray
    """Against "the difference is at least the null"."""

    @property
    def both(self) -> FloatArray:
        """Against "the difference equals the null": half the stake on each side."""
        return (self.above + self.below) / 2


def symmetry(differences: ArrayLike, *, null: ArrayLike = 0.0) -> Fortunes:
    """The e-processes of sign symmetry about `null`. Raises `DataError` for NaN."""
    rows = finite(differences, what="differences")
    off = rows - np.asarray(null, dtype=np.float64)[..., None]
    scale = _scales(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(scale > 0, off / np.where(scale > 0, scale, 1.0), np.sign(off))
    bets = np.array(BETS).reshape(-1, *([1] * z.ndim))
    return Fortunes(_fortune(_log_stakes(bets * z)), _fortune(_log_stakes(-bets * z)))


def betting(differences: ArrayLike, *, low: float, high: float, null: ArrayLike = 0.0) -> Fortunes:
    """The e-processes of the mean of `differences`, which lie in [`low`, `high`] by the rules of the mission.

    Raises `DataError` for NaN and for differences outside, `UsageError` for an empty range.
    """
    rows = _within(differences, low, high)
    centre = np.clip(np.asarray(null, dtype=np.float64)[..., None], low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(centre > low, (rows - centre) / (centre - low), 0.0)
        down = np.where(centre < high, (centre - rows) / (high - centre), 0.0)
    stakes = np.array(FRACTIONS).reshape(-1, *([1] * up.ndim))
    return Fortunes(_fortune(np.log1p(stakes * up)), _fortune(np.log1p(stakes * down)))


def symmetry_interval(differences: ArrayLike, *, alpha: float = 0.05) -> tuple[FloatArray, FloatArray]:
    """Bounds (...) for the centre of symmetry after the last block, valid at every look together.

    Infinite while there are too few blocks.
    """
    rows = finite(differences, what="differences")
    check_alpha(alpha)
    reach = 4.0 * float(np.abs(rows).max()) + 1e-300

    def fortunes(null: FloatArray) -> Fortunes:
        return symmetry(rows, null=null)

    low, high = _sequence(fortunes, rows.shape[:-1], -reach, reach, 2 / alpha)
    return np.where(low <= -reach, -np.inf, low), np.where(high >= reach, np.inf, high)


def betting_interval(
    differences: ArrayLike, *, low: float, high: float, alpha: float = 0.05
) -> tuple[FloatArray, FloatArray]:
    """Bounds (...) for the mean of differences in [`low`, `high`] after the last block, valid at all looks together."""
    rows = _within(differences, low, high)
    check_alpha(alpha)

    def fortunes(null: FloatArray) -> Fortunes:
        return betting(rows, low=low, high=high, null=null)

    return _sequence(fortunes, rows.shape[:-1], low, high, 2 / alpha)


def _scales(rows: FloatArray) -> FloatArray:
    """(..., n): the standard deviation of the blocks before each; 0 while it is unknown."""
    n = rows.shape[-1]
    scale = np.zeros(rows.shape)
    shifted = rows - rows[..., :1]
    count = np.arange(1, n + 1)
    total, squares = np.cumsum(shifted, axis=-1), np.cumsum(shifted**2, axis=-1)
    spread = np.sqrt(np.maximum(squares - total**2 / count, 0.0) / np.maximum(count - 1, 1))
    spread[spread <= 1e-9 * np.maximum.accumulate(np.abs(rows), axis=-1)] = 0.0
    scale[..., WARM_UP:] = spread[..., WARM_UP - 1 : n - 1]
    return scale


def _log_stakes(x: FloatArray) -> FloatArray:
    """log(1 + tanh(x)), also for large x."""
    return np.asarray(np.log(2.0) - np.logaddexp(0.0, -2.0 * x))


def _fortune(log_factors: FloatArray) -> FloatArray:
    """(bets, ..., n) → (..., n): the mean over the bets of their running products; capped at 1e300."""
    return np.asarray(np.exp(np.clip(np.cumsum(log_factors, axis=-1), -700.0, 690.0)).mean(axis=0))


def _within(differences: ArrayLike, low: float, high: float) -> FloatArray:
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"the range [{low}, {high}] of differences is empty or unbounded.")
    rows = finite(differences, what="differences")
    slack = 1e-9 * (high - low)
    outside = rows[(rows < low - slack) | (rows > high + slack)]
    if outside.size:
        raise DataError(f"difference {outside.flat[0]} is outside the declared range [{low}, {high}].")
    return np.clip(rows, low, high)


def _sequence(
    fortunes: Callable[[FloatArray], Fortunes], shape: tuple[int, ...], least: float, most: float, threshold: float
) -> tuple[FloatArray, FloatArray]:
    """The nulls in [least, most] that neither side's wealth has refuted."""

    def too_low(null: FloatArray) -> BoolArray:
        return np.asarray(fortunes(null).above[..., -1] >= threshold)

    def too_high(null: FloatArray) -> BoolArray:
        return np.asarray(fortunes(null).below[..., -1] >= threshold)

    return _edge(too_low, np.full(shape, least), most), _edge(too_high, np.full(shape, most), least)


def _edge(refuted: Callable[[FloatArray], BoolArray], start: FloatArray, end: float) -> FloatArray:
    """Where `refuted` ends on the way from `start` to `end`; `start` if it does not hold there. Every pass cuts the
    interval into `_CUTS` + 1 parts at once.
    """
    inside, outside = start, np.full(start.shape, end)
    cuts = np.arange(1, _CUTS + 1).reshape(-1, *([1] * start.ndim)) / (_CUTS + 1)
    for _ in range(_LOOKS):
        passed = refuted(inside + cuts * (outside - inside)).sum(axis=0)
        width = (outside - inside) / (_CUTS + 1)
        inside, outside = inside + passed * width, inside + (passed + 1) * width
    return inside
