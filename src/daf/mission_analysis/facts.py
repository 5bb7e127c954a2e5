"""The facts of a mission that its config states, for people and as JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daf.errors import MissionError
from daf.game import mission_facts, mission_files
from daf.game import missions as game_missions
from daf.game.mission import Mission
from daf.game.mission_facts import RewardTerm
from daf.mission_analysis._recorded import RecordedSuccess
from daf.mission_analysis.performance import MissionPerformance
from daf.mission_analysis.success import default_criterion


@dataclass(frozen=True)
class MissionAnalysis:
    """The facts of a mission, and how policies perform on it if any played.

    cogs_range: (least, most) agents, None for a custom config. map_size: (rows, columns) if the builder states it.
    objects: kinds on the map. variants: the game's that can be built with this mission, with their descriptions.
    observation: tokens an agent gets and the cells it sees. start, limits: of an agent's inventory.
    criterion: of success by default. problem: why it cannot run, None if it can. performance: one row per policy.
    recorded: results of policies in earlier runs, by that criterion.
    """

    name: str
    game: str | None
    description: str
    agents: int
    cogs_range: tuple[int, int] | None
    max_steps: int
    map_builder: str
    map_size: tuple[int, int] | None
    map_seed: int | None
    resources: tuple[str, ...]
    objects: tuple[str, ...]
    teams: tuple[str, ...]
    opponents: tuple[str, ...]
    roles: tuple[str, ...]
    gatherable: tuple[str, ...]
    variants: Mapping[str, str]
    reward_terms: tuple[RewardTerm, ...]
    criterion: str | None
    observation_tokens: int
    view: tuple[int, int]
    actions: tuple[str, ...]
    vibes: tuple[str, ...]
    move_cost: Mapping[str, float]
    start: Mapping[str, float]
    limits: Mapping[str, str]
    metrics: tuple[str, ...]
    config_hash: str
    problem: str | None
    performance: tuple[MissionPerformance, ...] = ()
    recorded: tuple[RecordedSuccess, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """The rate of the policy that succeeds most, now or, if none was played now, in earlier runs.

        None without episodes, and without a criterion.
        """
        rates = [row.success_rate for row in self.performance if row.success_rate is not None]
        rates = rates or [row.rate for row in self.recorded]
        return max(rates) if rates else None

    @property
    def size(self) -> str:
        """The map's size as text."""
        return f"{self.map_size[0]} × {self.map_size[1]}" if self.map_size else "set by the map file"


def analysis_of(mission: Mission, performance: tuple[MissionPerformance, ...] = ()) -> MissionAnalysis:
    """Read a mission's config."""
    known = game_missions.facts(mission)
    config = mission_facts.config_of(mission)["game"]
    game = mission.game
    base = mission_files.split(mission.name)[0]
    entry = next((e for e in game_missions.catalogue(game) if e.name == base), None) if game else None
    inventory = mission_facts.agents_of(mission)[0]["inventory"]
    wanted = default_criterion(mission)
    size = known["map_size"]
    return MissionAnalysis(
        name=mission.name,
        game=game,
        description=entry.description if entry else "",
        agents=mission.num_agents,
        cogs_range=(entry.min_cogs, entry.max_cogs) if entry else None,
        max_steps=mission.max_steps,
        map_builder=known["map_builder"],
        map_size=(int(size[1]), int(size[0])) if size else None,
        map_seed=known["map_seed"],
        resources=tuple(known["resources"]),
        objects=tuple(known["objects"]),
        teams=tuple(mission_facts.teams(mission)),
        opponents=tuple(mission_facts.opponents(mission)),
        roles=tuple(mission_facts.roles(mission)),
        gatherable=tuple(mission_facts.gatherable(mission)),
        variants=game_missions.variants(game) if game else {},
        reward_terms=tuple(mission_facts.reward_terms(mission)),
        criterion=wanted.text if wanted else None,
        observation_tokens=known["observation_tokens"],
        view=(int(known["view"][1]), int(known["view"][0])),
        actions=tuple(known["actions"]),
        vibes=tuple(config["vibe_names"]),
        move_cost=mission_facts.move_cost(mission),
        start={item: float(amount) for item, amount in inventory["initial"].items()},
        limits={name: _limit(limit) for name, limit in inventory["limits"].items()},
        metrics=tuple(mission_facts.possible_stats(mission)),
        config_hash=mission.config_hash,
        problem=_problem(mission),
        performance=performance,
    )


def _limit(limit: Mapping[str, Any]) -> str:
    more = ", ".join(f"+{amount:g} with {item}" for item, amount in limit["modifiers"].items())
    return f"{limit['base']:g}" + (f" ({more})" if more else "")


def _problem(mission: Mission) -> str | None:
    try:
        game_missions.check_runs(mission)
    except MissionError as error:
        return str(error)
    return None
