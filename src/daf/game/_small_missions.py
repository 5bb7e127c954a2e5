"""Three small missions that can be learned within two minutes on two CPU cores.

    training_facility_1   dig carbon and carry it to a chest
    training_facility_2   a larger hall; extractors run dry, and silicon is worth three times the carbon
    assembler_2           two agents with different drills feed one assembler, which pays both for what it makes

They consist of CoGames' and mettagrid's own parts; every map is drawn from the episode's seed. Each rewards
persistence, which random actions lack: an extractor gives one unit per bump, so staying at it pays several times as
much as bumping into it at random. Nothing may overflow an observation, since the simulator then ends the episode: at
most four agents play, and chests consume what they take, so that no object but an assembler or a finite extractor costs
more than one token (a test measures the remaining room).

Options: cogs=, max_steps= and, with variants=, those of `small_variants`.

Importing this module imports cogames.
"""

from collections.abc import Sequence
from typing import Any, Self, override

from cogames.core import CoGameMission, CoGameMissionVariant
from mettagrid.config.action_config import (
    ActionsConfig,
    AttackActionConfig,
    ChangeVibeActionConfig,
    MoveActionConfig,
    NoopActionConfig,
)
from mettagrid.config.filter import actorHas, actorHasAnyOf, targetHas
from mettagrid.config.game_value import stat
from mettagrid.config.handler_config import AnyHandler, Handler, allOf
from mettagrid.config.mettagrid_config import (
    AgentConfig,
    GameConfig,
    GridObjectConfig,
    InventoryConfig,
    MettaGridConfig,
    ResourceLimitsConfig,
    WallConfig,
)
from mettagrid.config.mutation import (
    ClearInventoryMutation,
    EntityTarget,
    deposit,
    logStatToGame,
    updateActor,
    updateTarget,
    withdraw,
)
from mettagrid.config.obs_config import GlobalObsConfig, ObsConfig
from mettagrid.config.render_config import RenderConfig
from mettagrid.config.reward_config import AgentReward, reward
from mettagrid.config.tag import typeTag
from mettagrid.map_builder.random_map import RandomMapBuilderConfig

from daf.errors import MissionError, unknown

MADE = "batteries.made"
"""The game's stat that counts what assemblers made."""

CARGO = "cargo"
"""The inventory limit shared by everything that can be dug."""

RESOURCES = ("carbon", "oxygen", "silicon")
OBJECTS = ("agent", "assembler", "chest", *(f"{name}_extractor" for name in RESOURCES), "wall")
"""The names of every mission, used or not: so a token means the same in all three, and a network or a curriculum can
move from one to another.
"""


