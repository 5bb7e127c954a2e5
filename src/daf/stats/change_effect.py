"""The effect of a change on a metric, from the same blocks with and without it: one test of a family.

`change_effect` decides it by the adjusted p value of a sign-flip test. Positive numbers mean more with the change.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from daf.stats.arrays import FloatArray
from daf.stats.effect import d_z
from daf.stats.permutation import SignFlipResult, smallest_p
from daf.stats.sentences import amount_text, p_text

ChangeVerdict = Literal["raises", "lowers", "identical", "undecided", "too few"]


@dataclass(frozen=True)
class ChangeEffect:
    """The effect of a change on `n` blocks.

    ci: by inverting the test, None with too few blocks. p_adjusted: None where the change is not tested. effect_size:
    d_z, None if nothing varies. more, less, same: number of blocks in which the change raised, lowered or kept the
    metric. family: number of tests that share alpha.
    """

    difference: float
    ci: tuple[float, float] | None
    p: float
    p_adjusted: float | None
    effect_size: float | None
    n: int
    more: int
    less: int
    same: int
    verdict: ChangeVerdict
    family: int

    @property
    def amount(self) -> str:
        """The difference with its interval, in the digits that the interval supports."""
        return amount_text(self.difference, self.ci)

    @property
    def p_shown(self) -> str:
        """The adjusted p value as text, named as adjusted where other tests share alpha."""
        if self.p_adjusted is None:
            return p_text(self.p)
        return ("adjusted " if self.family > 1 else "") + p_text(self.p_adjusted)


def change_effect(
    differences: FloatArray,
    flip: SignFlipResult,
    p_adjusted: float | None,
    *,
    family: int,
    alpha: float,
    strata: ArrayLike | None = None,
) -> ChangeEffect:
    """The effect whose `differences`, with minus without, `flip` tested. p_adjusted: None where it is not tested."""
    n, difference = differences.size, float(flip.difference)
    effect = float(d_z(differences, strata)) if n > 1 else float("nan")
    return ChangeEffect(
        difference=difference,
        ci=interval_of(flip),
        p=float(flip.p),
        p_adjusted=p_adjusted,
        effect_size=effect if np.isfinite(effect) else None,
        n=n,
        more=int((differences > 0).sum()),
        less=int((differences < 0).sum()),
        same=int((differences == 0).sum()),
        verdict=_verdict(differences, difference, p_adjusted, family, alpha),
        family=family,
    )


def interval_of(flip: SignFlipResult) -> tuple[float, float] | None:
    """The interval of a single test, None where its blocks are too few for one."""
    low, high = float(flip.low), float(flip.high)
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None


def _verdict(
    differences: FloatArray, difference: float, p_adjusted: float | None, family: int, alpha: float
) -> ChangeVerdict:
    if not differences.any():
        return "identical"
    if p_adjusted is not None and p_adjusted <= alpha:
        return "raises" if difference > 0 else "lowers"
    return "too few" if smallest_p(differences.size) * family > alpha else "undecided"
