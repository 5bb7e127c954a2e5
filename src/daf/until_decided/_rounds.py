"""Which comparisons go on, and how far: the rounds of playing until decided, as plain functions of the verdicts.

A round takes every policy that an open comparison still needs, on every mission where it needs it, to the same number
of blocks. What is settled is left alone and stays settled. Nothing here depends on time or on workers: the same
results give the same rounds, so that an interrupted command goes the same way again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.errors import UsageError
from daf.stats.arrays import FloatArray, differences
from daf.stats.pair_verdict import PairVerdict
from daf.stats.verdicts_so_far import SETTLED, Key, verdicts_so_far

FIRST = 8
"""Blocks of the first round: with fewer even the strongest evidence settles nothing."""
IDENTICAL = 20
"""A pair that scored exactly the same in so many blocks gets no more: it is left as "identical", which claims nothing
about blocks to come."""
GROWTH = 5
"""A round adds a fifth of the blocks that there are, and 4 at least."""


@dataclass(frozen=True)
class Needs:
    """What a round plays. blocks: how far. places: (contender, mission) that go there."""

    blocks: int
    places: frozenset[tuple[int, int]]


def first_round(contenders: int, missions: int, most: int) -> Needs:
    """Everybody everywhere, `FIRST` blocks or `most`. Raises `UsageError`."""
    if most < 1:
        raise UsageError(f"--max-episodes {most} is below 1.")
    places = frozenset((contender, mission) for contender in range(contenders) for mission in range(missions))
    return Needs(min(FIRST, most), places)


def next_round(last: Needs, verdicts: Sequence[PairVerdict], missions: int, most: int) -> Needs | None:
    """What comes after `last`, given what is known then; `None` where nothing is left open or `most` were played."""
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
    """The verdicts after what was played. scores: by (contender, mission), the score of each finished block.

    A block counts for a pair where both finished it. earlier: the last look's verdicts.
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
