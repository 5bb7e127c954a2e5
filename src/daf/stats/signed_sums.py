"""Sums of signed differences for every sign vector at once, and the test statistic that they give.

The statistic of a pair is Student's t of its mean difference over missions, each mission with its own variance, in the
monotone form t² / (1 + t²), which lies between 0 and 1 and needs no division by zero. Within one mission it orders sign
vectors like |sum of signed differences|. Over several missions it does not count differences between missions as noise,
neither in the data nor in the flipped data, so that gains on one mission and losses on another leave it its power
(Janssen, Statistics and Probability Letters 36, 1997, on studentized permutation tests).
"""

from collections.abc import Sequence

import numpy as np

from daf.stats.arrays import FloatArray

TIE = 1e-9
"""Statistics closer than this are equal: the order of summation differs between sign vectors."""


class SignedSums:
    """Running sums over the blocks of one mission, for (pairs, vectors)."""

    def __init__(self, pairs: int, vectors: int) -> None:
        self.signed = np.zeros((pairs, vectors))
        """Sum of the signed differences."""
        self.signs = np.zeros((1, vectors))
        """Sum of the signs of the blocks that count; one row for all pairs while these are the same."""
        self.plain, self.squares, self.count = np.zeros((3, pairs, 1))

    def add(self, differences: FloatArray, signs: FloatArray) -> None:
        """Add blocks: `differences` (pairs, n), NaN where a pair lacks the block, and their `signs` (n, vectors)."""
        here = ~np.isnan(differences)
        filled = differences if here.all() else np.where(here, differences, 0.0)
        self.signed += filled @ signs
        if here.all() and len(self.signs) == 1:
            self.signs += signs.sum(axis=0)
        else:
            self.signs = self.signs + here.astype(np.float64) @ signs
        self.plain += filled.sum(axis=1, keepdims=True)
        self.squares += (filled**2).sum(axis=1, keepdims=True)
        self.count += here.sum(axis=1, keepdims=True)


def statistics(parts: Sequence[SignedSums], shift: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """(pairs, vectors): the sign of the mean, and t² / (1 + t²), of the differences minus `shift`.

    0 where a pair lacks a mission. A mission with a single block has no variance: its square counts instead.
    """
    if len(parts) == 1:
        (part,) = parts
        total = part.signed if shift == 0.0 else part.signed - shift * part.signs
        n, squares = part.count, _squares(part, shift)
        # t² = (n - 1) S² / (n Q - S²), and t² / (1 + t²) therefore as below; in place, since this is the hot path.
        score = total * total
        below = np.maximum(n - 2.0, 1.0 * (n < 2)) * score
        below += np.where(squares > 0.0, np.maximum(n, 1.0) * squares, 1.0)
        score *= np.maximum(n - 1.0, 1.0)
        score /= below
        return total, score
    mean, spread = np.zeros_like(parts[0].signed), np.zeros_like(parts[0].signed)
    constant, complete = np.zeros_like(parts[0].count), np.ones_like(parts[0].count, dtype=np.bool_)
    for part in parts:
        n, squares = part.count, _squares(part, shift)
        whole, free = np.maximum(n, 1.0), np.maximum(n - 1.0, 1.0)
        centre = (part.signed if shift == 0.0 else part.signed - shift * part.signs) * (1.0 / whole)
        mean += centre
        centre *= centre
        centre *= (n > 1) / free
        spread += centre
        constant += squares / (whole * free)
        complete &= n > 0
    score = mean * mean
    np.subtract(constant, spread, out=spread)
    np.maximum(spread, 0.0, out=spread)
    spread += score
    spread[spread == 0.0] = 1.0
    score /= spread
    return mean, score * complete


def student(score: FloatArray | float) -> FloatArray:
    """|t| for t² / (1 + t²); infinite at 1."""
    value = np.asarray(score, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt(value / np.maximum(1.0 - value, 0.0)))


def _squares(part: SignedSums, shift: float) -> FloatArray:
    if shift == 0.0:
        return part.squares
    return part.squares - 2.0 * shift * part.plain + shift * shift * part.count
