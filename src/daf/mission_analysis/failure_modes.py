"""How the episodes of a policy fail: how often, which agents, the evidence in numbers, and an example to watch.

An agent that never moves gets only that mode: its other failures follow from it. The modes are defined in
`daf.mission_analysis.failure_signs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from daf.mission_analysis.failure_signs import MODES, Mode, never_moves
from daf.mission_analysis.success import Criterion
from daf.mission_analysis.watching import Watched


@dataclass(frozen=True, slots=True)
class Sighting:
    """A mode seen in one episode. role: the agent's, None for the whole team."""

    mode: Mode
    agent: int | None
    role: str | None
    evidence: str
    watched: Watched


@dataclass(frozen=True, slots=True)
class Example:
    """The example episode. step: None if the mode concerns the whole episode. replay: in the run directory."""

    seed: int
    agent: int | None
    key: str
    evidence: str
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class FailureMode:
    """A mode over all episodes of one policy on one mission.

    episodes, of_episodes: in how many it was seen. agents, of_agents: how many agents, summed over episodes; None for
    modes of whole teams. by_role: per role (seen, agents of that role). by_policy: per policy of a mixed team
    (seen, its agents); empty if one policy plays alone.
    """

    name: str
    title: str
    what: str
    episodes: int
    of_episodes: int
    agents: int | None
    of_agents: int
    by_role: dict[str, tuple[int, int]]
    by_policy: dict[str, tuple[int, int]]
    example: Example

    @property
    def share(self) -> float:
        """The share of agents for modes of agents, else of episodes."""
        if self.agents is None:
            return self.episodes / self.of_episodes
        return self.agents / self.of_agents


def failure_modes(watched: Sequence[Watched], criterion: Criterion | None) -> list[FailureMode]:
    """The modes that these episodes of one policy on one mission show, the most common first."""
    seen: dict[str, list[Sighting]] = {}
    for one in watched:
        still = {agent for agent, _ in never_moves(one, criterion)}
        for mode in MODES:
            for agent, evidence in mode.look(one, criterion):
                if agent in still and mode.name != "never_moves":
                    continue
                role = one.roles[agent] if agent is not None else None
                seen.setdefault(mode.name, []).append(Sighting(mode, agent, role, evidence, one))
    roles = [role for one in watched for role in one.roles]
    players = [_player(one, agent) for one in watched for agent in one.agents]
    found = []
    for sightings in seen.values():
        mode, first = sightings[0].mode, sightings[0]
        by_role = _shares([sighting.role for sighting in sightings if sighting.role is not None], roles)
        seen_of = [_player(sighting.watched, sighting.agent) for sighting in sightings if sighting.agent is not None]
        by_policy = _shares(seen_of, players) if len(set(players)) > 1 else {}
        spec = first.watched.record.spec
        found.append(
            FailureMode(
                name=mode.name,
                title=mode.title,
                what=mode.what,
                episodes=len({sighting.watched.record.spec.key for sighting in sightings}),
                of_episodes=len(watched),
                agents=None if mode.of_team else len(sightings),
                of_agents=len(roles),
                by_role=by_role,
                by_policy=by_policy,
                example=Example(spec.seed, first.agent, spec.key, first.evidence),
            )
        )
    return sorted(found, key=lambda mode: -mode.share)


def _shares(seen: Sequence[str], of: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Per name that was seen: how often, and out of how many."""
    return {name: (seen.count(name), of.count(name)) for name in dict.fromkeys(of) if name in seen}


def _player(w: Watched, agent: int) -> str:
    policies = w.record.spec.policies
    return policies[w.record.spec.assignment[agent]].name if policies else ""
