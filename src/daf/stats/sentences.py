"""Numbers and verdicts in words.

Digits follow the interval: no more than it supports. Names come from users: they may repeat, hold line breaks or be
empty, so `labels` makes them distinct and printable; escaping for HTML or a terminal's markup is the renderer's task.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daf.stats.permutation import smallest_p
from daf.storage.printable import printable

if TYPE_CHECKING:
    from daf.stats.verdicts import PairVerdict


def labels(names: Sequence[str]) -> list[str]:
    """`names` made printable, and told apart by "(#position)" where two are the same."""
    shown = [_printable(name) for name in names]
    told = [f"{name} (#{position})" if shown.count(name) > 1 else name for position, name in enumerate(shown, start=1)]
    if len(set(told)) < len(told):
        return [f"{name} (#{position})" for position, name in enumerate(shown, start=1)]
    return told


def number(value: float, half_width: float = 0.0) -> str:
    """`value` with the digits that an uncertainty of `half_width` leaves, three significant ones where that is 0."""
    scale = half_width / 3 if half_width > 0 and math.isfinite(half_width) else abs(value) / 100
    if scale == 0:
        return "0"
    decimals = max(0, -math.floor(math.log10(scale)))
    if abs(value) >= half_width / 50 and value != 0:  # far from 0 on the interval's scale: never rounded away
        decimals = max(decimals, -math.floor(math.log10(abs(value))))
    if decimals > 6 or abs(value) >= 1e9:
        return f"{value:.3g}"
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def p_text(p: float) -> str:
    """ "p=0.002", "p=0.21", "p<0.0001"."""
    if p < 0.0001:
        return "p<0.0001"
    return f"p={p:.2g}" if p >= 0.001 else f"p={p:.1g}"


def pair_sentence(verdict: "PairVerdict") -> str:
    """What a paired comparison found, in one plain sentence without the caveat."""
    v = verdict
    if v.n == 0:
        return f"{v.name_a} and {v.name_b} have not met {v.where} yet."
    flip = v.difference < 0
    first, second = (v.name_b, v.name_a) if flip else (v.name_a, v.name_b)
    ahead = v.losses if flip else v.wins
    episodes = f"{v.n} episode" if v.n == 1 else f"{v.n} episodes"
    size = f"{_amount(v, flip)} {v.unit}"
    p = ("adjusted " if v.family > 1 else "") + p_text(v.p_adjusted)
    counted = f"{ahead} of {episodes}"
    match v.verdict:
        case "better" | "worse":
            return f"{first} beats {second} {v.where} by {size}, {p}; {counted}."
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
            lead = f"{first} is ahead by {size}" if v.difference else f"the difference is {size}"
            return f"{first} and {second} are not told apart {v.where}: {lead}, {p}; {counted}."


def _amount(v: "PairVerdict", flip: bool) -> str:
    sign = -1.0 if flip else 1.0
    if v.ci is None:
        return number(sign * v.difference)
    low, high = sorted((sign * v.ci[0], sign * v.ci[1]))
    half = (high - low) / 2
    return f"{number(sign * v.difference, half)} [{number(low, half)}, {number(high, half)}]"


def _too_few(v: "PairVerdict", episodes: str) -> str:
    if smallest_p(v.n) > v.alpha:
        return f"With {episodes} no test can reach p < {v.alpha:g}"
    needed = v.n
    while smallest_p(needed) > v.alpha * v.share:
        needed += 1
    return f"With {episodes} and {v.family} comparisons no test can reach p < {v.alpha:g} ({needed} can)"


def _all(n: int) -> str:
    return "the one episode" if n == 1 else f"all {n} episodes"


def _printable(name: str) -> str:
    return printable(name).strip() or "(unnamed)"
