"""From returns to scores of a suite: 0 is the return of `random` on the same blocks, 1 that of the best known policy.

A policy's score on a block is (its return − random's return there) / (the reference's mean − random's mean on the
mission). The differences are paired; the divisor, one number per mission, is taken as known, so the intervals show the
uncertainty of a policy's lead over random, in units of the reference's. A mission on which the reference does not beat
random on these blocks cannot define a scale: it is left out of every score, with a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError
from daf.stats.pair_verdict import PairVerdict
from daf.stats.summaries import PolicySummary, summarise
from daf.stats.verdicts import compare_pairs

UNIT = "of the scale"

Returns = Mapping[tuple[str, str], Mapping[int, float]]
"""(contender, mission) to returns per agent by block."""


@dataclass(frozen=True)
class MissionScale:
    """A mission's scale: the mean returns of random and of the reference. used: the reference beats random."""

    mission: str
    best: str
    random_mean: float
    best_mean: float
    blocks: int

    @property
    def used(self) -> bool:
        return self.best_mean > self.random_mean


@dataclass(frozen=True)
class SuiteScores:
    """Scores of the policies. ranking: over the used missions in `scales`, with equal weight.

    by_mission: the same on each. pairs: every pair of policies, over all missions and on each.
    """

    ranking: tuple[PolicySummary, ...]
    by_mission: Mapping[str, tuple[PolicySummary, ...]]
    pairs: tuple[PairVerdict, ...]
    scales: tuple[MissionScale, ...]
    left_out: int


def score(
    returns: Returns,
    policies: Sequence[str],
    references: Mapping[str, tuple[str, str]],
    *,
    alpha: float,
    resamples: int,
    seed: int,
) -> SuiteScores:
    """Score `policies` on every mission of `references` (mission to the names of random and of the reference).

    Raises `DataError` if nothing can be scored.
    """
    scales: list[MissionScale] = []
    columns: list[NDArray[np.float64]] = []
    strata: list[int] = []
    used: list[str] = []
    left_out = 0
    for mission, (random, best) in references.items():
        names = [*policies, random, best]
        played = [returns.get((name, mission), {}) for name in names]
        shared = sorted(set.intersection(*(set(blocks) for blocks in played)))
        left_out += len(set.union(*(set(blocks) for blocks in played))) - len(shared)
        if not shared:
            continue
        rows = np.array([[blocks[index] for index in shared] for blocks in played], dtype=np.float64)
        scale = MissionScale(mission, best, float(rows[-2].mean()), float(rows[-1].mean()), len(shared))
        scales.append(scale)
        if scale.used:
            columns.append((rows[:-2] - rows[-2]) / (scale.best_mean - scale.random_mean))
            strata += [len(used)] * len(shared)
            used.append(mission)
    if not columns:
        raise DataError(
            "the reference beats random on no mission of the suite on these blocks, so there are no scores. "
            "Play more or longer episodes."
        )
    scores: NDArray[np.float64] = np.concatenate(columns, axis=1)
    groups = np.array(strata)
    by_mission = {
        mission: tuple(summarise(policies, scores[:, groups == place], alpha=alpha, resamples=resamples, seed=seed))
        for place, mission in enumerate(used)
    }
    return SuiteScores(
        ranking=tuple(summarise(policies, scores, groups, alpha=alpha, resamples=resamples, seed=seed)),
        by_mission=by_mission,
        pairs=tuple(
            compare_pairs(policies, scores, groups, used, alpha=alpha, seed=seed, resamples=resamples, unit=UNIT)
        ),
        scales=tuple(scales),
        left_out=left_out,
    )
