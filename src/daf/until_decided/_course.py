"""The two ways to play until decided, behind one interface: scores in, the next places to play out.

Nothing here depends on time or on workers: the same scores give the same course, so a resumed command takes the same
one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol, get_args

import numpy as np

from daf.errors import UsageError, unknown
from daf.stats.arrays import FloatArray, differences
from daf.stats.group_sequential import Design, GroupSequential, looks_of
from daf.stats.group_verdicts import FamilyLooks, SequentialVerdict, family_looks, group_verdicts
from daf.stats.pair_verdict import PairVerdict
from daf.stats.spending import LOOKS, Spending
from daf.until_decided._rounds import Needs, first_round, look, next_round, open_ones

Method = Literal["group-sequential", "anytime"]
METHODS: tuple[Method, ...] = get_args(Method)
MAX_EPISODES = 200
FUTILITY = 0.05

Scores = Mapping[tuple[int, int], Mapping[int, float]]
"""By (contender, mission), the score of each finished block."""


@dataclass(frozen=True)
class StoppingRule:
    """When playing ends. max_episodes: per policy and mission. looks: equal steps up to there, or the blocks of each
    look; spending, futility: as in `daf.stats.group_sequential.Design`. The last three have no effect on "anytime".
    """

    until_decided: Method = "group-sequential"
    max_episodes: int = MAX_EPISODES
    looks: int | tuple[int, ...] = LOOKS
    spending: Spending = "hwang-shih-decani"
    futility: float = FUTILITY


class Course(Protocol):
    """The course of playing, look by look."""

    def first(self) -> Needs:
        """The first places to play."""

    def after(self, scores: Scores) -> Needs | None:
        """What to play after a look at all `scores` so far; None if nothing is left to decide or to play."""

    def open(self) -> int:
        """Comparisons that are not settled."""

    def verdicts(self) -> list[SequentialVerdict]:
        """At the last look."""

    def families(self) -> list[FamilyLooks]:
        """The looks that were taken, by family; empty where looks are not planned."""


def course_of(
    rule: StoppingRule,
    names: Sequence[str],
    missions: Sequence[str],
    hashes: Sequence[str],
    seeds: Mapping[int, int],
    *,
    alpha: float,
    margin: float | None,
    vectors: int,
) -> Course:
    """The course of `rule`. hashes: of the missions' configurations; seeds: of the blocks, by index. Raises
    `UsageError`.
    """
    if rule.until_decided not in METHODS:
        raise UsageError(unknown("way to play until decided", rule.until_decided, METHODS))
    if rule.max_episodes < 1:
        raise UsageError(f"--max-episodes must be at least 1, got {rule.max_episodes}.")
    if rule.until_decided == "anytime":
        return _Anytime(names, missions, rule.max_episodes, alpha, margin)
    design = Design(
        looks_of(rule.max_episodes, rule.looks), alpha, rule.spending, vectors=vectors, margin=margin,
        futility=rule.futility,
    )  # fmt: skip
    return _ByLooks(names, missions, hashes, seeds, design)


class _Anytime:
    """Rounds of growing size; verdicts from e-processes, which are valid at every look."""

    def __init__(
        self, names: Sequence[str], missions: Sequence[str], most: int, alpha: float, margin: float | None
    ) -> None:
        self._names, self._missions, self._most = names, missions, most
        self._alpha, self._margin = alpha, margin
        self._needs = first_round(len(names), len(missions), most)
        self._verdicts: list[PairVerdict] = []

    def first(self) -> Needs:
        return self._needs

    def after(self, scores: Scores) -> Needs | None:
        self._verdicts = look(
            self._names, self._missions, scores, alpha=self._alpha, margin=self._margin, earlier=self._verdicts
        )
        needs = next_round(self._needs, self._verdicts, len(self._missions), self._most)
        if needs is not None:
            self._needs = needs
        return needs

    def open(self) -> int:
        return len(open_ones(self._verdicts))

    def verdicts(self) -> list[SequentialVerdict]:
        return [SequentialVerdict(verdict, None, None) for verdict in self._verdicts]

    def families(self) -> list[FamilyLooks]:
        return []


class _ByLooks:
    """Looks fixed beforehand; verdicts from the group-sequential sign-flip test."""

    def __init__(
        self,
        names: Sequence[str],
        missions: Sequence[str],
        hashes: Sequence[str],
        seeds: Mapping[int, int],
        design: Design,
    ) -> None:
        self._names, self._missions, self._seeds = names, missions, seeds
        self._pairs = list(combinations(range(len(names)), 2))
        self._test = GroupSequential(len(self._pairs), hashes, design)
        self._reached = 0

    def first(self) -> Needs:
        return self._next()

    def after(self, scores: Scores) -> Needs | None:
        reached = self._test.design.looks[self._test.looks]
        self._test.look({mission: self._new(scores, mission, reached) for mission in range(len(self._missions))})
        self._reached = reached
        return None if self._test.ended else self._next()

    def open(self) -> int:
        several = len(self._missions) > 1
        return sum(len(family.undecided) * (1 if several else 2) for family in self._test.families.values())

    def verdicts(self) -> list[SequentialVerdict]:
        return group_verdicts(self._test, self._pairs, self._names, self._missions)

    def families(self) -> list[FamilyLooks]:
        return family_looks(self._test, self._missions)

    def _next(self) -> Needs:
        places = frozenset(
            (contender, mission)
            for mission in range(len(self._missions))
            for pair in self._test.open_pairs(mission)
            for contender in self._pairs[pair]
        )
        return Needs(self._test.design.looks[self._test.looks], places)

    def _new(self, scores: Scores, mission: int, reached: int) -> tuple[list[int], FloatArray]:
        """The blocks since the last look that any pair finished, as seeds and differences."""
        rows = [scores.get((contender, mission), {}) for contender in range(len(self._names))]
        blocks = [block for block in range(self._reached, reached) if sum(block in row for row in rows) > 1]
        found = np.full((len(self._pairs), len(blocks)), np.nan)
        for row, (a, b) in zip(found, self._pairs, strict=True):
            both = [place for place, block in enumerate(blocks) if block in rows[a] and block in rows[b]]
            if both:
                row[both] = differences(
                    [rows[a][blocks[place]] for place in both], [rows[b][blocks[place]] for place in both]
                )
        return [self._seeds[block] for block in blocks], found
