"""The result of one played episode: the reproducible part, and the measured part.

`Outcome` holds what follows from (mission, policies, assignment, seed) alone; equal episodes give equal outcomes, to
the bit. `Latencies` depend on the machine and on the moment, and never enter a comparison.
"""

from dataclasses import dataclass, field

Positions = tuple[tuple[int, int], ...]
"""(row, column) of every agent."""


SLOW_STEP_MS = 250
"""Milliseconds above which CoGames' own evaluation replaces a step by noop; such steps are always counted."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Wall-clock time that one policy's steps took, over all its agents.

    count: steps measured. total_ns, max_ns: nanoseconds in all, and of the slowest step. slow: steps slower than the
    episode's `slow_step_ms` (`SLOW_STEP_MS` where the caller names none).
    """

    count: int = 0
    total_ns: int = 0
    max_ns: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """What to sample. interval: steps between samples, >= 1. game, agent: names of stats. positions: of every agent."""

    interval: int
    game: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    positions: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Named values over the episode, sampled every `interval` steps (after step `interval`, 2·`interval`, …).

    steps: the sampled steps. game: a value per sampled step for each game stat. agents: the same per agent and stat;
    a stat that has not occurred yet is 0. positions: per sampled step, (row, column) of each agent.
    """

    interval: int
    steps: tuple[int, ...]
    game: dict[str, tuple[float, ...]]
    agents: tuple[dict[str, tuple[float, ...]], ...]
    positions: tuple[Positions, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An episode's result.

    rewards: return of each agent, summed over the episode. steps: steps played. game_stats, agent_stats: the
    simulator's counters at the end. time_averaged_game_stats: each game stat's mean over all steps. timeouts: per
    agent, the number of steps that exceeded the enforced time limit. latencies: per policy, measured, never compared.
    """

    rewards: tuple[float, ...]
    steps: int
    game_stats: dict[str, float]
    agent_stats: tuple[dict[str, float], ...]
    time_averaged_game_stats: dict[str, float]
    timeouts: tuple[int, ...]
    latencies: tuple[Latencies, ...] = field(compare=False, default=())
    series: Series | None = None


def first_difference(first: Outcome, again: Outcome) -> str:
    """The first part in which two outcomes differ, for people."""
    if first.rewards != again.rewards:
        return f"rewards {list(first.rewards)[:4]} and {list(again.rewards)[:4]}"
    for agent, (a, b) in enumerate(zip(first.agent_stats, again.agent_stats, strict=True)):
        for name in sorted({**a, **b}):
            if a.get(name) != b.get(name):
                return f"agent {agent}'s {name} is {a.get(name)} and {b.get(name)}"
    return "game stats differ"
