"""`facility_solver`: a scripted policy that solves DAF's small missions, as a reference for training.

It uses only the names of tokens: each agent keeps a map of what it has seen, goes to the nearest extractor that it can
use, digs until nothing more comes, carries its goods to the nearest chest or assembler, and explores if it knows none.
It draws no random numbers. Missions without position tokens (`lp:`) are refused.

This module imports mettagrid only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation, Simulation

Cell = tuple[int, int]

MOVES: dict[str, Cell] = {"move_north": (-1, 0), "move_south": (1, 0), "move_west": (0, -1), "move_east": (0, 1)}
EXTRACTOR = "_extractor"
DRILL = "_drill"
PLACES = ("chest", "assembler")
WORTH = {"silicon": 6}
"""Extra steps that an agent walks for a resource compared with another."""
REACH = 2000
"""Maximum cells that a search visits."""


class FacilitySolverAgent(AgentPolicy):
    """One agent and its map, whose cells count rows and columns from where it started."""

    def __init__(self, info: PolicyEnvInterface, agent_id: int) -> None:
        super().__init__(info)
        self._tags = info.tag_id_to_name
        self._middle = (info.obs_height // 2, info.obs_width // 2)
        radius = min(self._middle)
        across = range(-radius, radius + 1)
        # The visible area is round: the corners of the square are not in it.
        self._view = [(row, column) for row in across for column in across if row**2 + column**2 <= radius**2 + 1]
        turn = agent_id % len(MOVES)
        self._patience = 4 + 3 * turn
        self._moves = [*list(MOVES.items())[turn:], *list(MOVES.items())[:turn]]
        self.reset()

    def reset(self, simulation: Simulation | None = None) -> None:
        self._things: dict[Cell, str] = {}
        self._seen: set[Cell] = set()
        self._avoided: dict[Cell, int] = {}
        self._step = 0
        self._load = 0
        self._target: Cell | None = None
        self._full = False

    def step(self, obs: AgentObservation) -> Action:
        here, inventory, moved = self._look(obs)
        load = sum(count for name, count in inventory.items() if not name.endswith(DRILL))
        dug = self._target is not None and self._things.get(self._target, "").endswith(EXTRACTOR)
        self._full = load > 0 and (self._full or (dug and load <= self._load))
        self._step, self._load = self._step + 1, load
        if self._target is not None and not moved and self._target not in self._things:
            self._avoided[self._target] = self._step + self._patience  # someone stands there
        places = {cell: 0 for cell, name in self._things.items() if name in PLACES}
        extractors = {} if self._full else self._extractors(inventory)
        move = self._way(here, extractors) or (self._way(here, places) if load else None) or self._way(here, None)
        self._target = _neighbour(here, MOVES[move]) if move is not None else None
        return Action(name=move or "noop")

    def _look(self, obs: AgentObservation) -> tuple[Cell, dict[str, int], bool]:
        """Where the agent is, what it carries, whether its last step moved it; the map is brought up to date."""
        values = {"lp:east": 0, "lp:west": 0, "lp:north": 0, "lp:south": 0, "last_action_move": 0}
        things: list[tuple[Cell, str]] = []
        inventory: dict[str, int] = {}
        for token in obs.tokens:
            name = token.feature.name
            if token.is_global:
                if name in values:
                    values[name] = token.value
                continue
            row, column = token.row(), token.col()
            if row is None or column is None:
                continue
            cell = (row - self._middle[0], column - self._middle[1])
            if name == "tag":
                things.append((cell, self._tags.get(token.value, "").removeprefix("type:")))
            elif name.startswith("inv:") and cell == (0, 0):
                inventory[name.removeprefix("inv:")] = token.value
        here = (values["lp:south"] - values["lp:north"], values["lp:east"] - values["lp:west"])
        for offset in self._view:
            cell = _neighbour(here, offset)
            self._seen.add(cell)
            self._things.pop(cell, None)
        for offset, name in things:
            if name != "agent":
                self._things[_neighbour(here, offset)] = name
        return here, inventory, values["last_action_move"] > 0

    def _extractors(self, inventory: dict[str, int]) -> dict[Cell, int]:
        """Extractors of use to an agent with this inventory, with the steps that they are worth."""
        drills = {name.removesuffix(DRILL) for name, count in inventory.items() if name.endswith(DRILL) and count}
        found = {}
        for cell, name in self._things.items():
            resource = name.removesuffix(EXTRACTOR)
            if name.endswith(EXTRACTOR) and (not drills or resource in drills):
                found[cell] = WORTH.get(resource, 0)
        return found

    def _way(self, here: Cell, targets: dict[Cell, int] | None) -> str | None:
        """The first move to the target that is nearest by steps less its worth; of None, to the nearest unseen cell."""
        if targets is not None and not targets:
            return None
        best: tuple[int, str] | None = None
        for cell, steps, first in self._reachable(here):
            if best is not None and steps >= best[0] + max(WORTH.values()):
                break
            if targets is None:
                if cell not in self._seen:
                    return first
            elif cell in targets and (best is None or steps - targets[cell] < best[0]):
                best = (steps - targets[cell], first)
        return best[1] if best is not None else None

    def _reachable(self, here: Cell) -> Iterator[tuple[Cell, int, str]]:
        """Cells by distance, with the steps there and the first move; obstacles are reached, not passed."""
        waiting: deque[tuple[Cell, int, str]] = deque([(here, 0, "noop")])
        known = {here}
        while waiting and len(known) < REACH:
            at, steps, first = waiting.popleft()
            for move, offset in self._moves:
                cell = _neighbour(at, offset)
                if cell in known or self._avoided.get(cell, 0) > self._step:
                    continue
                known.add(cell)
                yield cell, steps + 1, move if steps == 0 else first
                if cell not in self._things:
                    waiting.append((cell, steps + 1, move if steps == 0 else first))


class FacilitySolverPolicy(MultiAgentPolicy):
    """Agents that solve training_facility_1, training_facility_2 and assembler_2, each by itself."""

    short_names = ["facility_solver"]  # noqa: RUF012

    def __init__(self, policy_env_info: PolicyEnvInterface, device: str = "cpu") -> None:
        super().__init__(policy_env_info, device=device)
        names = {feature.name for feature in policy_env_info.obs_features}
        if "last_action_move" not in names or not any(tag.endswith(EXTRACTOR) for tag in policy_env_info.tags):
            raise ValueError("facility_solver plays missions with extractors and last_action_move tokens only")

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        return FacilitySolverAgent(self._policy_env_info, agent_id)


def _neighbour(cell: Cell, offset: Cell) -> Cell:
    return cell[0] + offset[0], cell[1] + offset[1]
