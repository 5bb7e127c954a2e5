"""CoGames' scoring, by its own functions: value over replacement, scores weighted by agents, and `pickup`'s episodes.

Nothing is computed here that `metta_alo.scoring` computes: this module passes it episodes and returns its numbers, so
they agree to the last bit. Value over replacement (VOR) is what a candidate adds to a team that would otherwise be
filled from a pool: its mean return among 1, 2, … N agents, minus the pool's mean return without it.
"""

import random
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from daf.errors import UsageError
from daf.game import answers, compat
from daf.game.mission import Mission, dump_config, mission_of

PICKUP_COGS = 4
PICKUP_STEPS = 1000
PICKUP_SEED = 50
PICKUP_EPISODES = 1
PICKUP_MISSION = "arena"
PICKUP_TIMEOUT_MS = 250
"""The defaults of `cogames pickup`."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A team: the number of agents of the candidate, and of each policy of the pool."""

    candidate: int
    pool: tuple[int, ...]

    @property
    def label(self) -> str:
        """As `cogames pickup` calls it, without the mission: "c3-r1"."""
        return f"c{self.candidate}-r{sum(self.pool)}"


@dataclass(frozen=True, slots=True)
class ScoredEpisode:
    """The input of scoring, per agent. assignment: the number of its policy, 0 for the candidate."""

    assignment: tuple[int, ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Vor:
    """Value over replacement. means: by the candidate's number of agents, its mean return (`None`: no episode).

    replacement: mean return of the pool alone. by_count: each mean less the replacement. overall: weighted by the
    candidate's agents. `None` without episodes to compute from.
    """

    means: Mapping[int, float | None]
    replacement: float | None
    by_count: Mapping[int, float | None]
    overall: float | None


def scenarios(agents: int, pool: int) -> list[Scenario]:
    """The teams of `cogames pickup`: N, N-1, … 0 agents of the candidate, the rest shared equally by the pool."""
    return answers.answer(["scenarios", agents, pool], list[Scenario], lambda: _scenarios(agents, pool))


def _scenarios(agents: int, pool: int) -> list[Scenario]:
    compat.install()
    from metta_alo.scoring import allocate_counts

    return [
        Scenario(count, tuple(allocate_counts(agents - count, [1.0] * pool, allow_zero_total=True)))
        for count in range(agents, -1, -1)
    ]


def pickup_assignments(teams: Sequence[Scenario], *, episodes: int, seed: int) -> list[list[tuple[int, ...]]]:
    """[scenario][episode]: the assignments of `cogames pickup`, whose one generator goes through all scenarios."""
    generator = random.Random(seed)
    found = []
    for team in teams:
        assignment = [index for index, count in enumerate((team.candidate, *team.pool)) for _ in range(count)]
        drawn = []
        for _ in range(episodes):
            generator.shuffle(assignment)
            drawn.append(tuple(assignment))
        found.append(drawn)
    return found


def with_map_seed_fixed(mission: Mission, seed: int) -> Mission:
    """`mission` on the one map that `seed` gives, as `cogames pickup` plays it; unchanged where its map is drawn."""
    question = ["map seed fixed", mission.config_hash, seed]
    data = zlib.decompress(answers.answer(question, bytes, lambda: zlib.compress(_map_seed_fixed(mission, seed), 1)))
    return mission_of(mission.name, mission.game, data, also=mission.also)


def _map_seed_fixed(mission: Mission, seed: int) -> bytes:
    compat.install()
    from mettagrid.mapgen.mapgen import MapGen

    config = mission.config.model_copy(deep=True)
    if not isinstance(config.game.map_builder, MapGen.Config):  # type: ignore[misc]
        return mission.config_json
    config.game.map_builder.seed = seed
    return dump_config(config)


def vor(episodes: Mapping[int, Sequence[ScoredEpisode]]) -> Vor:
    """VOR of the candidate from its episodes by number of agents; 0 is the pool alone. By upstream's functions."""
    played = [[count, [[e.assignment, e.rewards] for e in each]] for count, each in episodes.items()]
    return answers.answer(["value over replacement", played], Vor, lambda: _vor(episodes))


def _vor(episodes: Mapping[int, Sequence[ScoredEpisode]]) -> Vor:
    compat.install()
    from metta_alo import scoring

    totals = scoring.VorTotals()
    means: dict[int, float | None] = {}
    for count in sorted(episodes, reverse=True):
        played = [
            SimpleNamespace(assignments=list(episode.assignment), rewards=list(episode.rewards))
            for episode in episodes[count]
        ]
        rollout: Any = SimpleNamespace(episodes=played)
        summary = scoring.summarize_vor_scenario(rollout, candidate_policy_index=0, candidate_count=count)
        if count:
            means[count] = summary.candidate_mean
        totals.update(count, summary)
    replacement = totals.replacement_mean
    by_count: dict[int, float | None] = {}
    for count, mean in means.items():
        known = mean is not None and replacement is not None
        by_count[count] = over_replacement(mean, replacement) if known else None  # type: ignore[arg-type]
    overall = None
    if replacement is not None:
        overall = scoring.overall_value_over_replacement(
            totals.total_candidate_weighted_sum, totals.total_candidate_agents, replacement
        )
    return Vor(means, replacement, by_count, overall)


def over_replacement(candidate: float, replacement: float) -> float:
    """`metta_alo.scoring.value_over_replacement`."""
    compat.install()
    from metta_alo.scoring import value_over_replacement

    return float(value_over_replacement(candidate, replacement))


def weighted_scores[K: Hashable](
    policies: Sequence[K], scores: Sequence[Mapping[K, float]], agents: Sequence[Mapping[K, int]]
) -> dict[K, float]:
    """`metta_alo.scoring.compute_weighted_scores`: each policy's mean over matches, by its share of their agents.

    scores, agents: per match, by policy. A policy without an agent in any match gets 0, as in upstream.
    """
    compat.install()
    from metta_alo.scoring import compute_weighted_scores

    matches: Any = [
        SimpleNamespace(policy_scores=dict(score), policy_agent_counts=dict(counts))
        for score, counts in zip(scores, agents, strict=True)
    ]
    keys: Any = list(policies)
    return {policy: float(value) for policy, value in compute_weighted_scores(keys, matches).items()}  # type: ignore[misc]


def scores_per_agent[K: Hashable](totals: Mapping[K, float], agents: Mapping[K, int]) -> dict[K, float]:
    """`metta_alo.scoring.compute_average_scores_per_agent`."""
    compat.install()
    from metta_alo.scoring import compute_average_scores_per_agent

    keys: Any = totals
    counts: Any = agents
    return dict(compute_average_scores_per_agent(keys, counts))  # type: ignore[arg-type]


def validate_proportions(proportions: Sequence[float] | None, policies: int) -> None:
    """`metta_alo.scoring.validate_proportions`, as `UsageError` that names the broken rule."""
    compat.install()
    from metta_alo.scoring import validate_proportions as upstream

    try:
        upstream(proportions, policies)
    except ValueError as error:
        given = list(proportions or [])
        what = f"{len(given)} proportions for {policies} policies" if len(given) != policies else f"{given} add up to 0"
        raise UsageError(f"{what}: give one number per policy, at least one of them above 0.") from error
