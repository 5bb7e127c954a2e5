"""One played episode over time: each agent's inventory, position and actions at the sampled steps, and its role.

Times are known to the sampling interval: an event is seen at the first sample after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from daf.episodes.record import EpisodeRecord
from daf.errors import DataError
from daf.game import mission_facts
from daf.game.mission import Mission
from daf.game.outcome import Series, SeriesRequest

NO_GEAR = "no gear"
SAMPLES = 200
"""Approximate number of samples per episode, at least 10 steps apart."""
_GOAL = "goal.reached"


@dataclass(frozen=True)
class Rules:
    """The parts of a mission's config that the analysis uses.

    gear: the roles. goods: what can be gathered. energy: cost of a step, 0 for none. events: agents' counters that the
    mission's rules define in addition to its inventory. aligning: the reward pays for aligned junctions.
    """

    gear: tuple[str, ...]
    goods: tuple[str, ...]
    energy: float
    items: tuple[str, ...]
    events: tuple[str, ...]
    teams: tuple[str, ...]
    team_of: tuple[str | None, ...]
    junctions: bool
    aligning: bool


def rules_of(mission: Mission) -> Rules:
    """Read a mission's config."""
    game = mission_facts.config_of(mission)["game"]
    counted = mission_facts.stat_strings(mission)["agent"]
    items = tuple(game["resource_names"])
    of_items = {f"{item}.{what}" for item in items for what in ("gained", "lost", "amount")}
    skipped = ("action.", "cell.", "status.", "goal.steps")
    return Rules(
        gear=tuple(mission_facts.roles(mission)),
        goods=tuple(mission_facts.gatherable(mission)),
        energy=float(mission_facts.move_cost(mission).get("energy", 0.0)),
        items=items,
        events=tuple(sorted(name for name in counted - of_items if not name.startswith(skipped))),
        teams=tuple(mission_facts.teams(mission)),
        team_of=tuple(mission_facts.team_of_agents(mission)),
        junctions="junction" in game["objects"],
        aligning=any(
            term.teams or ("agent", "junction.aligned_by_agent") in term.stats
            for term in mission_facts.reward_terms(mission)
        ),
    )


def series_for(mission: Mission, *, interval: int | None = None) -> SeriesRequest:
    """The series that `Watched` needs."""
    rules = rules_of(mission)
    agent = [f"{gear}.{what}" for gear in rules.gear for what in ("amount", "gained")]
    agent += [f"{good}.{what}" for good in rules.goods for what in ("gained", "lost")]
    agent += [f"{item}.{what}" for item, what in (("heart", "gained"), ("energy", "amount")) if item in rules.items]
    agent += ["death"] if "hp" in rules.items else []
    agent += rules.events
    game = [f"{team}/aligned.junction.held" for team in rules.teams if rules.junctions]
    game += [f"{team}/{good}.deposited" for team in rules.teams for good in rules.goods]
    steps = max(1, min(mission.max_steps, max(10, mission.max_steps // SAMPLES)))
    if mission.max_steps < 10 * SAMPLES // 4:
        steps = max(1, mission.max_steps // 50)
    return SeriesRequest(interval or steps, tuple(dict.fromkeys(game)), tuple(dict.fromkeys(agent)), positions=True)


class Watched:
    """An episode whose record has the series of `series_for`. Raises `DataError` if it has none."""

    def __init__(self, record: EpisodeRecord, rules: Rules) -> None:
        outcome = record.played
        if outcome.series is None:
            raise DataError(f"the episode {record.spec.key[:12]} has no time series; repeat the analysis.")
        self.record, self.rules, self.outcome = record, rules, outcome
        self.samples: Series = outcome.series
        self.agents = range(len(record.spec.assignment))
        self.steps: NDArray[np.int64] = np.array(self.samples.steps, dtype=np.int64)

    def final(self, agent: int, name: str) -> float:
        """A counter of the agent at the end; 0 if it never changed."""
        return float(self.outcome.agent_stats[agent].get(name, 0.0))

    def total(self, agent: int, names: Sequence[str]) -> float:
        """The agent's counters at the end, summed up."""
        return sum(self.final(agent, name) for name in names)

    def over_time(self, agent: int, name: str) -> NDArray[np.float64]:
        """(samples,): a counter of the agent over time."""
        sampled = (
            self.samples.agents[agent] if self.samples.agents else {}
        )  # an episode may end before its first sample
        return np.array(sampled.get(name, (0.0,) * len(self.steps)), dtype=np.float64)

    def team_over_time(self, name: str) -> NDArray[np.float64]:
        """(samples,): one of the game's counters over time."""
        return np.array(self.samples.game.get(name, (0.0,) * len(self.steps)), dtype=np.float64)

    def places(self, agent: int) -> NDArray[np.int64]:
        """(samples, 2): row and column of the agent."""
        return np.array([at[agent] for at in self.samples.positions], dtype=np.int64).reshape(-1, 2)

    def first(self, agent: int, name: str) -> int | None:
        """The first sampled step at which the counter has changed; the last step if only the end shows it."""
        moved = np.flatnonzero(self.over_time(agent, name) > 0)
        if moved.size:
            return int(self.steps[moved[0]])
        return self.outcome.steps if self.final(agent, name) > 0 else None

    def done(self, agent: int) -> int | None:
        """The step at which the agent reached its goal, if the mission has one: it may stand still from then on."""
        return self.first(agent, _GOAL) if _GOAL in self.rules.events else None

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Per agent the gear it held longest, by samples; else the last that it took; else `NO_GEAR`."""
        found = []
        for agent in self.agents:
            held = {gear: int((self.over_time(agent, f"{gear}.amount") > 0).sum()) for gear in self.rules.gear}
            taken = [gear for gear in self.rules.gear if self.final(agent, f"{gear}.gained") > 0]
            longest = max(held, key=lambda gear: held[gear]) if held else None
            if longest is not None and held[longest]:
                found.append(longest)
            else:
                found.append(taken[-1] if taken else NO_GEAR)
        return tuple(found)

    def agents_of(self, policy: int | None = None) -> list[int]:
        """The agents of one of the episode's policies, or all."""
        return list(self.agents) if policy is None else self.record.agents_of(policy)