class SmallMission(CoGameMission):
    """A hall with extractors, and places that take the dug resources.

    worth: reward for a delivered unit, by resource; an agent's loss (`carbon.lost`) is its delivery, since nothing else
    takes from it. extractors: their number, by resource. places: the number of chests or assemblers. dug: reward for a
    dug unit. cargo: units that an agent carries. stock: units in an extractor; None for one that never runs dry.
    made: reward that all agents get when an assembler combines one unit of every resource; None if chests take them.
    With assemblers, each agent has the drill of one resource only.
    """

    worth: dict[str, float]
    extractors: dict[str, int]
    places: int
    walls: int
    dug: float
    cargo: int
    stock: int | None = None
    made: float | None = None
    tokens: int = 32
    view: int = 5
    num_agents: int

    @override
    def with_variants(self, variants: Sequence[str | CoGameMissionVariant]) -> Self:
        for variant in variants:
            name = variant if isinstance(variant, str) else variant.name
            if not isinstance(variant, SmallVariant):
                own = [variant.name for variant in small_variants()]
                raise MissionError(
                    f'mission "{self.name}" takes only its own variants: {unknown("variant of it", name, own)}'
                )
        return super().with_variants(variants)

    @override
    def make_base_env(self) -> MettaGridConfig:
        resources = list(self.worth)
        place = "chest" if self.made is None else "assembler"
        objects: dict[str, Any] = {"wall": WallConfig(name="wall"), place: self._place(place)}
        objects |= {f"{name}_extractor": self._extractor(name) for name in resources}
        return MettaGridConfig(
            game=GameConfig(
                map_builder=self._map(place),
                max_steps=self.max_steps,
                num_agents=self.num_agents,
                resource_names=[*RESOURCES, *(f"{name}_drill" for name in RESOURCES)],
                tags=[typeTag(name) for name in OBJECTS],
                obs=ObsConfig(
                    width=self.view,
                    height=self.view,
                    num_tokens=self.tokens,
                    global_obs=GlobalObsConfig(
                        episode_completion_pct=False,
                        last_reward=False,
                        last_action=True,
                        last_action_move=True,
                        local_position=True,
                    ),
                ),
                actions=ActionsConfig(
                    noop=NoopActionConfig(),
                    move=MoveActionConfig(),
                    attack=AttackActionConfig(enabled=False),
                    change_vibe=ChangeVibeActionConfig(enabled=False, vibes=[]),
                ),
                agents=[self._agent(index) for index in range(self.num_agents)],
                objects=objects,
                protocol_details_obs=False,
                render=RenderConfig(symbols={"wall": "⬛", place: "📦"}),
            )
        )

    def _map(self, place: str) -> RandomMapBuilderConfig:
        builder = self.map_builder.model_copy(deep=True)
        assert isinstance(builder, RandomMapBuilderConfig)
        extractors = {f"{name}_extractor": count for name, count in self.extractors.items()}
        builder.objects = {"wall": self.walls, place: self.places, **extractors}
        builder.agents = self.num_agents
        return builder

    def _drills(self) -> list[str]:
        return [] if self.made is None else [f"{name}_drill" for name in self.worth]

    def _agent(self, index: int) -> AgentConfig:
        drills = self._drills()
        limits = {CARGO: ResourceLimitsConfig(base=self.cargo, max=self.cargo, resources=list(self.worth))}
        if drills:
            limits["gear"] = ResourceLimitsConfig(base=1, max=1, resources=drills)
        return AgentConfig(
            inventory=InventoryConfig(limits=limits, initial={drills[index % len(drills)]: 1} if drills else {}),
            rewards=self._rewards(),
        )

    def _rewards(self) -> dict[str, AgentReward]:
        rewards = {}
        for name, worth in self.worth.items():
            rewards[f"{name}_dug"] = reward(stat(f"{name}.gained"), weight=self.dug)
            rewards[f"{name}_brought"] = reward(stat(f"{name}.lost"), weight=worth)
        if self.made is not None:
            rewards["made"] = reward(stat(f"game.{MADE}"), weight=self.made)
        return rewards

    def _extractor(self, resource: str) -> GridObjectConfig:
        endless = self.stock is None
        take = updateActor({resource: 1}) if endless else withdraw({resource: 1}, remove_when_empty=True)
        return GridObjectConfig(
            name=f"{resource}_extractor",
            on_use_handler=Handler(
                name="extract",
                filters=[] if self.made is None else [actorHas({f"{resource}_drill": 1})],
                mutations=[take],
            ),
            inventory=InventoryConfig(initial={} if self.stock is None else {resource: self.stock}),
        )

    def _place(self, name: str) -> GridObjectConfig:
        resources = list(self.worth)
        loaded = [actorHasAnyOf(resources)]
        if self.made is None:
            emptied = ClearInventoryMutation(target=EntityTarget.ACTOR, limit_name=CARGO)
            return GridObjectConfig(
                name=name, on_use_handler=Handler(name="deliver", filters=loaded, mutations=[emptied])
            )
        one_each = dict.fromkeys(resources, 1)
        combine = Handler(
            name="combine",
            filters=[targetHas(one_each)],
            mutations=[updateTarget(dict.fromkeys(resources, -1)), logStatToGame(MADE)],
        )
        feed = Handler(name="feed", filters=loaded, mutations=[deposit(dict.fromkeys(resources, -1))])
        handler: AnyHandler | None = allOf([feed, *[combine] * self.cargo])
        return GridObjectConfig(
            name=name, on_use_handler=handler, inventory=InventoryConfig(default_limit=10 * self.cargo)
        )


