"""Deciding while episodes come in: which comparisons are settled after any number of blocks.

`standings` is a pure function of the paired differences so far. It may be called after every block, and settled
comparisons may stop while others continue: the probability that any of them is ever falsely called better or worse is
at most alpha, and the same holds for any false "equal". `compare --until-decided` relies on that; the p values of
`compare_pairs` do not have this property and must not be used for a number of episodes that depended on them.

Better and worse come from the e-process of each comparison through e-Holm. "equal" needs a margin: both "at least
margin above" and "at least margin below" are refuted. `bounds` declares the range of scores by the mission's rules and
replaces the symmetry assumption by bets on the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError, UsageError
from daf.stats.arrays import FloatArray, check_alpha, finite, strata_of
from daf.stats.effect import check_margin
from daf.stats.eprocess import Fortunes, betting, betting_interval, symmetry, symmetry_interval
from daf.stats.multiple import e_holm

State = Literal["better", "worse", "equal", "open"]


@dataclass(frozen=True)
class Standing:
    """The evidence on one comparison after `n` blocks."""

    state: State
    n: int
    difference: float
    """Mean difference; 0 without blocks."""
    e: float
    """Evidence against "no difference" (1 means none)."""
    e_adjusted: float
    """The same, adjusted for the family; the comparison is settled from 1 / alpha on."""
    e_equal: float | None
    """Adjusted evidence against "at least `margin` apart"; `None` without a margin."""

    @property
    def settled(self) -> bool:
        """No more blocks are needed."""
        return self.state != "open"


def standings(
    differences: Sequence[ArrayLike],
    *,
    alpha: float = 0.05,
    margin: float | None = None,
    bounds: tuple[float, float] | None = None,
    weights: ArrayLike | None = None,
) -> list[Standing]:
    """One standing per comparison; all together are the family.

    differences: for each comparison its paired differences in the order of play, (n_blocks,), of any length, also
    empty. margin: differences below it count as equal. bounds: the least and largest score that the mission allows.
    weights: shares of alpha, equal by default.
    Raises `DataError` for NaN, `UsageError` for an invalid margin, alpha or range.
    """
    check_alpha(alpha)
    if margin is not None:
        check_margin(margin)
    if bounds is not None and not bounds[0] < bounds[1]:
        raise UsageError(f"the range {bounds} of scores is empty.")
    rows = [np.asarray(d, dtype=np.float64) for d in differences]
    rows = [finite(row, what="differences") if row.size else row for row in rows]
    if any(row.ndim != 1 for row in rows):
        raise DataError("the differences of each comparison must have one axis, in the order of play.")
    if not rows:
        return []
    at_zero = [_last(row, 0.0, bounds) for row in rows]
    e = np.array([(above + below) / 2 for above, below in at_zero])
    adjusted = e_holm(e, weights)
    equal: FloatArray | None = None
    if margin is not None:
        beyond = [min(_last(row, -margin, bounds)[0], _last(row, margin, bounds)[1]) for row in rows]
        equal = e_holm(np.array(beyond), weights)
    found = []
    for index, row in enumerate(rows):
        above, below = at_zero[index]
        state: State = "open"
        if adjusted[index] >= 1 / alpha:
            state = "better" if above > below else "worse"
        elif equal is not None and equal[index] >= 1 / alpha:
            state = "equal"
        found.append(
            Standing(
                state=state,
                n=row.size,
                difference=float(row.mean()) if row.size else 0.0,
                e=float(e[index]),
                e_adjusted=float(adjusted[index]),
                e_equal=None if equal is None else float(equal[index]),
            )
        )
    return found


def confidence(
    differences: ArrayLike, *, alpha: float = 0.05, bounds: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """1 - `alpha` confidence sequence of one comparison (n_blocks,) after its last block, valid at all looks together
    and not adjusted for a family; `None` while it has no bounds. bounds: as in `standings`.
    """
    row = np.asarray(differences, dtype=np.float64)
    if not row.size:
        return None
    if bounds is None:
        low, high = symmetry_interval(row, alpha=alpha)
    else:
        reach = bounds[1] - bounds[0]
        low, high = betting_interval(row, low=-reach, high=reach, alpha=alpha)
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def rounds(differences: ArrayLike, strata: ArrayLike | None = None) -> FloatArray:
    """Differences over all missions as a sequence: the k-th is the mean over missions of each one's k-th block.

    (n_blocks,) → (rounds,), one round per block of the mission with the fewest blocks. Missions count the same in each.
    """
    row = finite(differences, what="differences")
    groups = strata_of(strata, row.shape[-1])
    parts = [row[groups == group] for group in range(int(groups.max()) + 1)]
    fewest = min(part.size for part in parts)
    return np.mean([part[:fewest] for part in parts], axis=0)


def _last(row: FloatArray, null: float, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """Evidence after the last block against "at most `null`" and "at least `null`"; 1 without blocks."""
    if not row.size:
        return 1.0, 1.0
    if bounds is None:
        fortunes: Fortunes = symmetry(row, null=null)
    else:
        reach = bounds[1] - bounds[0]
        fortunes = betting(row, low=-reach, high=reach, null=null)
    return float(fortunes.above[-1]), float(fortunes.below[-1])
