"""The result of a paired comparison of two policies, as data and as one sentence.

The sentence rounds to what the interval supports and names the verdict, the size and the adjusted p value. Names are
printable and distinct; escaping for HTML or a terminal's markup is the renderer's task.
"""

from dataclasses import dataclass
from typing import Literal

from daf.stats.permutation import smallest_p
from daf.stats.sentences import amount_text, p_text

Verdict = Literal["better", "worse", "equal", "identical", "undecided", "too few"]


@dataclass(frozen=True)
class PairVerdict:
    """Policy `a` against policy `b` on identical blocks; positive numbers favour `a`."""

    a: int
    b: int
    name_a: str
    name_b: str
    """Printable, and different for different policies."""
    stratum: int | None
    """Index of the mission; `None` for the comparison over all missions."""
    stratum_name: str | None
    where: str
    """ "on arena", "over 3 missions"."""
    n: int
    wins: int
    losses: int
    ties: int
    difference: float
    """Mean of the missions' mean differences, in `unit`."""
    ci: tuple[float, float] | None
    """1 - alpha interval by inversion of the test; `None` with too few blocks for one."""
    p: float
    p_adjusted: float
    p_equal: float | None
    """Adjusted p for "at least `margin` apart"; `None` without a margin."""
    effect_size: float | None
    """d_z; `None` if the differences have no spread but are not 0, or with a single block."""
    prob_improvement: float
    prob_improvement_ci: tuple[float, float]
    verdict: Verdict
    caveat: str
    """How the shape of the data affects these numbers; "" if nothing stands out."""
    alpha: float
    margin: float | None
    unit: str
    family: int
    """How many comparisons share alpha."""
    share: float
    """The share of alpha that this comparison starts with."""

    @property
    def sentence(self) -> str:
        """The finding in plain English, with the caveat if there is one."""
        return " ".join(part for part in (pair_sentence(self), self.caveat) if part)


def pair_sentence(verdict: PairVerdict) -> str:
    """The result of a paired comparison as one sentence, without the caveat."""
    v = verdict
    if v.n == 0:
        return f"{v.name_a} and {v.name_b} have not played the same episodes {v.where} yet."
    flip = v.difference < 0
    first, second = (v.name_b, v.name_a) if flip else (v.name_a, v.name_b)
    ahead = v.losses if flip else v.wins
    episodes = f"{v.n} episode" if v.n == 1 else f"{v.n} episodes"
    size = f"{difference_text(v, flip=flip)} {v.unit}"
    p = ("adjusted " if v.family > 1 else "") + p_text(v.p_adjusted)
    counted = f"{ahead} of {episodes}"
    match v.verdict:
        case "better" | "worse":
            return f"{first} beats {second} {v.where} by {size}, {p}; ahead in {counted}."
        case "identical":
            return f"{v.name_a} and {v.name_b} score exactly the same {v.where} in {_all(v.n)}."
        case "equal":
            return (
                f"{v.name_a} and {v.name_b} are practically equal {v.where}: the difference, {size}, lies within "
                f"±{v.margin:g}; {episodes}."
            )
        case "too few":
            ahead_by = f"{first} is ahead of {second} {v.where} by {size} in {counted}"
            return f"{_too_few(v, episodes)}; {ahead_by if v.difference else f'neither is ahead {v.where}'}."
        case "undecided":
            head = f"No significant difference between {first} and {second} {v.where}"
            if not v.difference:
                return f"{head}: the difference is {size}, {p}; {first} is ahead in {counted}."
            return f"{head}: {first} is ahead by {size}, {p}; ahead in {counted}."


def difference_text(v: PairVerdict, *, flip: bool = False) -> str:
    """ "0.52 [0.31, 0.74]": the difference with its interval; with `flip`, from the other policy's side."""
    if not flip:
        return amount_text(v.difference, v.ci)
    return amount_text(-v.difference, None if v.ci is None else (-v.ci[1], -v.ci[0]))


def _too_few(v: PairVerdict, episodes: str) -> str:
    if smallest_p(v.n) > v.alpha:
        return f"With {episodes} no test can reach p < {v.alpha:g}"
    needed = v.n
    while smallest_p(needed) > v.alpha * v.share:
        needed += 1
    return f"With {episodes} and {v.family} comparisons no test can reach p < {v.alpha:g} ({needed} can)"


def _all(n: int) -> str:
    return "the one episode" if n == 1 else f"all {n} episodes"
