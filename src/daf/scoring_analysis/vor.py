"""Value over replacement of a candidate, mission by mission and overall, with intervals.

The numbers are those of `metta_alo.scoring`, for each mission separately; missions are averaged, each counting the
same. A block is a seed with all teams that played it. Values are paired within blocks, so that everything the teams
share, above all the map, cancels: their intervals contain the values that the sign-flip test does not reject, and
cannot contradict its p. Intervals of plain scores are bootstraps of whole blocks. Blocks that a team did not finish
count in no scenario.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.episodes.run import RunResult
from daf.errors import DataError
from daf.game.scoring import Scenario, ScoredEpisode, vor
from daf.scoring_analysis._budget import Budget, budget_for
from daf.stats.arrays import FloatArray, IntArray
from daf.stats.over_missions import paired_mean
from daf.stats.sentences import amount_text, counted, p_text
from daf.stats.shapes import caveat_for_differences
from daf.stats.summaries import PolicySummary, summarise

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class ScenarioScore:
    """One team on one mission. pool: agents of each policy of the pool. mean: of the candidate's agents, and of all
    where it has none; value: mean less the replacement's, `None` for the pool alone. ci: 1 - alpha intervals."""

    mission: str
    label: str
    candidate: int
    pool: tuple[int, ...]
    mean: float
    ci: Bounds
    value: float | None
    value_ci: Bounds


@dataclass(frozen=True)
class MissionScore:
    """One mission. value: overall VOR, weighted by the candidate's agents. n: blocks; left_out: those not finished."""

    mission: str
    agents: int
    n: int
    left_out: int
    replacement: float
    replacement_ci: Bounds
    value: float
    value_ci: Bounds
    scenarios: tuple[ScenarioScore, ...]
    caveat: str


@dataclass(frozen=True)
class VorAnalysis:
    """All missions. value: mean of the missions' VORs. p: sign-flip test of no value, two-sided. budget: what a
    narrower interval costs, `None` with one block."""

    missions: tuple[MissionScore, ...]
    value: float
    ci: Bounds
    p: float
    n: int
    alpha: float
    caveat: str
    budget: Budget | None
    left_out: int
    absent: tuple[str, ...]


def sentence(analysis: VorAnalysis, candidate: str) -> str:
    """The finding as a sentence."""
    bounds = analysis.ci
    if bounds is not None and analysis.value < 0:
        bounds = (-bounds[1], -bounds[0])
    size = f"{amount_text(abs(analysis.value), bounds)} reward per agent"
    blocks = counted(analysis.n, "block")
    several = len(analysis.missions) > 1
    where = f"over {len(analysis.missions)} missions" if several else f"on {analysis.missions[0].mission}"
    tail = f"{p_text(analysis.p)}; {blocks}."
    if analysis.p <= analysis.alpha:
        more = "more" if analysis.value > 0 else "less"
        return f"{candidate} is worth {size} {more} than its replacements {where}, {tail}"
    if not analysis.value:
        return f"{candidate} has exactly the value of its replacements {where}; {blocks}."
    side = "ahead of" if analysis.value > 0 else "behind"
    return f"{candidate} is {side} its replacements {where} by {size}, which may be chance: {tail}"


def analyse_vor(
    result: RunResult,
    teams: Mapping[str, Mapping[str, Scenario]],
    *,
    alpha: float = 0.05,
    resamples: int = 5_000,
    seed: int = 0,
    precision: float | None = None,
) -> VorAnalysis:
    """Score what was played. teams: by mission and contender, the scenario that it is.

    precision: half-width of the interval to budget for, by default half of the present one. Raises `DataError` if no
    mission has a complete block.
    """
    blocks = _blocks(result, teams)
    found: list[MissionScore] = []
    values: list[FloatArray] = []
    absent = []
    for mission in result.plan.missions:
        there = blocks.get(mission.name, {})
        wanted = set(teams[mission.name].values())
        complete = {index: block for index, block in sorted(there.items()) if block.keys() == wanted}
        if not complete:
            absent.append(mission.name)
            continue
        score, value = _mission_score(
            mission.name,
            mission.num_agents,
            list(complete.values()),
            len(there) - len(complete),
            alpha,
            resamples,
            seed,
        )
        found.append(score)
        values.append(value)
    if not found:
        first = next((record.failure.message for record in result.failures if record.failure), "")
        why = f" {len(result.failures)} episodes failed; the first: {first}." if first else ""
        raise DataError(f"no seed was finished by all teams, so there is nothing to score.{why}")
    together = np.concatenate(values)
    strata = np.repeat(np.arange(len(values)), [len(value) for value in values])
    tested = paired_mean(together, strata, alpha=alpha, seed=seed)
    ci = _bounds(tested.low, tested.high)
    return VorAnalysis(
        missions=tuple(found),
        value=float(np.mean([score.value for score in found])),
        ci=ci,
        p=float(tested.p),
        n=together.size,
        alpha=alpha,
        caveat=caveat_for_differences(together),
        budget=_budget(together, strata, ci, found, precision, alpha),
        left_out=sum(score.left_out for score in found),
        absent=tuple(absent),
    )


