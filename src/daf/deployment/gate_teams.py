"""The teams in which a gate compares a candidate with a reference: alone, and mixed with a frozen pool.

The candidate and the reference take the same seats on the same seeds, next to the same policies of the pool, so that
their difference on a seed comes from nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from daf.errors import UsageError, quoted
from daf.game.mission import Mission
from daf.game.scoring import Scenario, scenarios
from daf.stats.sentences import counted

_MIX = re.compile(r"(\d{1,4})\+(\d{1,4})")


@dataclass(frozen=True, slots=True)
class GateTeam:
    """A team by its seats. own: agents of the candidate, or of the reference. pool: agents of each pool policy."""

    own: int
    pool: tuple[int, ...]

    @property
    def label(self) -> str:
        """ "alone", or "2+6"."""
        return f"{self.own}+{sum(self.pool)}" if sum(self.pool) else "alone"


def teams_of(mission: Mission, pool: int, mixes: Sequence[str] | None) -> list[GateTeam]:
    """The teams of a mission, alone first. mixes: "2+6"; None for a quarter, a half and three quarters of the seats.

    pool: the number of its policies, which share their seats equally. Raises `UsageError`.
    """
    agents = mission.num_agents
    if mixes is None:
        wanted = {round(agents * share) for share in (0.25, 0.5, 0.75)}
    else:
        wanted = {_own_seats(mix, mission) for mix in mixes}
    counts = [agents, *sorted(wanted - {0, agents})] if pool else [agents]
    by_own: dict[int, Scenario] = {one.candidate: one for one in scenarios(agents, pool)} if pool else {}
    return [GateTeam(own, by_own[own].pool if pool else ()) for own in counts]


def _own_seats(mix: str, mission: Mission) -> int:
    found = _MIX.fullmatch(mix.replace(" ", ""))
    if found is None:
        raise UsageError(f"--mix {quoted(mix)} is not of the form CANDIDATE+POOL, such as 2+6.")
    own, pool = int(found[1]), int(found[2])
    if own + pool != mission.num_agents or own < 1 or pool < 1:
        raise UsageError(
            f"--mix {mix}: {mission.name} has {counted(mission.num_agents, 'agent')}; both numbers must be at least 1 "
            f"and add up to {mission.num_agents}."
        )
    return own
