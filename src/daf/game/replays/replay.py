"""An episode as a replay file describes it: objects on a map, and the value of each field at every step.

Steps count from 0: the state at step t is the one after t + 1 steps were played, as mettagrid writes it. The state
before the first step is in no replay. Fields are decoded on first access; the errors for a wrong one name file and
field.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from daf.game.replays._errors import ReplayError
from daf.game.replays._series import Amounts, Field, FieldValues

TEAM_TAG = "team:"
TYPE_PREFIX = "c:"
GEAR = ("aligner", "miner", "scout", "scrambler")
"""An agent that carries one of these items plays that role."""


_FIELDS = (
    "action_id", "action_param", "action_success", "agent_id", "alive", "animation_id", "collective_id", "color",
    "conversion_duration", "conversion_remaining", "cooldown_duration", "cooldown_remaining", "current_reward",
    "freeze_duration", "freeze_remaining", "group_id", "id", "input_resources", "inventory", "inventory_capacities",
    "inventory_max", "is_agent", "is_converting", "is_cooling_down", "is_frozen", "is_swappable", "location",
    "monologue_append", "monologue_reset", "orientation", "output_limit", "output_resources", "policy_infos", "tag_ids",
    "talk_remaining_steps", "talk_text", "total_reward", "type_id", "type_name", "vibe", "vibe_id", "vision_size",
)  # fmt: skip
"""All fields that mettagrid's writer knows, of any version. Others are skipped: a file may have millions."""

