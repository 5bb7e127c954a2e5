"""From a run's records to the arrays that statistics take: one row per contender, one column per block.

A block counts if every contender that finished any episode finished it; the other blocks are left out of all rows, so
that no contender is judged on easier episodes than another. Their number is kept and shown: a policy that fails on hard
maps would otherwise only look better than it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.episodes.run import RunResult


@dataclass(frozen=True)
class Scores:
    """Returns on identical blocks.

    names: contenders, one per row; positions: their positions in the plan. scores: (n_contenders, n_blocks) mean return
    per agent. strata: (n_blocks,) index into `missions`. left_out: blocks dropped because an episode in them has no
    result. absent: contenders without any result.
    """

    names: tuple[str, ...]
    positions: tuple[int, ...]
    scores: NDArray[np.float64]
    strata: NDArray[np.int64]
    missions: tuple[str, ...]
    left_out: int
    absent: tuple[str, ...]


def scores_of(result: RunResult) -> Scores:
    """The mean return per agent of every contender on every complete block."""
    contenders = result.plan.contenders
    missions = [mission.name for mission in result.plan.missions]
    found: dict[tuple[int, int], dict[int, float]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        block = found.setdefault((missions.index(record.spec.mission), planned.index), {})
        if record.ok:
            block[planned.contender] = record.reward_per_agent()
    present = sorted({position for block in found.values() for position in block})
    complete = [(key, block) for key, block in sorted(found.items()) if present and len(block) == len(present)]
    used = sorted({mission for (mission, _), _ in complete})
    scores = np.array([[block[position] for _, block in complete] for position in present], dtype=np.float64)
    return Scores(
        names=tuple(contenders[position].name for position in present),
        positions=tuple(present),
        scores=scores.reshape(len(present), len(complete)),
        strata=np.array([used.index(mission) for (mission, _), _ in complete], dtype=np.int64),
        missions=tuple(missions[mission] for mission in used),
        left_out=len(found) - len(complete),
        absent=tuple(contender.name for position, contender in enumerate(contenders) if position not in present),
    )
