"""How many blocks a comparison needs to find a given difference, with a number fixed beforehand and with looks.

Computed for normal differences: the fixed number from the noncentral t distribution, the group-sequential maximum and
mean as multiples of it (`daf.stats.spending`). Fewer than about 40 blocks can reject at few levels only, 2 / 2^n being
the least p value; that bound is kept, but the power at so few blocks may be some percent lower.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from daf.errors import DataError, UsageError
from daf.stats.arrays import FloatArray, check_alpha, finite
from daf.stats.pair_verdict import PairVerdict
from daf.stats.permutation import fewest_blocks
from daf.stats.sentences import number
from daf.stats.spending import LOOKS, Spending, even_design

MOST = 1_000_000
"""Larger numbers are reported as "more than" this."""
MOST_NOTES = 3
_FAR = 8.0
"""Noncentrality beyond which scipy's noncentral t loses its digits; a normal approximation takes its place."""


@dataclass(frozen=True)
class Needed:
    """Blocks per policy and mission. fixed: chosen beforehand. most, expected: with looks, if the difference is the
    stated one. effect: the difference in standard deviations. alpha: of this comparison. None: more than `MOST`.
    """

    effect: float
    alpha: float
    power: float
    fixed: int | None
    most: int | None
    expected: float | None


def deviation_of(differences: Sequence[FloatArray]) -> float:
    """The standard deviation of a round, one block of every mission, with each mission's own mean removed.

    differences: paired, one array per mission. Raises `DataError` for a mission with one block, and where all
    differences are equal: neither shows any spread to plan with.
    """
    rows = [finite(row, what="differences").ravel() for row in differences]
    if any(row.size < 2 for row in rows):
        raise DataError("a pilot of one block shows no spread; play at least two on each mission.")
    variance = float(sum(row.var(ddof=1) for row in rows)) / len(rows) ** 2
    if variance == 0.0:
        raise DataError("all differences are the same in the pilot, so it shows no spread to plan with.")
    return float(np.sqrt(variance))


def needed(
    difference: float,
    deviation: float,
    *,
    alpha: float = 0.05,
    power: float = 0.9,
    missions: int = 1,
    looks: int = LOOKS,
    spending: Spending = "hwang-shih-decani",
) -> Needed:
    """Blocks on each of `missions` to find a mean `difference`, given the `deviation` of a round.

    Raises `UsageError` for a difference or deviation that is not above 0, and a power that is not above alpha.
    """
    check_alpha(alpha)
    for name, value in (("difference", difference), ("deviation", deviation)):
        if not (np.isfinite(value) and value > 0):
            raise UsageError(f"the {name} must be above 0, got {value:g}.")
    if not alpha < power < 1.0:
        raise UsageError(f"the power must lie between alpha ({alpha:g}) and 1, got {power:g}.")
    effect = difference / deviation
    fixed = _fixed(effect, alpha, power, missions)
    if fixed is None:
        return Needed(effect, alpha, power, None, None, None)
    design = even_design(looks, alpha, spending)
    drift = design.drift(power)
    inflation = (drift / _fixed_drift(alpha, power)) ** 2
    most = max(fixed, int(np.ceil(_exactly(fixed, effect, alpha, power, missions) * inflation - 1e-9)))
    return Needed(effect, alpha, power, fixed, most, most * design.expected(drift))


def power_of(effect: float, blocks: int, *, alpha: float = 0.05, missions: int = 1) -> float:
    """The power of the two-sided t test of `blocks` rounds of `missions` at `effect` standard deviations of a round."""
    return _t_power(max(missions * (blocks - 1), 1), effect * np.sqrt(blocks), alpha)


def runs_needed(difference: float, deviation: float, *, alpha: float = 0.05, power: float = 0.9) -> int | None:
    """Training runs of each of two settings, to find that their means differ by `difference`; None beyond `MOST`.

    deviation: between the runs of one setting. The runs of two settings are not paired (Student's two-sample t test).
    """
    needed(difference, deviation, alpha=alpha, power=power)  # checks the arguments
    effect = difference / deviation
    return _least(lambda runs: _t_power(2 * (runs - 1), effect * np.sqrt(runs / 2), alpha) >= power, 2)


def needed_note(verdict: PairVerdict, *, power: float = 0.9) -> str:
    """How many episodes would settle an undecided comparison; "" where its blocks have no spread or no lead.

    For the practical difference where there is one, else for the observed difference.
    """
    v = verdict
    if v.verdict != "undecided" or not v.effect_size or not v.difference:
        return ""
    deviation = abs(v.difference / v.effect_size)
    aim = v.margin if v.margin is not None else abs(v.difference)
    found = needed(aim, deviation, alpha=v.alpha * v.share, power=power)
    what = "the practical difference" if v.margin is not None else "a difference as large as the one seen"
    start = f"To show {what} ({number(aim)} {v.unit}) between {v.name_a} and {v.name_b} {v.where} with power {power:g}"
    if found.fixed is None or found.most is None or found.expected is None:
        return f"{start}, more than {MOST:,} episodes of each would be needed."
    return (
        f"{start}, about {found.fixed:,} blocks of each would be needed; with --until-decided at most {found.most:,} "
        f"and {found.expected:,.0f} on average. `daf power` plans for other differences."
    )


def needed_notes(verdicts: Sequence[PairVerdict]) -> list[str]:
    """`needed_note` of the first comparisons over all missions that are undecided."""
    notes = [needed_note(verdict) for verdict in verdicts if verdict.stratum is None]
    return [note for note in notes if note][:MOST_NOTES]


def _t_power(freedom: int, shift: float, alpha: float) -> float:
    """The power of a two-sided t test whose statistic has this noncentrality."""
    from scipy.special import nctdtr, ndtr, stdtrit

    critical = float(stdtrit(freedom, 1 - alpha / 2))
    if shift > _FAR:
        return float(ndtr((shift - critical * (1 - 0.25 / freedom)) / np.sqrt(1 + critical**2 / (2 * freedom))))
    return float(1.0 - nctdtr(freedom, shift, critical) + nctdtr(freedom, shift, -critical))


def _fixed_drift(alpha: float, power: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2) + ndtri(power))


def _fixed(effect: float, alpha: float, power: float, missions: int) -> int | None:
    least = max(2, -(-fewest_blocks(alpha) // missions))
    return _least(lambda blocks: power_of(effect, blocks, alpha=alpha, missions=missions) >= power, least)


def _exactly(fixed: int, effect: float, alpha: float, power: float, missions: int) -> float:
    """The fractional number of blocks, up to `fixed`, at which the power would be reached exactly."""
    above, below = (power_of(effect, n, alpha=alpha, missions=missions) for n in (fixed, fixed - 1))
    if not below < power:  # fewer are not allowed, or the power of so few has no number
        return float(fixed)
    return fixed - (above - power) / (above - below)


def _least(enough: Callable[[int], bool], start: int) -> int | None:
    """The least number from `start` on that is enough, by bisection; None beyond `MOST`."""
    if enough(start):
        return start
    low, high = start, 2 * start
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
