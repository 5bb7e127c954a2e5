"""Which episodes: missions × contenders × seeds, in blocks that every contender plays alike.

A block is (mission, seed, assignment). Episode i of a mission has seed + i, and its assignment is the roles' list
shuffled in place by one `random.Random(seed)`, as `run_multi_episode_rollout` does it, so that DAF's episodes are
CoGames' own.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daf.config import memory
from daf.episodes.spec import EpisodeSpec
from daf.errors import UsageError
from daf.game import answers
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game.allocation import allocate
from daf.game.mission import Mission
from daf.game.outcome import SLOW_STEP_MS, SeriesRequest
from daf.game.policy import Policy
from daf.game.rollout import batchable

MAX_SEED = 2**31 - 1
"""The simulator takes seeds of 31 bits."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A contender: one policy for all agents, or a team of several.

    counts: agents per policy, or relative shares if they do not add up to a mission's agents.
    """

    name: str
    policies: tuple[Policy, ...]
    counts: tuple[float, ...] = (1,)


@dataclass(frozen=True, slots=True)
class PlannedEpisode:
    """An episode's place in a plan. index: of the block within its mission, from 0. contender: its position."""

    index: int
    contender: int
    spec: EpisodeSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """Episodes in the order in which they are played: mission by mission, block by block, each contender in turn."""

    missions: tuple[Mission, ...]
    contenders: tuple[Contender, ...]
    episodes: tuple[PlannedEpisode, ...]
    seed: int

    @property
    def by_hash(self) -> Mapping[str, Mission]:
        """The missions by the hash of their config."""
        return {mission.config_hash: mission for mission in self.missions}


def merged_notes(plan: Plan) -> list[str]:
    """Notes on missions and policies that were given under several names and count once."""
    players = {policy.identity: policy for contender in plan.contenders for policy in contender.policies}
    notes = [note for mission in plan.missions for note in game_missions.merged_note(mission)]
    return notes + [note for policy in players.values() for note in game_policies.merged_note(policy)]


EPISODE_BYTES = 2_048
"""Memory that a planned episode and its record take, at least."""


def plan_episodes(
    missions: Sequence[Mission],
    contenders: Sequence[Contender],
    *,
    episodes: int,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    enforce_timeouts: int | None = None,
    slow_step_ms: float = SLOW_STEP_MS,
    series: SeriesRequest | None = None,
    engine: str = "auto",
    first: int = 0,
) -> Plan:
    """Plan episodes `first` to `episodes` − 1 of every mission for every contender. Raises `UsageError`."""
    if episodes < 1:
        raise UsageError(f"--episodes must be at least 1, got {episodes}.")
    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena.")
    if not contenders:
        raise UsageError("no policy is given. Name one with -p, for example -p starter.")
    if not 0 <= seed <= MAX_SEED - episodes:
        raise UsageError(f"--seed must be 0 to {MAX_SEED - episodes} (2^31 - 1, less the episodes), got {seed}.")
    memory.require(
        (episodes - first) * len(missions) * len(contenders) * EPISODE_BYTES,
        what=f"--episodes {episodes:,} of {len(missions)} mission(s) for {len(contenders)} contender(s)",
        way_out="Choose fewer episodes.",
    )
    planned = []
    for mission in missions:
        shuffled = [_assignments(contender, mission, episodes, seed) for contender in contenders]
        for index in range(first, episodes):
            for position, contender in enumerate(contenders):
                spec = EpisodeSpec(
                    mission=mission.name,
                    config_hash=mission.config_hash,
                    policies=contender.policies,
                    assignment=shuffled[position][index],
                    seed=seed + index,
                    max_steps=mission.max_steps,
                    device=device,
                    threads=threads,
                    enforce_timeouts=enforce_timeouts,
                    batched=_batched(contender, engine, enforce_timeouts),
                    slow_step_ms=slow_step_ms,
                    series=series,
                )
                planned.append(PlannedEpisode(index, position, spec))
    return Plan(tuple(missions), tuple(contenders), tuple(planned), seed)


def _batched(contender: Contender, engine: str, enforce_timeouts: int | None) -> bool:
    possible = batchable(contender.policies, enforce_timeouts)
    if engine == "batch" and not possible:
        why = "time-outs are enforced" if enforce_timeouts is not None else "none of its policies has a known network"
        raise UsageError(f"--engine batch can't play {contender.name}: {why}. Use --engine auto.")
    return possible and engine in ("auto", "batch")


def _assignments(contender: Contender, mission: Mission, episodes: int, seed: int) -> list[tuple[int, ...]]:
    """The assignment of every episode: agents distributed by counts, then reshuffled each time."""
    agents = mission.num_agents
    if len(contender.policies) == 1:
        return [(0,) * agents] * episodes
    counts = [int(count) for count in contender.counts]
    if sum(contender.counts) != agents:
        question = ["allocation", agents, list(contender.counts)]
        counts = answers.answer(question, list[int], lambda: allocate(agents, contender.counts))
        if any(
            count * sum(contender.counts) != share * agents
            for count, share in zip(counts, contender.counts, strict=True)
        ):
            raise UsageError(
                f"{mission.name} has {agents} agents, which {contender.name} does not fit: the numbers must add up to "
                f"{agents}, or be shares that divide it."
            )
    assignment = [index for index, count in enumerate(counts) for _ in range(count)]
    generator = random.Random(seed)
    found = []
    for _ in range(episodes):
        generator.shuffle(assignment)
        found.append(tuple(assignment))
    return found
