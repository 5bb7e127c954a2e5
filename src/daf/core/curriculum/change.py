"""How far levels moved between two groups of episodes, with an interval: the evidence behind evictions, slices and
stagnation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daf.stats.student import student_interval

ALPHA = 0.1
"""Intervals cover 90 %. A change whose 90 % interval lies within a margin is equivalent to none at the 5 % level (two
one-sided tests: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987)."""


@dataclass(frozen=True, slots=True)
class Change:
    """The mean over tasks of (later minus earlier), each in units of its noise; `n` episodes in all.

    low, high: a 90 % interval, unless `change` was called with another `alpha`.
    """

    mean: float
    low: float
    high: float
    n: int

    def within(self, margin: float) -> bool:
        """Whether any possible change is smaller than `margin`."""
        return -margin < self.low and self.high < margin

    def text(self) -> str:
        """The numbers, for use in a sentence."""
        return f"{self.mean:+.2f} σ (90 % interval {self.low:+.2f} to {self.high:+.2f}, {self.n} episodes)"


Stretch = tuple[Sequence[float], Sequence[float], float]
"""Earlier scores, later scores, and the standard deviation of one episode: their unit."""


def change(stretches: Sequence[Stretch], *, alpha: float = ALPHA) -> Change | None:
    """The change over `stretches`, one per task, equally weighted; None unless each side has two episodes.

    alpha: how often the interval misses the true value.
    Uses Welch's test for one task, and its sum over tasks with Satterthwaite's degrees of freedom otherwise.
    If a task's episodes have no spread at all, its unit is 1.
    """
    parts: list[np.ndarray] = []
    for earlier, later, deviation in stretches:
        if min(len(earlier), len(later)) < 2:
            return None
        unit = deviation if deviation > 0.0 else 1.0
        parts += [np.asarray(later, dtype=float) / unit, -np.asarray(earlier, dtype=float) / unit]
    if not parts:
        return None
    values = np.concatenate(parts)
    strata = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    low, high = student_interval(values[None], strata, "mean", alpha=alpha)
    # Strata are averaged: half of them are the earlier scores, with their sign inverted.
    middle = float(np.mean([part.mean() for part in parts]))
    return Change(2 * middle, 2 * float(low[0]), 2 * float(high[0]), values.size)


def unmoved(stretches: Sequence[Stretch]) -> bool:
    """Whether no single one of `stretches` differs significantly from no change; False if one has too few episodes.

    Among many tasks some seem to move by chance: with K of them each interval covers 1 - `ALPHA`/K, so that if nothing
    moves, all K contain 0 in at least 90 % of cases (Bonferroni). The price: among many tasks, a single one must move
    further to be noticed.
    """
    for one in stretches:
        own = change([one], alpha=ALPHA / len(stretches))
        if own is None or own.low > 0.0 or own.high < 0.0:
            return False
    return True


def halves(scores: Sequence[float], deviation: float) -> Stretch:
    """The earlier and the later half of `scores`."""
    middle = len(scores) // 2
    return list(scores)[:middle], list(scores)[middle:], deviation
