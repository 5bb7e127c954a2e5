"""How well each policy performs with each partner, from the episodes of teams on identical blocks.

A policy's own return is that of its agents. The gain from a partner is the difference to the return of the same seats
in its self-play on the same seed, so maps and seats cancel. All verdicts of an analysis are one family (Holm):
the probability that any of them is false is at most alpha. Missions are averaged, each counting the same; within a
mission every mix of a pair counts the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from daf.crossplay._returns import Block, blocks_of, returns, shared_reward
from daf.episodes.run import RunResult
from daf.errors import DataError
from daf.stats.arrays import FloatArray, IntArray, differences
from daf.stats.multiple import holm
from daf.stats.over_missions import paired_mean
from daf.stats.summaries import summarise

Bounds = tuple[float, float] | None
Change = Literal["more", "less", "same", "open"]


@dataclass(frozen=True)
class Paired:
    """A paired difference. change: "more" or "less" if it is significant, "same" if no block differs."""

    difference: float
    ci: Bounds
    p: float
    p_adjusted: float
    change: Change


@dataclass(frozen=True)
class PartnerReturn:
    """`policy` with `partner` (indices; the same for self-play). own: return of the policy's agents; partner_own: of
    the partner's. gain: own less self-play in the same seats, `None` for self-play itself."""

    policy: int
    partner: int
    own: float
    ci: Bounds
    partner_own: float
    team: float
    gain: Paired | None


@dataclass(frozen=True)
class PairTeam:
    """Two policies in one team. team: mean return of all. apart: first's own less second's, in the same episodes.
    relation: in words. carrier: if one gains and the other loses, the one that loses."""

    first: int
    second: int
    team: float
    team_ci: Bounds
    apart: Paired
    relation: str
    carrier: int | None


@dataclass(frozen=True)
class PolicyTeams:
    """One policy over all its partners.

    gap: the generalisation gap, `self_play` - `cross_play`; positive if the policy loses among other policies.
    cross_play: own return, the mean over partners. self_play: the return of the same seats in self-play, so that the
    gap is paired; the matrix's diagonal is over all seats. best: partner with which it gains most; best_decided: that
    partner beats every other.
    """

    policy: int
    self_play: float
    self_ci: Bounds
    cross_play: float
    cross_ci: Bounds
    gap: Paired
    best: int
    best_decided: bool


@dataclass(frozen=True)
class MixRow:
    """One team on one mission. counts: agents per policy. own: return of each policy's agents, `None` without any."""

    mission: str
    counts: tuple[int, ...]
    team: float
    ci: Bounds
    own: tuple[float | None, ...]


@dataclass(frozen=True)
class CrossplayAnalysis:
    """The whole analysis. cells: every policy with every partner, row by row. n: blocks. blocks: per mission and block,
    every team's mean return.
    """

    names: tuple[str, ...]
    missions: tuple[str, ...]
    cells: tuple[PartnerReturn, ...]
    pairs: tuple[PairTeam, ...]
    policies: tuple[PolicyTeams, ...]
    mixes: tuple[MixRow, ...]
    blocks: tuple[Mapping[tuple[int, ...], float], ...]
    n: int
    alpha: float
    family: int
    left_out: int
    absent: tuple[str, ...]
    shared: tuple[str, ...]

    def cell(self, policy: int, partner: int) -> PartnerReturn:
        """The cell of a policy and its partner."""
        return self.cells[policy * len(self.names) + partner]


def analyse_crossplay(
    result: RunResult,
    names: Sequence[str],
    teams: Mapping[str, Mapping[str, tuple[int, ...]]],
    *,
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
) -> CrossplayAnalysis:
    """Analyse what was played. teams: by mission and contender, the agents of each policy.

    Raises `DataError` if no mission has a block that all its teams finished.
    """
    played: list[tuple[str, list[Block]]] = []
    left_out, absent, shared = 0, [], []
    found = blocks_of(result, teams)
    for mission in result.plan.missions:
        there = found.get(mission.name, {})
        complete = [block for _, block in sorted(there.items()) if len(block) == len(teams[mission.name])]
        left_out += len(there) - len(complete)
        if not complete:
            absent.append(mission.name)
            continue
        played.append((mission.name, complete))
        if shared_reward(result, mission.name):
            shared.append(mission.name)
    if not played:
        first = next((record.failure.message for record in result.failures if record.failure), "none was played")
        raise DataError(f"no seed was finished by all teams; the first failure: {first}.")
    count = len(names)
    strata = np.repeat(np.arange(len(played)), [len(blocks) for _, blocks in played])
    own, gains, team = returns(played, count)
    summaries = _intervals(np.vstack([own.reshape(count * count, -1), team]), strata, alpha, resamples, seed)
    cross = np.array([np.mean([own[i, j] for j in range(count) if j != i], axis=0) for i in range(count)])
    cross_summaries = _intervals(cross, strata, alpha, resamples, seed)
    alone = cross - np.array([np.mean([gains[i, j] for j in range(count) if j != i], axis=0) for i in range(count)])
    alone_summaries = _intervals(alone, strata, alpha, resamples, seed)
    tests = _tests(own, gains, strata, alpha, resamples, seed)
    pairs = list(combinations(range(count), 2))
    cells = [
        PartnerReturn(
            policy=i,
            partner=j,
            own=summaries[i * count + j][0],
            ci=summaries[i * count + j][1],
            partner_own=summaries[j * count + i][0],
            team=summaries[count * count + pairs.index((min(i, j), max(i, j)))][0]
            if i != j
            else summaries[i * count + i][0],
            gain=None if i == j else tests["gain", i, j],
        )
        for i in range(count)
        for j in range(count)
    ]
    return CrossplayAnalysis(
        names=tuple(names),
        missions=tuple(name for name, _ in played),
        cells=tuple(cells),
        pairs=tuple(_pair(names, a, b, *summaries[count * count + place], tests) for place, (a, b) in enumerate(pairs)),
        policies=tuple(_policy(i, count, alone_summaries[i], cross_summaries[i], tests) for i in range(count)),
        mixes=tuple(row for name, blocks in played for row in _mixes(name, blocks, count, alpha, resamples, seed)),
        blocks=tuple(
            {counts: there.mean for counts, there in block.items()} for _, blocks in played for block in blocks
        ),
        n=strata.size,
        alpha=alpha,
        family=len(tests),
        left_out=left_out,
        absent=tuple(absent),
        shared=tuple(shared),
    )


