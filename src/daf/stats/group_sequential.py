"""The group-sequential sign-flip test: pairs of policies, over all missions and on each, at looks fixed beforehand.

`GroupSequential` takes in the paired differences of one look after the other and decides after each which comparisons
are settled, and where further blocks cannot settle anything. The probability that any "better" or "worse" is ever false
is at most alpha: half of it belongs to the comparisons over all missions, the other half in equal shares to the
missions, and each share is the error rate of one `daf.stats.closed_test.Family`. A separate alpha holds for "equal".

Assumption: under the null hypothesis a block's difference is as likely d as -d. Equal policies on identical blocks
have that. Given the absolute differences, the test is then exact for one hypothesis, and for all hypotheses together
where the differences of all pairs are *jointly* symmetric. With three policies or more, equal policies need not have
that. docs/calibration.md has the measured error.

Blocks that a pair lacks, because an episode failed, count neither as data nor as information.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from daf.errors import UsageError
from daf.stats.arrays import FloatArray, check_alpha, check_resamples
from daf.stats.closed_test import Family
from daf.stats.effect import check_margin
from daf.stats.permutation import smallest_p
from daf.stats.sign_vectors import ENUMERATED, Block, drawn, enumerated
from daf.stats.signed_sums import SignedSums, statistics, student
from daf.stats.spending import Spending, even_design, even_looks, spent

Pair = tuple[int, int]
Scope = int | None
"""Index of a mission; `None` for all missions together."""
End = Literal["decided", "futility", "maximum"]

IDENTICAL = 20
"""A pair with the same scores in this number of blocks is not expected to differ in later ones."""
_ALL_TIES_UNDECIDED = 1.0
_PLANNED_POWER = 0.9


@dataclass(frozen=True)
class Design:
    """The choices that are fixed before the first episode.

    looks: blocks per mission at each look, rising; the last is the maximum. vectors: sign vectors drawn. margin: the
    practical difference. futility: a family ends when none of its open pairs has at least this chance of being settled;
    0 never ends one.
    """

    looks: tuple[int, ...]
    alpha: float = 0.05
    spending: Spending = "hwang-shih-decani"
    vectors: int = 10_000
    margin: float | None = None
    futility: float = 0.05

    @property
    def most(self) -> int:
        """The maximum of blocks per mission."""
        return self.looks[-1]


def looks_of(most: int, looks: int | Sequence[int]) -> tuple[int, ...]:
    """The blocks at each look up to `most`. looks: the number of equal steps, or the blocks themselves, to which
    `most` is added. Raises `UsageError`.
    """
    if isinstance(looks, int):
        return even_looks(most, looks)
    steps = [int(step) for step in looks]
    if not steps or steps[0] < 1 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise UsageError(f"looks must rise from at least 1, got {', '.join(map(str, steps)) or 'none'}.")
    if most < steps[0]:
        raise UsageError(f"the maximum, {most} blocks, is below the first look, {steps[0]} blocks.")
    return (*(step for step in steps if step < most), most)


def shares_of(missions: int) -> dict[Scope, float]:
    """The part of alpha of each family: half overall and half for the missions; all of it for a single mission."""
    if missions == 1:
        return {0: 1.0}
    return {None: 0.5, **dict.fromkeys(range(missions), 0.5 / missions)}


def check_design(design: Design, missions: int) -> None:
    """Raises `UsageError` where the design could decide nothing, whatever the data are."""
    check_alpha(design.alpha)
    check_resamples(design.vectors)
    if design.margin is not None:
        check_margin(design.margin)
    if not 0.0 <= design.futility < 1.0:
        raise UsageError(f"futility must be a probability below 1, got {design.futility:g}; 0 turns it off.")
    for scope, share in shares_of(missions).items():
        level = share * design.alpha
        if int(level * (design.vectors + 1) * (1 + 1e-12)) < 1:
            raise UsageError(
                f"{design.vectors:,} sign vectors cannot resolve alpha {level:g}, the part of {design.alpha:g} that "
                f"each of {missions} missions has; at least {int(np.ceil(1 / level)) - 1:,} can. Raise --resamples."
            )
        blocks = design.most * (missions if scope is None else 1)
        if smallest_p(blocks) > level:
            least = 1
            while smallest_p(least) > level:
                least += 1
            counted = "1 block" if design.most == 1 else f"{design.most} blocks"
            of = f"alpha {design.alpha:g}" if missions == 1 else f"a mission's part of alpha, {level:g}"
            raise UsageError(
                f"a maximum of {counted} gives no p value below {smallest_p(blocks):.2g}; {of} needs at least "
                f"{least} blocks."
            )


class Comparisons:
    """The pairs of one scope: over all missions, or on one."""

    def __init__(self, scope: Scope, pairs: int, alpha: float, design: Design) -> None:
        self.scope = scope
        self.design = design
        self.different = Family(pairs, alpha)
        self.similar = Family(2 * pairs, alpha) if design.margin is not None else None
        """Differences above -margin (first half) and below +margin."""
        self.equal: dict[int, int] = {}
        """The look at which a pair was found practically equal."""
        self.end: End | None = None
        self.information: list[float] = []
        """By look, complete blocks as a share of the maximum."""
        self.conditional_power: list[float | None] = []
        """By look, the greatest chance of any open pair to be settled by the maximum; None where nobody asks."""

    @property
    def undecided(self) -> list[int]:
        """Pairs that are neither different nor practically equal."""
        return [pair for pair in self.different.open if pair not in self.equal]

    def look(
        self, parts: Sequence[Sequence[SignedSums]], share: float, *, last: bool, whole: bool, all_ties: Sequence[bool]
    ) -> None:
        """Take in a look: the sums at it, and at all looks before if the sign vectors are new (`whole`)."""
        if self.end is not None:
            return
        level = self.different.alpha
        part = spent(self.design.spending, level, 1.0 if last else min(share, 1.0))
        self.information.append(share)
        now = parts if whole else parts[-1:]
        self.different.look([statistics(each)[1] for each in now], part)
        if self.similar is not None:
            self.similar.look([_one_sided(each, self.design.margin or 0.0) for each in now], part)
            self._find_equal()
        chance = self._chance(parts[-1], share, all_ties)
        self.conditional_power.append(chance)
        if not self.undecided:
            self.end = "decided"
        elif last:
            self.end = "maximum"
        elif chance is not None and chance < self.design.futility:
            self.end = "futility"

    def _find_equal(self) -> None:
        """A pair is equal once both of its one-sided tests have crossed the boundary of all of them."""
        assert self.similar is not None
        for pair in self.different.open:
            both = (pair, pair + len(self.similar.current) // 2)
            if pair not in self.equal and all(side in self.similar.rejected for side in both):
                self.equal[pair] = self.different.looks - 1

    def _chance(self, parts: Sequence[SignedSums], share: float, all_ties: Sequence[bool]) -> float | None:
        """The greatest conditional power of any undecided pair, on normal data. None before the first complete block.

        The effect is the observed one, or the one for which the maximum has power 0.9 if that is larger; boundaries
        stay as if nobody ever stopped for futility.
        """
        if not self.undecided or not 0.0 < share < 1.0 or self.design.futility == 0.0:
            return None
        design = even_design(len(self.design.looks), self.different.alpha, self.design.spending)
        nominal = 2.0 * _upper(design.boundaries[-1])
        largest = self.different.current[self.different.open].max(axis=0)
        critical = float(student(min(np.quantile(largest, 1.0 - nominal), 1.0 - 1e-12)))
        planned = design.drift(_PLANNED_POWER)
        chances = [0.0]
        for pair in self.undecided:
            if all_ties[pair]:
                blocks = min(float(part.count[pair, 0]) for part in parts)
                chances.append(0.0 if blocks >= IDENTICAL else _ALL_TIES_UNDECIDED)
                continue
            z = float(student(min(self.different.observed[-1][pair], 1.0 - 1e-12)))
            effect = max(z / np.sqrt(share), planned)
            left = np.sqrt(1.0 - share)
            onwards = _upper((critical - z * np.sqrt(share) - effect * (1 - share)) / left)
            back = _upper((critical + z * np.sqrt(share) - planned * (1 - share)) / left)
            chances.append(min(1.0, onwards + back))
            if self.design.margin is not None:
                chances.append(_chance_of_equal(parts, pair, share, self.design.margin, critical))
        return max(chances)


class GroupSequential:
    """Comparisons of `pairs` on missions, named by the hashes of their configurations, look by look."""

    def __init__(self, pairs: int, missions: Sequence[str], design: Design) -> None:
        check_design(design, len(missions))
        self.pairs, self.missions, self.design = pairs, tuple(missions), design
        self.families = {
            scope: Comparisons(scope, pairs, share * design.alpha, design)
            for scope, share in shares_of(len(missions)).items()
        }
        self.looks = 0
        self.blocks: list[list[tuple[list[Block], FloatArray]]] = [[] for _ in missions]
        """By mission and look, the new blocks and their differences (pairs, n), NaN where a pair lacks one."""
        self._sums: dict[int, SignedSums] = {}
        self._by_drawing: set[Scope] = set()

    @property
    def ended(self) -> bool:
        """No further look can settle anything."""
        return all(family.end is not None for family in self.families.values())

    def open_pairs(self, mission: int) -> set[int]:
        """The pairs that need further blocks on `mission`."""
        needed: set[int] = set()
        for scope in (mission, None):
            family = self.families.get(scope)
            if family is not None and family.end is None:
                needed |= set(family.different.open)
        return needed

    def look(self, new: Mapping[int, tuple[Sequence[int], FloatArray]]) -> None:
        """Take in the new blocks of the next look: by mission, their seeds and differences (pairs, n_blocks)."""
        last = self.looks == len(self.design.looks) - 1
        for mission, place in enumerate(self.missions):
            seeds, differences = new.get(mission, ((), np.empty((self.pairs, 0))))
            self.blocks[mission].append(([(place, seed) for seed in seeds], differences))
        self.looks += 1
        for mission in range(len(self.missions)):
            self._extend(mission)
        for scope, family in self.families.items():
            if family.end is None:
                parts, whole = self._parts(scope)
                ties = [self._all_ties(scope, pair) for pair in range(self.pairs)]
                family.look(parts, self._share(scope, family), last=last, whole=whole, all_ties=ties)

    def _extend(self, mission: int) -> None:
        """The sums of a mission whose vectors are drawn, up to this look."""
        if mission in self._sums:
            blocks, differences = self.blocks[mission][-1]
            if blocks:
                self._sums[mission].add(differences, drawn(blocks, self.design.vectors))

    def _parts(self, scope: Scope) -> tuple[list[list[SignedSums]], bool]:
        """The sums of each mission in `scope`, at this look or, with new vectors, at every look so far."""
        missions = [scope] if scope is not None else list(range(len(self.missions)))
        total = sum(len(blocks) for mission in missions for blocks, _ in self.blocks[mission])
        if total > ENUMERATED and scope in self._by_drawing:
            return [[self._sums[mission] for mission in missions]], False
        if total <= ENUMERATED:
            every = enumerated(total)
            ends = np.cumsum([0, *(len(blocks) for m in missions for blocks, _ in self.blocks[m])])
            signs = iter(every[start:end] for start, end in pairwise(ends))
            by_mission = [[next(signs) for _ in range(self.looks)] for _ in missions]
        else:
            self._by_drawing.add(scope)
            by_mission = [[drawn(blocks, self.design.vectors) for blocks, _ in self.blocks[m]] for m in missions]
        history = []
        for look in range(1, self.looks + 1):
            sums = [SignedSums(self.pairs, by_mission[0][0].shape[1]) for _ in missions]
            for part, mission, signs_of in zip(sums, missions, by_mission, strict=True):
                for (_, differences), block_signs in zip(self.blocks[mission][:look], signs_of[:look], strict=True):
                    part.add(differences, block_signs)
            history.append(sums)
        if total > ENUMERATED:
            for part, mission in zip(history[-1], missions, strict=True):
                self._sums.setdefault(mission, part)
        return history, True

    def _share(self, scope: Scope, family: Comparisons) -> float:
        """Complete blocks of the pairs that are open, as a share of the maximum."""
        missions = [scope] if scope is not None else range(len(self.missions))
        pairs = family.different.open
        complete = [
            sum(int((~np.isnan(differences[pairs])).any(axis=0).sum()) for _, differences in self.blocks[mission])
            for mission in missions
        ]
        return float(np.mean(complete)) / self.design.most

    def _all_ties(self, scope: Scope, pair: int) -> bool:
        missions = [scope] if scope is not None else range(len(self.missions))
        return not any(np.nansum(np.abs(d[pair])) > 0 for mission in missions for _, d in self.blocks[mission])


def _one_sided(parts: Sequence[SignedSums], margin: float) -> FloatArray:
    """(2 pairs, vectors): how far the differences lie above -margin, and how far below +margin; 0 beyond."""
    above, up = statistics(parts, -margin)
    below, down = statistics(parts, margin)
    return np.concatenate([np.where(above > 0, up, 0.0), np.where(below < 0, down, 0.0)])


def _chance_of_equal(parts: Sequence[SignedSums], pair: int, share: float, margin: float, critical: float) -> float:
    """The chance that both one-sided tests end within the margin, if the difference stays what it is."""
    means, variances = [], []
    for part in parts:
        n = max(float(part.count[pair, 0]), 1.0)
        mean = float(part.plain[pair, 0]) / n
        means.append(mean)
        variances.append(max(float(part.squares[pair, 0]) / n - mean**2, 0.0) / max(n - 1.0, 1.0))
    centre, error = float(np.mean(means)), float(np.sqrt(sum(variances))) / len(parts)
    room = margin - critical * error * np.sqrt(share)
    spread = error * np.sqrt(share * (1.0 - share))
    if room <= 0.0:
        return 0.0
    if spread == 0.0:
        return float(abs(centre) < room)
    return _upper((centre - room) / spread) - _upper((centre + room) / spread)


def _upper(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


__all__ = [
    "Comparisons",
    "Design",
    "End",
    "GroupSequential",
    "Scope",
    "check_design",
    "looks_of",
    "shares_of",
]
