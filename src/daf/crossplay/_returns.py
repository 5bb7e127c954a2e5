"""Arrays from the records of a cross-play: each policy's return with each partner, by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from daf.crossplay.teams import members
from daf.episodes.run import RunResult
from daf.stats.arrays import FloatArray, differences


@dataclass(frozen=True)
class TeamReturns:
    """A team's result. rewards: by agent; seats: by agent, the policy (index in the cross-play)."""

    rewards: tuple[float, ...]
    seats: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean return of all agents."""
        return sum(self.rewards) / len(self.rewards)

    def own(self, policy: int, seats: "tuple[int, ...] | None" = None) -> float:
        """Mean return of the agents of `policy` here, or of those it has in another team with these `seats`."""
        got = [reward for reward, seat in zip(self.rewards, seats or self.seats, strict=True) if seat == policy]
        return sum(got) / len(got)


Block = dict[tuple[int, ...], TeamReturns]
"""All teams of one mission on one seed, by the agents of each policy."""


def blocks_of(result: RunResult, teams: Mapping[str, Mapping[str, tuple[int, ...]]]) -> dict[str, dict[int, Block]]:
    """mission → index → block; a team without a result is not in its block."""
    found: dict[str, dict[int, Block]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        mission = record.spec.mission
        counts = teams[mission][result.plan.contenders[planned.contender].name]
        block = found.setdefault(mission, {}).setdefault(planned.index, {})
        if record.outcome is not None:
            there = members(counts)
            seats = tuple(there[place] for place in record.spec.assignment)
            block[counts] = TeamReturns(record.outcome.rewards, seats)
    return found


def shared_reward(result: RunResult, mission: str) -> bool:
    """Whether all agents of a team got the same return in every episode of `mission`."""
    rewards = [r.outcome.rewards for r in result.records if r.outcome and r.spec.mission == mission]
    return any(any(each) for each in rewards) and all(len(set(each)) == 1 for each in rewards)


def returns(played: Sequence[tuple[str, list[Block]]], count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """own and gain (policy, partner, block) and team (pair, block): means over the mixes of exactly these two."""
    blocks = [block for _, there in played for block in there]
    own, gains = np.zeros((count, count, len(blocks))), np.zeros((count, count, len(blocks)))
    team = np.zeros((count * (count - 1) // 2, len(blocks)))
    for place, block in enumerate(blocks):
        alone = [next(there for counts, there in block.items() if members(counts) == (i,)) for i in range(count)]
        for i in range(count):
            own[i, i, place] = alone[i].mean
        for row, pair in enumerate(combinations(range(count), 2)):
            both = [there for counts, there in block.items() if members(counts) == pair]
            team[row, place] = sum(there.mean for there in both) / len(both)
            for i, j in (pair, pair[::-1]):
                got = np.array([there.own(i) for there in both])
                before = np.array([alone[i].own(i, there.seats) for there in both])
                own[i, j, place] = got.mean()
                gains[i, j, place] = differences(got, before).mean()
    return own, gains, team
