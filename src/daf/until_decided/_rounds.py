"""The rounds of `--until-decided=anytime`: which comparisons continue, and how far, as pure functions of the verdicts.

A round takes every policy that an open comparison still needs, on every mission where it needs it, to the same number
of blocks. Settled comparisons are not played further and stay settled. Nothing here depends on time or on workers: the
same results give the same rounds, so a resumed command takes the same course.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.errors import UsageError
from daf.stats.arrays import FloatArray, differences
from daf.stats.pair_verdict import PairVerdict
from daf.stats.verdicts_so_far import SETTLED, Key, verdicts_so_far

FIRST = 8
"""Blocks of the first round: fewer cannot settle anything, however strong the evidence."""
IDENTICAL = 20
"""A pair with exactly the same scores in this number of blocks gets no more: it stays "identical", which claims nothing
about further blocks.
"""
GROWTH = 5
"""A round adds a fifth of the blocks so far, and at least 4."""


@dataclass(frozen=True)
class Needs:
    """The plan of a round. blocks: the number to reach. places: the (contender, mission) pairs that play."""

    blocks: int
    places: frozenset[tuple[int, int]]


def first_round(contenders: int, missions: int, most: int) -> Needs:
    """All contenders on all missions: `FIRST` blocks, or `most` if that is less. Raises `UsageError`."""
    if most < 1:
        raise UsageError(f"--max-episodes must be at least 1, got {most}.")
    places = frozenset((contender, mission) for contender in range(contenders) for mission in range(missions))
    return Needs(min(FIRST, most), places)


def next_round(last: Needs, verdicts: Sequence[PairVerdict], missions: int, most: int) -> Needs | None:
    """The round after `last`, given the verdicts then; `None` if nothing is open or `most` were played."""
    places: set[tuple[int, int]] = set()
    for verdict in verdicts:
        if verdict.verdict in SETTLED or (verdict.verdict == "identical" and verdict.n >= IDENTICAL):
            continue
        where = range(missions) if verdict.stratum is None else [verdict.stratum]
        places |= {(contender, mission) for mission in where for contender in (verdict.a, verdict.b)}
    places &= last.places
    if not places or last.blocks >= most:
        return None
    return Needs(min(most, last.blocks + max(4, last.blocks // GROWTH)), frozenset(places))


def look(
    names: Sequence[str],
    missions: Sequence[str],
    scores: Mapping[tuple[int, int], Mapping[int, float]],
    *,
    alpha: float,
    margin: float | None,
    earlier: Sequence[PairVerdict] = (),
) -> list[PairVerdict]:
    """The verdicts on the episodes so far. scores: by (contender, mission), the score of each finished block.

    A block counts for a pair if both finished it. earlier: the last look's verdicts.
    """
    found: dict[Key, FloatArray] = {}
    for mission in range(len(missions)):
        for a in range(len(names)):
            for b in range(a + 1, len(names)):
                found[a, b, mission] = _apart(scores.get((a, mission), {}), scores.get((b, mission), {}))
    return verdicts_so_far(names, found, missions, alpha=alpha, margin=margin, earlier=earlier)


def open_ones(verdicts: Iterable[PairVerdict]) -> list[PairVerdict]:
    """The comparisons that are not settled."""
    return [verdict for verdict in verdicts if verdict.verdict not in SETTLED]


def _apart(first: Mapping[int, float], second: Mapping[int, float]) -> FloatArray:
    both = sorted(first.keys() & second.keys())
    if not both:
        return np.empty(0)
    return differences([first[block] for block in both], [second[block] for block in both])
