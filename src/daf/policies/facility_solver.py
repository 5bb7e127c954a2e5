"""`facility_solver`: a scripted policy that solves DAF's small missions, as a mark to measure training by.

It knows the names of tokens and nothing else: each agent keeps a map of what it has seen, goes to the nearest extractor
that it can use, digs until nothing more comes, carries what it has to the nearest chest or assembler, and looks around
where it knows none. It draws no random numbers. In missions that tell no place (`lp:` tokens) it is refused.

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
PLACES = ("chest", "assembler")
WORTH = {"silicon": 6}
"""Steps that an agent goes further for a resource than for another."""
REACH = 2000
"""Most cells that a search looks at."""


class FacilitySolverAgent(AgentPolicy):
    """One agent and its map, whose cells count rows and columns from where it began."""

    def __init__(self, info: PolicyEnvInterface, agent_id: int) -> None:
        super().__init__(info)
        self._tags = info.tag_id_to_name
        self._middle = (info.obs_height // 2, info.obs_width // 2)
        turn = agent_id % len(MOVES)
        self._moves = [*list(MOVES.items())[turn:], *list(MOVES.items())[:turn]]
        self.reset()

    def reset(self, simulation: Simulation | None = None) -> None:
        self._things: dict[Cell, str] = {}
        self._seen: set[Cell] = set()
        self._inventory: dict[str, int] = {}
        self._digging = False
        self._full = False
        self._waited = 0

    def step(self, obs: AgentObservation) -> Action:
        here, agents, inventory, moved = self._look(obs)
        load = _load(inventory)
        if self._digging and load <= _load(self._inventory):
            self._full = load > 0
        if load == 0:
            self._full = False
        self._waited = 0 if moved or self._digging else self._waited + 1
        self._inventory = inventory
        drills = {name.removesuffix("_drill") for name, count in inventory.items() if name.endswith("_drill") and count}
        path = None
        if self._full:
            path = self._way(here, agents, {cell: 0 for cell, name in self._things.items() if name in PLACES})
        else:
            path = self._way(here, agents, self._extractors(drills))
            if path is None and load:
                path = self._way(here, agents, {cell: 0 for cell, name in self._things.items() if name in PLACES})
        if path is None or self._waited > 2:
            path = self._way(here, agents, None) or path
            self._waited = 0 if self._waited > 4 else self._waited
        move = path or "noop"
        target = _beside(here, MOVES[move]) if path else here
        self._digging = self._things.get(target, "").endswith(EXTRACTOR)
        return Action(name=move)

    def _look(self, obs: AgentObservation) -> tuple[Cell, set[Cell], dict[str, int], bool]:
        """Where the agent is, the cells of others, what it carries, whether its last step moved it."""
        told = {"lp:east": 0, "lp:west": 0, "lp:north": 0, "lp:south": 0, "last_action_move": 0}
        things: list[tuple[Cell, str]] = []
        inventory: dict[str, int] = {}
        for token in obs.tokens:
            name = token.feature.name
            if token.is_global:
                if name in told:
                    told[name] = token.value
                continue
            row, column = token.row(), token.col()
            if row is None or column is None:
                continue
            cell = (row - self._middle[0], column - self._middle[1])
            if name == "tag":
                things.append((cell, self._tags.get(token.value, "").removeprefix("type:")))
            elif name.startswith("inv:") and cell == (0, 0):
                inventory[name.removeprefix("inv:")] = token.value
        here = (told["lp:south"] - told["lp:north"], told["lp:east"] - told["lp:west"])
        for row in range(-self._middle[0], self._middle[0] + 1):
            for column in range(-self._middle[1], self._middle[1] + 1):
                cell = _beside(here, (row, column))
                self._seen.add(cell)
                self._things.pop(cell, None)
        agents = set()
        for offset, name in things:
            cell = _beside(here, offset)
            if name == "agent":
                agents.add(cell)
            else:
                self._things[cell] = name
        agents.discard(here)
        return here, agents, inventory, told["last_action_move"] > 0

    def _extractors(self, drills: set[str]) -> dict[Cell, int]:
        """Extractors of use, with the steps that they are worth."""
        found = {}
        for cell, name in self._things.items():
            resource = name.removesuffix(EXTRACTOR)
            if name.endswith(EXTRACTOR) and (not drills or resource in drills):
                found[cell] = WORTH.get(resource, 0)
        return found

    def _way(self, here: Cell, agents: set[Cell], targets: dict[Cell, int] | None) -> str | None:
        """The first move to the target that is nearest by steps less its worth; of None, to the nearest unseen cell."""
        best: tuple[int, str] | None = None
        for cell, steps, first in self._reachable(here, agents):
            if best is not None and steps >= best[0] + max(WORTH.values()):
                break
            if targets is None:
                if cell not in self._seen:
                    return first
            elif cell in targets and (best is None or steps - targets[cell] < best[0]):
                best = (steps - targets[cell], first)
        return best[1] if best is not None else None

    def _reachable(self, here: Cell, agents: set[Cell]) -> Iterator[tuple[Cell, int, str]]:
        """Cells by distance, with the steps there and the first move; what stands in the way is reached, not passed."""
        waiting: deque[tuple[Cell, int, str]] = deque([(here, 0, "noop")])
        known = {here}
        while waiting and len(known) < REACH:
            at, steps, first = waiting.popleft()
            for move, offset in self._moves:
                cell = _beside(at, offset)
                if cell in known or cell in agents:
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


def _load(inventory: dict[str, int]) -> int:
    return sum(count for name, count in inventory.items() if not name.endswith("_drill"))


def _beside(cell: Cell, offset: Cell) -> Cell:
    return cell[0] + offset[0], cell[1] + offset[1]