_Block = dict[Scenario, ScoredEpisode]


def _blocks(result: RunResult, teams: Mapping[str, Mapping[str, Scenario]]) -> dict[str, dict[int, _Block]]:
    """mission → index → scenario → episode; an episode without a result leaves a gap."""
    found: dict[str, dict[int, _Block]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        spec = record.spec
        scenario = teams[spec.mission][result.plan.contenders[planned.contender].name]
        block = found.setdefault(spec.mission, {}).setdefault(planned.index, {})
        if record.outcome is None:
            continue
        there = [index for index, count in enumerate((scenario.candidate, *scenario.pool)) if count]
        assignment = tuple(there[index] for index in spec.assignment)
        block[scenario] = ScoredEpisode(assignment, record.outcome.rewards)
    return found


def _mission_score(
    mission: str, agents: int, blocks: Sequence[_Block], left_out: int, alpha: float, resamples: int, seed: int
) -> tuple[MissionScore, FloatArray]:
    teams = sorted(blocks[0], key=lambda scenario: -scenario.candidate)
    scored = vor({team.candidate: [block[team] for block in blocks] for team in teams})
    own = np.array([[_score(block[team], team.candidate) for block in blocks] for team in teams])
    means, replacement = own[:-1], own[-1]
    counts = np.array([team.candidate for team in teams[:-1]], dtype=np.float64)
    value = counts @ means / counts.sum() - replacement
    summaries: dict[int, PolicySummary] = {
        row.policy: row
        for row in summarise([team.label for team in teams], own, alpha=alpha, resamples=resamples, seed=seed)
    }
    tested = paired_mean(np.vstack([means - replacement, value]), alpha=alpha, seed=seed)
    bounds = [_bounds(low, high) for low, high in zip(tested.low, tested.high, strict=True)]
    if scored.replacement is None or scored.overall is None:
        raise DataError(f"no episode of the pool alone was finished on {mission}.")
    last = len(teams) - 1
    scenarios = []
    for row, team in enumerate(teams):
        mean = scored.replacement if row == last else scored.means[team.candidate]
        if mean is None:
            raise DataError(f"no episode of {team.label} was finished on {mission}.")
        scenarios.append(
            ScenarioScore(
                mission=mission,
                label=team.label,
                candidate=team.candidate,
                pool=team.pool,
                mean=mean,
                ci=summaries[row].ci,
                value=None if row == last else scored.by_count[team.candidate],
                value_ci=None if row == last else bounds[row],
            )
        )
    score = MissionScore(
        mission=mission,
        agents=agents,
        n=len(blocks),
        left_out=left_out,
        replacement=scored.replacement,
        replacement_ci=summaries[last].ci,
        value=scored.overall,
        value_ci=bounds[-1],
        scenarios=tuple(scenarios),
        caveat=caveat_for_differences(value),
    )
    return score, value


def _bounds(low: FloatArray | float, high: FloatArray | float) -> Bounds:
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def _score(episode: ScoredEpisode, candidate: int) -> float:
    rewards = [
        reward for index, reward in zip(episode.assignment, episode.rewards, strict=True) if not candidate or index == 0
    ]
    return sum(rewards) / len(rewards)


def _budget(
    values: FloatArray,
    strata: IntArray,
    ci: Bounds,
    missions: Sequence[MissionScore],
    precision: float | None,
    alpha: float,
) -> Budget | None:
    wanted = precision if precision is not None else (ci[1] - ci[0]) / 4 if ci else None
    if wanted is None or wanted <= 0 or min(score.n for score in missions) < 2:
        return None
    teams = sum(len(score.scenarios) for score in missions)
    return budget_for(values, strata, precision=wanted, episodes_per_block=teams, alpha=alpha)