def _intervals(
    rows: FloatArray, strata: IntArray, alpha: float, resamples: int, seed: int
) -> dict[int, tuple[float, Bounds]]:
    labels = [str(row) for row in range(len(rows))]
    found = summarise(labels, rows, strata, alpha=alpha, resamples=max(1_000, resamples // 5), seed=seed)
    return {row.policy: (row.mean, row.ci) for row in found}


_Tests = dict[tuple[str, int, int] | tuple[str, int, int, int], Paired]


def _tests(own: FloatArray, gains: FloatArray, strata: IntArray, alpha: float, resamples: int, seed: int) -> _Tests:
    """All paired differences that are tested, as one family."""
    count = len(own)
    asked: dict[tuple[str, int, int] | tuple[str, int, int, int], FloatArray] = {}
    for i in range(count):
        others = [j for j in range(count) if j != i]
        asked["gap", i, i] = -gains[i, others].mean(axis=0)
        for j in others:
            asked["gain", i, j] = gains[i, j]
            if i < j:
                asked["apart", i, j] = differences(own[i, j], own[j, i])
        for j, k in combinations(others, 2):
            asked["partner", i, j, k] = differences(gains[i, j], gains[i, k])
    rows = np.array(list(asked.values()))
    tested = paired_mean(rows, strata, alpha=alpha, resamples=max(resamples, 200 * len(rows)), seed=seed)
    adjusted = holm(tested.p)
    found: _Tests = {}
    for place, key in enumerate(asked):
        low, high = float(tested.low[place]), float(tested.high[place])
        difference = float(tested.difference[place])
        change: Change = "open"
        if not rows[place].any():
            change = "same"
        elif adjusted[place] <= alpha:
            change = "more" if difference > 0 else "less"
        ci = (low, high) if np.isfinite(low) and np.isfinite(high) else None
        found[key] = Paired(difference, ci, float(tested.p[place]), float(adjusted[place]), change)
    return found


def _pair(names: Sequence[str], a: int, b: int, team: float, ci: Bounds, tests: _Tests) -> PairTeam:
    changes = {a: tests["gain", a, b].change, b: tests["gain", b, a].change}
    gaining = [policy for policy in (a, b) if changes[policy] == "more"]
    losing = [policy for policy in (a, b) if changes[policy] == "less"]
    carrier = None
    if len(gaining) == 2:
        relation = "both gain"
    elif len(losing) == 2:
        relation = "both lose"
    elif gaining and losing:
        carrier = losing[0]
        relation = f"{names[carrier]} carries {names[gaining[0]]}"
    elif gaining:
        relation = f"{names[gaining[0]]} gains"
    elif losing:
        relation = f"{names[losing[0]]} loses"
    else:
        relation = "no change" if set(changes.values()) == {"same"} else "no significant difference"
    return PairTeam(a, b, team, ci, tests["apart", a, b], relation, carrier)


def _policy(
    i: int,
    count: int,
    alone: tuple[float, Bounds],
    cross: tuple[float, Bounds],
    tests: _Tests,
) -> PolicyTeams:
    others = [j for j in range(count) if j != i]
    gains = {j: tests["gain", i, j].difference for j in others}
    best = max(others, key=lambda j: gains[j])
    decided = len(others) > 1
    for other in others:
        if other != best:
            low, high = min(best, other), max(best, other)
            decided &= tests["partner", i, low, high].change == ("more" if best == low else "less")
    return PolicyTeams(i, *alone, *cross, tests["gap", i, i], best, decided)


def _mixes(mission: str, blocks: Sequence[Block], count: int, alpha: float, resamples: int, seed: int) -> list[MixRow]:
    kinds = list(blocks[0])
    means = _intervals(
        np.array([[block[counts].mean for block in blocks] for counts in kinds]),
        np.zeros(len(blocks), dtype=np.int64),
        alpha,
        resamples,
        seed,
    )
    return [
        MixRow(
            mission,
            counts,
            *means[row],
            tuple(
                sum(block[counts].own(policy) for block in blocks) / len(blocks) if counts[policy] else None
                for policy in range(count)
            ),
        )
        for row, counts in enumerate(kinds)
    ]
