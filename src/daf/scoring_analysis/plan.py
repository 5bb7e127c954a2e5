"""The episodes of a score: teams of N, N-1, … 0 agents of the candidate, the rest from the pool."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daf.episodes.plan import Plan
from daf.errors import UsageError
from daf.game import mission_files, scoring
from daf.game.mission import Mission
from daf.game.policy import Policy
from daf.game.scoring import Scenario
from daf.playing.contenders import team
from daf.playing.planning import plan_teams
from daf.playing.settings import Settings


def pickup_settings(settings: Settings | None = None) -> Settings:
    """`settings` with the defaults of `cogames pickup`: seed 50, 1 episode, 250 ms for an action."""
    return replace(
        settings or Settings(),
        episodes=scoring.PICKUP_EPISODES,
        seed=scoring.PICKUP_SEED,
        enforce_timeouts=scoring.PICKUP_TIMEOUT_MS,
    )


def check_agents(mission: Mission, pool: int) -> None:
    if mission.num_agents < max(pool, 1):
        raise UsageError(
            f"{mission.name} has {mission.num_agents} agents, fewer than the {pool} policies of the pool: some "
            "would never "
            "play. Name fewer policies with --pool, or use more agents with -m "
            f"{mission_files.split(mission.name)[0]},cogs={pool}."
        )


def plan_score(
    missions: Sequence[Mission], players: Sequence[Policy], settings: Settings, as_pickup: bool
) -> tuple[Plan, dict[str, dict[str, Scenario]]]:
    """The plan, and by mission and contender the scenario that it is."""
    teams: dict[str, dict[str, Scenario]] = {}
    contenders = []
    for mission in missions:
        there = scoring.scenarios(mission.num_agents, len(players) - 1)
        named = {team(players, (scenario.candidate, *scenario.pool)): scenario for scenario in there}
        contenders.append(list(named))
        teams[mission.name] = {contender.name: scenario for contender, scenario in named.items()}
    plan = plan_teams(missions, contenders, settings)
    return (_as_pickup(plan, teams, settings) if as_pickup else plan), teams


def _as_pickup(plan: Plan, teams: Mapping[str, Mapping[str, Scenario]], settings: Settings) -> Plan:
    """`plan` with the seats that pickup's generator draws."""
    drawn = {
        mission: dict(
            zip(
                there,
                scoring.pickup_assignments(list(there.values()), episodes=settings.episodes, seed=settings.seed),
                strict=True,
            )
        )
        for mission, there in teams.items()
    }
    episodes = []
    for planned in plan.episodes:
        name = plan.contenders[planned.contender].name
        scenario = teams[planned.spec.mission][name]
        there = [index for index, count in enumerate((scenario.candidate, *scenario.pool)) if count]
        seats = tuple(there.index(index) for index in drawn[planned.spec.mission][name][planned.index])
        episodes.append(replace(planned, spec=replace(planned.spec, assignment=seats)))
    return replace(plan, episodes=tuple(episodes))