class SmallVariant(CoGameMissionVariant):
    """A variant that only the missions of this module take."""


class SparseVariant(SmallVariant):
    """Half of the extractors, chests and assemblers."""

    name: str = "sparse"
    description: str = "training_facility_1, training_facility_2, assembler_2: half of the extractors and chests."

    @override
    def modify_env(self, mission: CoGameMission, env: MettaGridConfig) -> None:
        builder = env.game.map_builder
        assert isinstance(builder, RandomMapBuilderConfig)
        builder.objects = {
            name: count if name == "wall" else (count + 1) // 2 for name, count in builder.objects.items()
        }


class LargeVariant(SmallVariant):
    """A hall 1.5 times as wide and high, with the same number of objects."""

    name: str = "large"
    description: str = "training_facility_1, training_facility_2, assembler_2: a hall of 2.25 times the area."

    @override
    def modify_env(self, mission: CoGameMission, env: MettaGridConfig) -> None:
        builder = env.game.map_builder
        assert isinstance(builder, RandomMapBuilderConfig)
        builder.width, builder.height = builder.width * 3 // 2, builder.height * 3 // 2


class UnshapedVariant(SmallVariant):
    """No intermediate rewards: only for the last step of the work."""

    name: str = "unshaped"
    description: str = "training_facility_1, training_facility_2, assembler_2: rewards only deliveries and products."

    @override
    def modify_env(self, mission: CoGameMission, env: MettaGridConfig) -> None:
        for agent in env.game.agents:
            kept = (
                ["made"] if "made" in agent.rewards else [name for name in agent.rewards if name.endswith("_brought")]
            )
            agent.rewards = {name: agent.rewards[name] for name in kept}


def small_variants() -> list[SmallVariant]:
    """The variants of these missions."""
    return [SparseVariant(), LargeVariant(), UnshapedVariant()]


def small_missions() -> list[SmallMission]:
    """The missions, new objects each time."""
    return [
        SmallMission(
            name="training_facility_1",
            description="Dig carbon and carry it to a chest. Made to be learned within two CPU minutes.",
            map_builder=_hall(15),
            num_agents=4, num_cogs=4, max_cogs=4, max_steps=200,
            worth={"carbon": 1.0}, extractors={"carbon": 6}, places=3, walls=12,
            dug=0.1, cargo=10, tokens=40,
        ),
        SmallMission(
            name="training_facility_2",
            description="A larger hall: extractors run dry, and silicon is worth three times the carbon.",
            map_builder=_hall(19),
            num_agents=4, num_cogs=4, max_cogs=4, max_steps=250,
            worth={"carbon": 1.0, "silicon": 3.0}, extractors={"carbon": 8, "silicon": 5}, places=4, walls=14,
            dug=0.1, cargo=8, stock=20, tokens=40,
        ),
        SmallMission(
            name="assembler_2",
            description="Two agents, one with a carbon drill and one with an oxygen drill, feed one assembler.",
            map_builder=_hall(11),
            num_agents=2, num_cogs=2, min_cogs=2, max_cogs=4, max_steps=200,
            worth={"carbon": 0.2, "oxygen": 0.2}, extractors={"carbon": 4, "oxygen": 4}, places=1, walls=4,
            dug=0.1, cargo=6, made=1.0, tokens=40,
        ),
    ]  # fmt: skip


def _hall(size: int) -> RandomMapBuilderConfig:
    return RandomMapBuilderConfig(width=size, height=size, border_width=1, seed=None)