_Fields = msgspec.defstruct(
    "_Fields", [(name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for name in _FIELDS], gc=False
)


@dataclass(frozen=True, slots=True)
class ReplayedEpisode:
    """What the objects of one replay share. file: for errors. size: of the map, in cells. type_names: by number."""

    file: str
    size: tuple[int, int]
    steps: int
    type_names: tuple[str, ...]


class ReplayObject:
    """A wall, a building or an agent. Each field is read on first access, and then kept.

    text: its JSON. position: its place in the file's list of objects.
    """

    def __init__(self, text: msgspec.Raw, episode: ReplayedEpisode, position: int) -> None:
        self._text, self._episode, self._position = text, episode, position

    @property
    def where(self) -> str:
        """Its place in the file, for errors."""
        return f"{self._episode.file}: objects[{self._position}]"

    @property
    def steps(self) -> int:
        """The episode's."""
        return self._episode.steps

    @cached_property
    def fields(self) -> Mapping[str, msgspec.Raw]:
        """Each field's JSON text, by name. Raises `ReplayError` if it is not an object."""
        try:
            found = msgspec.json.decode(self._text, type=_Fields)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ReplayError(f"{self.where}: {error}.") from error
        values = ((name, getattr(found, name)) for name in _FIELDS)
        return {name: value for name, value in values if value is not msgspec.UNSET}

    @cached_property
    def _numbers(self) -> dict[str, FieldValues[Any]]:
        return {}

    def field(self, name: str) -> Field:
        """The field `name`. Raises `ReplayError` if this object has none."""
        if name not in self.fields:
            raise ReplayError(f"{self.where}: has no {name}.")
        return Field(self.fields[name], f"{self.where}.{name}", self.steps)

    @cached_property
    def id(self) -> int:
        """The simulator's number for it."""
        return int(self.field("id").numbers(int).at(0))

    @cached_property
    def type(self) -> str:
        """Its type: agent, wall, hub, junction, …; version 3 wrote some with "c:" before the name."""
        if "type_name" in self.fields:
            return self.field("type_name").texts().at(0).removeprefix(TYPE_PREFIX)
        number, names = int(self.field("type_id").numbers(int).at(0)), self._episode.type_names
        if not 0 <= number < len(names):
            raise ReplayError(f"{self.where}.type_id: must be 0 to {len(names) - 1}, got {number}.")
        return names[number].removeprefix(TYPE_PREFIX)

    @cached_property
    def agent_id(self) -> int | None:
        """The agent's number, None for other objects."""
        return int(self.field("agent_id").numbers(int).at(0)) if "agent_id" in self.fields else None

    @cached_property
    def location(self) -> FieldValues[Any]:
        """(x, y), in cells from the upper left."""
        return self.field("location").places(*self._episode.size)

    @cached_property
    def inventory(self) -> FieldValues[Amounts]:
        """(item's number, amount) pairs."""
        return self.field("inventory").amounts() if "inventory" in self.fields else self.always(())

    @cached_property
    def capacities(self) -> FieldValues[Amounts]:
        """(capacity's number, limit) pairs, by the replay's `capacity_names`; version 4 has them."""
        known = "inventory_capacities" in self.fields
        return self.field("inventory_capacities").amounts() if known else self.always(())

    @cached_property
    def alive(self) -> FieldValues[Any]:
        """Whether it is on the map."""
        return self.field("alive").numbers(bool) if "alive" in self.fields else self.always(True)

    @cached_property
    def tags(self) -> FieldValues[tuple[int, ...]]:
        """Numbers of its tags (version 4)."""
        return self.field("tag_ids").sets() if "tag_ids" in self.fields else self.always(())

    def number(self, name: str, *, absent: float = 0) -> FieldValues[Any]:
        """A numeric field such as `total_reward`, `action_id`, `vibe_id`; `absent` if the file lacks it."""
        if name not in self.fields:
            return self.always(absent)
        if name not in self._numbers:
            self._numbers[name] = self.field(name).numbers(float if name.endswith("reward") else int)
        return self._numbers[name]

    def truth(self, name: str, *, absent: bool) -> FieldValues[Any]:
        """A field that is true or false, such as `action_success`."""
        if name not in self.fields:
            return self.always(absent)
        if name not in self._numbers:
            self._numbers[name] = self.field(name).numbers(bool)
        return self._numbers[name]

    def policy_infos(self) -> FieldValues[Any]:
        """The infos that the policy reported, a JSON object per step; decoded at each call, because it may be large."""
        return self.field("policy_infos").anything() if "policy_infos" in self.fields else self.always({})

    def copy(self) -> "ReplayObject":
        """The same object, with nothing decoded."""
        return ReplayObject(self._text, self._episode, self._position)

    @staticmethod
    def always(value: Any) -> FieldValues[Any]:
        """`value` at every step."""
        import numpy as np

        return FieldValues(np.zeros(1, np.int32), (value,))


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One object at one step. team: its name, None if it has none. inventory: amounts by item."""

    id: int
    type: str
    x: int
    y: int
    alive: bool
    team: str | None
    inventory: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AgentState(ObjectState):
    """One agent at one step. role: its gear, "agent" without any. action: what it did in that step."""

    agent_id: int
    role: str
    action: str
    action_success: bool
    vibe: str
    reward: float
    total_reward: float


@dataclass(frozen=True, slots=True)
class ReplayState:
    """Everything on the map at one step."""

    step: int
    objects: tuple[ObjectState, ...]
    agents: tuple[AgentState, ...]


@dataclass(frozen=True, eq=False)
class Replay:
    """An episode. width, height: cells. steps: played. mission: the config's label. infos: the episode's stats.

    objects: everything, in the file's order; agents: those of them that are agents, by number.
    """

    path: Path
    version: int
    mission: str | None
    action_names: tuple[str, ...]
    item_names: tuple[str, ...]
    capacity_names: tuple[str, ...]
    vibe_names: tuple[str, ...]
    collective_names: tuple[str, ...]
    tag_names: Mapping[int, str]
    width: int
    height: int
    steps: int
    objects: tuple[ReplayObject, ...] = field(repr=False)
    agents: tuple[ReplayObject, ...] = field(repr=False)
    infos: Mapping[str, Mapping[str, Any]] = field(repr=False)
    size_bytes: int
    text_bytes: int

    @cached_property
    def types(self) -> dict[str, int]:
        """The number of objects of each type, the most frequent first."""
        return dict(Counter(thing.copy().type for thing in self.objects).most_common())

    @property
    def seed(self) -> int | None:
        """The episode's seed, if the file has it."""
        found = self.infos.get("attributes", {}).get("seed")
        return found if isinstance(found, int) else None

    def check_step(self, step: int) -> int:
        """`step`, if the episode has it. Raises `ReplayError`."""
        if not 0 <= step < self.steps:
            raise ReplayError(f"{self.path}: no step {step}; it has {self.steps} steps, 0 to {self.steps - 1}.")
        return step

    def check_agent(self, agent: int) -> int:
        """`agent`, if the episode has one of that number. Raises `ReplayError`."""
        if not 0 <= agent < len(self.agents):
            raise ReplayError(f"{self.path}: no agent {agent}; it has {len(self.agents)}, 0 to {len(self.agents) - 1}.")
        return agent

    def at(self, step: int) -> ReplayState:
        """The state at `step`, 0 to steps - 1. Raises `ReplayError`."""
        self.check_step(step)
        agents = tuple(self.agent_at(agent, step) for agent in range(len(self.agents)))
        by_id = {agent.id: agent for agent in agents}
        return ReplayState(step, tuple(by_id.get(o.id) or self._object_at(o, step) for o in self.objects), agents)

    def agent_at(self, agent: int, step: int) -> AgentState:
        """One agent at `step`. Raises `ReplayError`."""
        self.check_step(step)
        thing = self.agents[self.check_agent(agent)]
        action = int(thing.number("action_id").at(step))
        vibe = int(thing.number("vibe_id").at(step))
        base = self._object_at(thing, step)
        return AgentState(
            base.id, base.type, base.x, base.y, base.alive, base.team, base.inventory,
            agent_id=agent,
            role=role(base.inventory),
            action=named(self.action_names, action),
            action_success=bool(thing.truth("action_success", absent=True).at(step)),
            vibe=named(self.vibe_names, vibe) if self.vibe_names else "default",
            reward=float(thing.number("current_reward").at(step)),
            total_reward=float(thing.number("total_reward").at(step)),
        )  # fmt: skip

    def team_series(self, thing: ReplayObject) -> FieldValues[str | None]:
        """The name of `thing`'s team at every step, None while it has none."""
        if "tag_ids" in thing.fields:
            return FieldValues(thing.tags.steps, tuple(self._tagged(tags) for tags in thing.tags.values))
        if "collective_id" in thing.fields:
            found = thing.number("collective_id")
            return FieldValues(found.steps, tuple(self._collective(int(number)) for number in found.values))
        return ReplayObject.always(None)

    def items(self, amounts: Amounts) -> dict[str, int]:
        """`amounts` by the items' names."""
        return {named(self.item_names, item): amount for item, amount in amounts}

    def final_rewards(self) -> tuple[float, ...]:
        """Each agent's return, by agent."""
        return tuple(float(agent.number("total_reward").at(max(self.steps - 1, 0))) for agent in self.agents)

    def check(self) -> None:
        """Decode every field of every object, so that a wrong one is found now. Raises `ReplayError`."""
        for thing in (each.copy() for each in self.objects):  # so that decoded fields of a million walls are freed
            _ = (thing.id, thing.type, thing.location, thing.inventory, thing.alive, self.team_series(thing))
        for agent in self.agents:
            for name in ("total_reward", "current_reward", "action_id", "vibe_id"):
                agent.number(name)
            agent.truth("action_success", absent=True)
            agent.policy_infos()

    def _object_at(self, thing: ReplayObject, step: int) -> ObjectState:
        x, y = thing.location.at(step)
        return ObjectState(
            thing.id, thing.type, int(x), int(y), bool(thing.alive.at(step)),
            self.team_series(thing).at(step), self.items(thing.inventory.at(step)),
        )  # fmt: skip

    def _tagged(self, tags: tuple[int, ...]) -> str | None:
        names = (self.tag_names.get(tag, "") for tag in tags)
        return next((name.removeprefix(TEAM_TAG) for name in names if name.startswith(TEAM_TAG)), None)

    def _collective(self, number: int) -> str | None:
        if number < 0:
            return None
        return self.collective_names[number] if number < len(self.collective_names) else f"team {number}"


def role(inventory: Mapping[str, int]) -> str:
    """The role that an inventory gives an agent: its gear, "agent" without any."""
    return next((name for name in GEAR if inventory.get(name, 0) > 0), "agent")


def named(names: tuple[str, ...], number: int) -> str:
    """The name with that number, "#7" if the file has no name for it."""
    return names[number] if 0 <= number < len(names) and names[number] else f"#{number}"
