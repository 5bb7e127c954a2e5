"""The visible parts of a replay at the steps that are drawn.

`agents_over(replay, steps)` samples everything visible of the agents as arrays, window by window, so that a long
episode is never in memory as values per step. `building_changes` lists when buildings change their appearance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.game.replays import FieldValues, Replay, ReplayObject
from daf.game.sprites import DIRECTIONS, ROLES

WINDOW = 512
"""Steps sampled at once, unless there are too many agents for that."""

MOST_SAMPLES = 1 << 17
"""Maximum of steps times agents sampled at once."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Agents:
    """The visible state of the agents, as arrays (steps, agents).

    x, y: cells. alive. role, facing: positions in `ROLES` and `DIRECTIONS`. vibe, action: the file's numbers. failed:
    the action had no effect. hp, energy: amounts; hp_most, energy_most: the agent's capacity according to the file, or
    else the largest amount that any agent ever holds. reward: the return so far.
    """

    x: Ints
    y: Ints
    alive: Ints
    role: Ints
    facing: Ints
    vibe: Ints
    action: Ints
    failed: Ints
    hp: Ints
    energy: Ints
    hp_most: Ints
    energy_most: Ints
    reward: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Building:
    """A building's appearance from a step on. depleted: had stock at first and has none now. gone: no longer there."""

    step: int
    number: int
    type: str
    x: int
    y: int
    team: str | None
    depleted: bool
    gone: bool


class AgentSampler:
    """Each agent's visible series, ready to be sampled."""

    def __init__(self, replay: Replay) -> None:
        self._columns: dict[str, list[tuple[NDArray[np.int32], NDArray[Any]]]] = {}
        items = {name: number for number, name in enumerate(replay.item_names)}
        limits = {name: number for number, name in enumerate(replay.capacity_names)}
        self._most = {name: _most(replay, items.get(name, -1)) for name in ("hp", "energy")}
        gear = [items.get(name, -1) for name in ROLES]
        for agent in replay.agents:
            places = np.asarray(agent.location.values)
            self._keep("x", agent.location.steps, places[:, 0])
            self._keep("y", agent.location.steps, places[:, 1])
            self._keep("facing", *_facing(agent))
            stock = agent.inventory
            room = agent.capacities
            for name in ("hp", "energy"):
                self._keep(name, stock.steps, _amounts(stock, items.get(name, -1), 0))
                self._keep(f"{name}_most", room.steps, _amounts(room, limits.get(name, -1), self._most[name]))
            self._keep("role", stock.steps, _roles(stock, gear))
            for name, series in (
                ("alive", agent.alive),
                ("vibe", agent.number("vibe_id")),
                ("action", agent.number("action_id")),
                ("failed", agent.truth("action_success", absent=True)),
                ("reward", agent.number("total_reward")),
            ):
                values = np.asarray(series.values)
                self._keep(name, series.steps, ~values.astype(np.bool_) if name == "failed" else values)

    def at(self, steps: Ints) -> Agents:
        """The agents at `steps`."""
        return Agents(**{name: self._sample(name, steps) for name in Agents.__dataclass_fields__})

    def changes(self, name: str, agent: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """(steps, values) of one of the fields of `Agents`, for one agent."""
        return self._columns[name][agent]

    def _keep(self, name: str, steps: NDArray[np.int32], values: NDArray[Any]) -> None:
        self._columns.setdefault(name, []).append((steps, values))

    def _sample(self, name: str, steps: Ints) -> NDArray[Any]:
        kind = np.float64 if name == "reward" else np.int64
        columns = self._columns.get(name, [])
        found = np.zeros((len(steps), len(columns)), kind)
        for number, (changes, values) in enumerate(columns):
            found[:, number] = values[np.searchsorted(changes, steps, side="right") - 1]
        return found


def agents_over(replay: Replay, steps: range) -> Iterator[tuple[range, Agents]]:
    """Windows of `steps` with the agents at each of them."""
    sampler = AgentSampler(replay)
    length = max(min(WINDOW, MOST_SAMPLES // max(len(replay.agents), 1)), 1)
    for first in range(0, len(steps), length):
        window = steps[first : first + length]
        yield window, sampler.at(np.arange(window.start, window.stop, window.step))


def building_changes(replay: Replay) -> list[Building]:
    """Every building's initial appearance and each later change of it; by step."""
    found: list[Building] = []
    for number, thing in enumerate(replay.objects):
        if thing.agent_id is None and thing.type != "wall":
            found += _looks(replay, thing, number)
    return sorted(found, key=lambda state: (state.step, state.number))


def _looks(replay: Replay, thing: ReplayObject, number: int) -> Iterator[Building]:
    teams, stock = replay.team_series(thing), thing.inventory
    mined = "extractor" in thing.type
    series: list[FieldValues[Any]] = [thing.location, thing.alive, teams, *([stock] if mined else [])]
    before = None
    for step in sorted({step for one in series for step in one.steps.tolist()}):
        x, y = thing.location.at(step)
        depleted = mined and bool(stock.at(0)) and not stock.at(step)
        state = (int(x), int(y), teams.at(step), depleted, not thing.alive.at(step))
        if state != before:
            yield Building(step, number, thing.type, *state)
            before = state


def _facing(agent: ReplayObject) -> tuple[NDArray[np.int32], Ints]:
    """The direction an agent faces: that of its last move, or the file's orientations if it has them (version 2)."""
    orientation = agent.number("orientation")
    if len(orientation) > 1:
        return orientation.steps, np.asarray(orientation.values).astype(np.int64) % len(DIRECTIONS)
    moves = np.diff(np.asarray(agent.location.values), axis=0)
    down = DIRECTIONS.index("s")
    found = np.full(len(agent.location), down, np.int64)
    found[1:] = np.select([moves[:, 0] < 0, moves[:, 0] > 0, moves[:, 1] < 0], [2, 3, 0], down)
    return agent.location.steps, found


def _amounts(stock: FieldValues[Any], item: int, absent: int) -> Ints:
    return np.array([dict(amounts).get(item, absent) for amounts in stock.values], np.int64)


def _most(replay: Replay, item: int) -> int:
    held = (amount for agent in replay.agents for stock in agent.inventory.values for i, amount in stock if i == item)
    return max(held, default=0)


def _roles(stock: FieldValues[Any], gear: list[int]) -> Ints:
    by_item = {item: role for role, item in enumerate(gear) if item >= 0}
    return np.array(
        [next((by_item[i] for i, amount in amounts if amount > 0 and i in by_item), 0) for amounts in stock.values],
        np.int64,
    )
