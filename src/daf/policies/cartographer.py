"""`cartographer`: a scripted policy for CoGames' junction missions that remembers what it has seen.

Each agent keeps a separate chart: walls, stations, extractors, the hub and the junctions with their owners. It walks
shortest paths over the chart and explores where the chart ends. While the hub is poor, part of the team mines what the
hub lacks most; the others fetch hearts and align junctions, neutral ones and those of other teams.

`observe(obs)` must see every observation of the agent; `act()` answers what the policy would do now, and may be asked
at any step or never. The chart comes from observations alone, which report the action that was really taken: the policy
can label the states of another one. It draws no random numbers.

This module imports mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation, Simulation

SIDE = 544
"""Rows and columns of a chart. Positions are within 255 cells of the start, and a view adds 6."""
START = (SIDE // 2) * (SIDE + 1)
"""The cell where an agent starts. A cell is row * SIDE + column."""
MOVES = {"move_north": -SIDE, "move_south": SIDE, "move_west": -1, "move_east": 1}
NAME_OF = {step: name for name, step in MOVES.items()}
STEPS = tuple(NAME_OF)
UNSEEN, FREE, SOLID = range(3)

ELEMENTS = ("carbon", "oxygen", "germanium", "silicon")
EXTRACTOR = "_extractor"
GEAR = ("aligner", "scrambler", "miner", "scout")

HEART_COST = 7
"""Elements of each kind that the hub turns into a heart."""
MOVE_COST = 4
"""Energy that a move takes."""
HUB_REACH, JUNCTION_REACH = 25, 15
"""How far from its hub, or from a junction that it holds, a team can align another junction."""
HUB_LAND, JUNCTION_LAND = 20, 10
"""How far territory extends from a hub and from a junction."""

MINERS = ((21, 0.625), (60, 0.5), (150, 0.25), (300, 0.125))
"""(stock, share): the share of miners in a team whose hub has less than `stock` of its scarcest element."""
HEARTS = ((28, 2), (84, 4))
"""(stock, hearts): what an aligner fetches from a hub that has less than `stock` of its scarcest element."""
MANY_HEARTS = 6
"""What it fetches from a richer hub."""
SECTORS = (0, 4, 2, 6, 1, 5, 3, 7)
"""Eighths of a circle, by rank: the direction in which an agent prefers to explore and to align."""
BIAS = 8
"""Steps that an agent walks further to explore in its own direction."""
SEARCH = 6000
"""Cells that a search for a path visits before it gives up."""
AREA, TAG, INVENTORY, WORLD = range(1, 5)


class Thing:
    """Something on the chart other than a wall.

    ours, claimed: whether our team, and whether another, held it when it was last seen. stock: its inventory then.
    seen: when that was. shunned: the step until which it is not a target. reachable: near enough to what we hold.
    """

    __slots__ = ("cell", "claimed", "kind", "ours", "reachable", "seen", "shunned", "stock")

    def __init__(self, cell: int, kind: str) -> None:
        self.cell = cell
        self.kind = kind
        self.ours = False
        self.claimed = False
        self.stock: Mapping[str, int] = {}
        self.seen = 0
        self.shunned = 0
        self.reachable = False


class Legend:
    """What a mission's tokens mean, as tables."""

    def __init__(self, info: PolicyEnvInterface) -> None:
        self.middle = (info.obs_height // 2, info.obs_width // 2)
        self.centre = self.middle[0] * SIDE + self.middle[1]
        self.code = [0] * 256
        self.name = [""] * 256
        self.scale = [1] * 256
        for feature in info.obs_features:
            prefix, _, rest = feature.name.partition(":")
            base, _, power = rest.partition(":p")
            self.name[feature.id] = base if prefix == "inv" else f"{prefix}:{base}" if base else prefix
            self.scale[feature.id] = max(int(feature.normalization), 1) ** int(power or 0)
            self.code[feature.id] = {"tag": TAG, "aoe_mask": AREA, "inv": INVENTORY}.get(prefix, WORLD)
        tags = dict(enumerate(info.tags))
        self.kinds = {tag: name[5:] for tag, name in tags.items() if name.startswith("type:")}
        self.teams = {tag for tag, name in tags.items() if name.startswith("team:")}
        self.actions = info.all_action_names
        # The visible area is round: the corners of the square are not in it.
        radius = min(self.middle)
        view = {
            row * SIDE + column
            for row in range(-radius, radius + 1)
            for column in range(-radius, radius + 1)
            if row**2 + column**2 <= radius**2 + 1
        }
        self.rows = []
        for row in range(-radius, radius + 1):
            cells = sorted(cell for cell in view if (cell + SIDE // 2) // SIDE == row)
            self.rows.append((cells[0], bytes([FREE]) * len(cells)))


class Chart:
    """All that an agent knows: its map, and what it carries.

    here: the agent's cell. now: observations so far. own: its inventory. bank: the hub's elements, where the mission
    reports them. mates: inventories of the agents in view, by cell. home: whether it stands in its team's territory;
    hostile: in another's. held: our junctions.
    """

    def __init__(self, legend: Legend) -> None:
        self._legend = legend
        self.grid = bytearray(SIDE * SIDE)
        self.here = START
        self.now = 0
        self.own: dict[str, int] = {}
        self.bank: dict[str, int] = {}
        self.mates: dict[int, dict[str, int]] = {}
        self.team: set[int] = set()
        self.home = False
        self.hostile = False
        self.hub: Thing | None = None
        self.junctions: dict[int, Thing] = {}
        self.held: dict[int, Thing] = {}
        self.extractors: dict[int, Thing] = {}
        self.stations: dict[int, Thing] = {}
        self.full: dict[bool, int] = {}
        self._located = False
        self._outside: dict[int, float] = {}  # a search for the frontier asks for the same cells again and again

    def observe(self, obs: AgentObservation) -> None:
        """Bring the chart up to date."""
        legend = self._legend
        code, name, scale, middle, centre = legend.code, legend.name, legend.scale, legend.middle, legend.centre
        world: dict[str, int] = {}
        tags: list[tuple[int, int]] = []
        stocks: dict[int, dict[str, int]] = {}
        area = 0
        for token in obs.tokens:
            feature = token.feature.id
            what = code[feature]
            if what == AREA:
                if not area and token.location == middle:
                    area = token.value
            elif what == WORLD:
                world[name[feature]] = world.get(name[feature], 0) + token.value * scale[feature]
            elif (location := token.location) is not None:
                offset = location[0] * SIDE + location[1] - centre
                if what == TAG:
                    tags.append((offset, token.value))
                else:
                    stock = stocks.setdefault(offset, {})
                    stock[name[feature]] = stock.get(name[feature], 0) + token.value * scale[feature]
        was, before = self.here, self.own
        taken = world.get("last_action", 0)
        step = MOVES.get(legend.actions[taken], 0) if taken < len(legend.actions) else 0
        self._locate(world, step)
        self.now += 1
        self.own = stocks.get(0, {})
        self.bank = {element: world[f"team:{element}"] for element in ELEMENTS if f"team:{element}" in world}
        self.home, self.hostile = area == 1, area > 1
        self._mark(tags, stocks)
        if step and self.here == was and not world.get("last_action_move"):
            self._learn(was + step, before)

    def _locate(self, world: Mapping[str, int], step: int) -> None:
        rows = world.get("lp:south", 0) - world.get("lp:north", 0)
        columns = world.get("lp:east", 0) - world.get("lp:west", 0)
        self._located = self._located or rows != 0 or columns != 0
        if self._located:
            self.here = START + rows * SIDE + columns
        elif world.get("last_action_move"):  # the mission reports no positions, but whether the agent moved
            self.here += step

    def _mark(self, tags: Iterable[tuple[int, int]], stocks: Mapping[int, dict[str, int]]) -> None:
        legend, grid, here = self._legend, self.grid, self.here
        for offset, free in legend.rows:
            grid[here + offset : here + offset + len(free)] = free
        kinds: list[tuple[int, str]] = []
        teams: dict[int, set[int]] = {}
        for offset, tag in tags:
            if tag in legend.kinds:
                kinds.append((offset, legend.kinds[tag]))
            elif tag in legend.teams:
                teams.setdefault(offset, set()).add(tag)
        self.team = teams.get(0, set())
        self.mates = {}
        for offset, kind in kinds:
            cell = here + offset
            if kind == "agent":
                if offset:
                    self.mates[cell] = stocks.get(offset, {})
                continue
            grid[cell] = SOLID
            if kind != "wall":
                self._note(cell, kind, teams.get(offset, set()), stocks.get(offset, {}))

    def _note(self, cell: int, kind: str, teams: set[int], stock: Mapping[str, int]) -> None:
        """Remember something that is in view."""
        if kind == "junction":
            table = self.junctions
        elif kind.endswith(EXTRACTOR):
            table = self.extractors
        else:
            table = self.stations
        thing = table.get(cell)
        if thing is None:
            thing = table[cell] = Thing(cell, kind)
            thing.reachable = self._within_reach(cell)
        thing.stock, thing.seen = stock, self.now
        thing.claimed = not teams <= self.team
        ours = not teams.isdisjoint(self.team)
        if ours == thing.ours:
            return
        thing.ours = ours
        if kind == "junction" and ours:
            self.held[cell] = thing
        elif kind == "junction":
            del self.held[cell]
        elif kind == "hub":
            self.hub = thing if ours else None
        else:
            return
        self._outside.clear()
        if ours:
            reach = JUNCTION_REACH if kind == "junction" else HUB_REACH
            for other in self.junctions.values():
                other.reachable = other.reachable or _beeline(cell, other.cell) <= reach

    def _within_reach(self, cell: int) -> bool:
        if self.hub is not None and _beeline(self.hub.cell, cell) <= HUB_REACH:
            return True
        return any(_beeline(held, cell) <= JUNCTION_REACH for held in self.held)

    def _learn(self, cell: int, before: Mapping[str, int]) -> None:
        """The agent bumped into `cell`, carrying `before`: what doesn't work is not tried again at once."""
        if (thing := self.extractors.get(cell)) is not None:
            element = thing.kind.removesuffix(EXTRACTOR)
            load = load_of(before)
            if load_of(self.own) <= load:
                if load and thing.stock.get(element, 0):
                    self.full[bool(self.own.get("miner"))] = load
                else:
                    thing.shunned = self.now + 200
        elif (thing := self.junctions.get(cell)) is not None:
            if before.get("heart") and before.get("aligner") and not thing.ours:
                thing.shunned = self.now + 60
        elif (thing := self.stations.get(cell)) is not None and thing.kind in GEAR and not self.own.get(thing.kind):
            thing.shunned = self.now + 20

    def outside(self, cell: int) -> float:
        """Cells from `cell` to our territory, as the crow flies; 0 inside."""
        if (known := self._outside.get(cell)) is not None:
            return known
        best = math.inf if self.hub is None else _beeline(self.hub.cell, cell) - HUB_LAND
        for held in self.held:
            if best <= 0:
                break
            best = min(best, _beeline(held, cell) - JUNCTION_LAND)
        self._outside[cell] = found = max(0.0, best) if best < math.inf else 0.0
        return found

    def scarcest(self) -> int:
        """The hub's stock of the element that it has least of."""
        if self.bank:
            return min(self.bank.values())
        return min(self.hub.stock.get(element, 0) for element in ELEMENTS) if self.hub is not None else 0

    def route(self, goal: int) -> list[int]:
        """The cells of a shortest path from here to `goal`, both included; empty if none is found.

        Cells never seen are taken to be free, at twice the cost; other agents are avoided where the detour is short.
        """
        here, grid, mates = self.here, self.grid, self.mates
        row, column = divmod(goal, SIDE)
        waiting = [(0, 0, here)]
        came = {here: here}
        costs = {here: 0}
        visited = 0
        while waiting and visited < SEARCH:
            _, negative, cell = heapq.heappop(waiting)
            if cell == goal:
                path = [goal]
                while cell != here:
                    cell = came[cell]
                    path.append(cell)
                return path[::-1]
            cost = -negative
            if cost > costs[cell]:
                continue
            visited += 1
            for step in STEPS:
                near = cell + step
                what = grid[near]
                if what == SOLID and near != goal:
                    continue
                steps = cost + (1 if what else 2) + (6 if near in mates else 0)
                if steps < costs.get(near, 1 << 30):
                    costs[near] = steps
                    came[near] = cell
                    at_row, at_column = divmod(near, SIDE)
                    # Ties go to the cell that is further on its way.
                    heapq.heappush(waiting, (steps + abs(at_row - row) + abs(at_column - column), -steps, near))
        return []

    def path_to_frontier(self, bias: Callable[[int], float]) -> list[int]:
        """The cells of a path over free cells to one never seen; empty if none can be reached.

        Of the unseen cells, it leads to that with the least sum of steps and `bias`, which must be -BIAS or more.
        """
        here, grid = self.here, self.grid
        came = {here: here}
        wave, steps, best, least = [here], 0, -1, math.inf
        while wave and steps - BIAS < least:
            steps += 1
            following = []
            for cell in wave:
                for step in STEPS:
                    near = cell + step
                    if near in came or (what := grid[near]) == SOLID:
                        continue
                    if steps == 1 and near in self.mates:
                        continue
                    came[near] = cell
                    if what == FREE:
                        following.append(near)
                    elif (cost := steps + bias(near)) < least:
                        best, least = near, cost
            wave = following
        path = [best] if best >= 0 else []
        while path and path[-1] != here:
            path.append(came[path[-1]])
        return path[::-1]


class CartographerAgent(AgentPolicy):
    """One agent. chart: what it knows. role: "miner" or "aligner", empty before its first action."""

    def __init__(self, info: PolicyEnvInterface, legend: Legend, agent_id: int) -> None:
        super().__init__(info)
        self._legend = legend
        self._id = agent_id
        size = max(1, min(len(SECTORS), info.num_agents))
        self._rank = agent_id % size
        self._share = (self._rank + 0.5) / size
        angle = SECTORS[self._rank] * math.pi / 4
        self._sector = (math.sin(angle), math.cos(angle))
        self._idle = "noop" if "noop" in info.action_names else info.action_names[0]
        self._legal = frozenset(info.action_names)
        self.reset()

    def reset(self, simulation: Simulation | None = None) -> None:
        self.chart = Chart(self._legend)
        self.role = ""
        self._path: list[int] = []
        self._target: Thing | None = None
        self._chosen = 0
        self._frontier = -1
        self._explored = 0

    def step(self, obs: AgentObservation) -> Action:
        self.observe(obs)
        return self.act()

    def observe(self, obs: AgentObservation) -> None:
        """Take in an observation without deciding anything."""
        self.chart.observe(obs)

    def act(self) -> Action:
        """What the policy does in the state last observed."""
        move = self._retreat() or self._work()
        return Action(name=move if move in self._legal else self._idle)

    # Roles

    def _work(self) -> str | None:
        own = self.chart.own
        if not self.role or not (load_of(own) if self.role == "miner" else own.get("heart")):
            self.role = "miner" if self._share < miners_wanted(self.chart.scarcest()) else "aligner"
        return self._mine() if self.role == "miner" else self._align()

    def _fetch_gear(self, name: str) -> str | None:
        station = self._nearest(
            thing for thing in self.chart.stations.values() if thing.kind == name and thing.ours and self._open(thing)
        )
        return self._go(station.cell) if station is not None else None

    def _mine(self) -> str | None:
        chart, own = self.chart, self.chart.own
        load = load_of(own)
        if not own.get("miner") and not load and (move := self._fetch_gear("miner")):
            return move
        if load >= chart.full.get(bool(own.get("miner")), 1 << 30):
            return self._deposit()
        target = self._target
        if target is None or not self._minable(target) or self._stale(16):
            targets = filter(self._minable, chart.extractors.values())
            target = self._choose(min(targets, key=self._mine_cost, default=None))
        if target is not None:
            return self._go(target.cell)
        return self._deposit() if load else self._explore()

    def _minable(self, thing: Thing) -> bool:
        # Exhausted extractors vanish: where one was, the chart shows a free cell.
        return thing.kind.endswith(EXTRACTOR) and self._open(thing) and self.chart.grid[thing.cell] == SOLID

    def _mine_cost(self, thing: Thing) -> float:
        chart, element = self.chart, thing.kind.removesuffix(EXTRACTOR)
        surplus = chart.bank.get(element, 0) + chart.own.get(element, 0) - chart.scarcest()
        other = element not in ELEMENTS or ELEMENTS.index(element) != self._rank % len(ELEMENTS)
        return self._distance(thing) + 0.6 * min(40, surplus) + 2 * chart.outside(thing.cell) + 6 * other

    def _deposit(self) -> str | None:
        chart = self.chart
        places = [*chart.held.values()] + ([chart.hub] if chart.hub is not None else [])
        place = self._nearest(filter(self._open, places))
        return self._go(place.cell) if place is not None else self._explore()

    def _align(self) -> str | None:
        chart, own = self.chart, self.chart.own
        if not own.get("aligner"):
            return self._fetch_gear("aligner") or (self._mine() if chart.extractors else self._explore())
        hearts, hub = own.get("heart", 0), chart.hub
        if hub is not None and self._open(hub):
            near = self._distance(hub) <= 1
            supply = chart.scarcest() >= HEART_COST or hub.stock.get("heart", 0) > 0
            if supply and (not hearts or (near and hearts < hearts_wanted(chart.scarcest()))):
                return self._go(hub.cell)
        if hearts:
            target = self._target
            if target is None or not self._alignable(target) or self._stale(6):
                targets = filter(self._alignable, chart.junctions.values())
                target = self._choose(min(targets, key=self._align_cost, default=None))
            if target is not None:
                return self._go(target.cell)
        return self._explore()

    def _alignable(self, thing: Thing) -> bool:
        return thing.kind == "junction" and not thing.ours and thing.reachable and self._open(thing)

    def _align_cost(self, thing: Thing) -> float:
        distance = self._distance(thing)
        rivals = sum(
            1
            for cell, stock in self.chart.mates.items()
            if stock.get("aligner") and stock.get("heart") and apart(cell, thing.cell) < distance
        )
        return distance + 15 * rivals - 4 * self._along(thing.cell)

    # Ways

    def _retreat(self) -> str | None:
        """A move towards territory, if the agent would not live to come back later."""
        chart = self.chart
        if chart.home or "hp" not in chart.own or (chart.hub is None and not chart.held):
            return None
        own = chart.own
        cells = chart.outside(chart.here) + 1
        energy, solar = own.get("energy", 0), own.get("solar", 0)
        missing = max(0.0, MOVE_COST * cells - energy)
        if solar:
            ticks = cells + missing / solar
            safe = own["hp"] > (2 if chart.hostile else 1) * 1.3 * ticks + 6
        else:
            safe = energy > MOVE_COST * (cells + 2)
        if safe:
            return None
        if self._target is not None:
            self._target.shunned = chart.now + 40
        self._frontier = -1
        refuge = self._nearest([*chart.held.values()] + ([chart.hub] if chart.hub is not None else []))
        return self._go(refuge.cell) if refuge is not None else None

    def _go(self, goal: int) -> str | None:
        chart, path = self.chart, self._path
        here, grid, mates = chart.here, chart.grid, chart.mates
        at = path.index(here) + 1 if path and path[-1] == goal and here in path[:-1] else 0
        if not at or (path[at] != goal and grid[path[at]] == SOLID) or path[at] in mates:
            path, at = chart.route(goal), 1
        self._path = path
        if len(path) < 2:
            for table in (chart.junctions, chart.extractors, chart.stations):
                if goal in table:
                    table[goal].shunned = chart.now + 50
            return self._step_aside()
        return NAME_OF[path[at] - here] if path[at] not in mates else self._step_aside()

    def _step_aside(self) -> str | None:
        """Wait or wander, each agent differently at each step, so that two in one another's way part."""
        chart = self.chart
        turn = (chart.now * 7 + chart.now // 3 + self._id * 5) % (len(STEPS) + 2)
        if turn >= len(STEPS):
            return None
        cell = chart.here + STEPS[turn]
        return NAME_OF[STEPS[turn]] if chart.grid[cell] == FREE and cell not in chart.mates else None

    def _explore(self) -> str | None:
        chart = self.chart
        going = self._path if self._frontier >= 0 and chart.grid[self._frontier] == UNSEEN else []
        if not going or going[-1] != self._frontier:
            path = chart.path_to_frontier(self._edge_bias) if chart.now >= self._explored else None
            if path == []:
                self._explored = chart.now + 100
            if not path:
                self._frontier = -1
                return self._patrol()
            self._path, self._frontier = path, path[-1]
        return self._go(self._frontier)

    def _edge_bias(self, cell: int) -> float:
        return 2 * self.chart.outside(cell) - BIAS * self._along(cell)

    def _patrol(self) -> str | None:
        """See to the junctions that were not seen for long."""
        target = self._target
        if target is None or target.kind != "junction" or self.chart.now - target.seen < 10 or not self._open(target):
            junctions = filter(self._open, self.chart.junctions.values())
            target = self._choose(min(junctions, key=self._patrol_cost, default=None))
        if target is None or self.chart.now - target.seen < 10:
            return self._step_aside()
        return self._go(target.cell)

    def _patrol_cost(self, thing: Thing) -> float:
        return self._distance(thing) - (self.chart.now - thing.seen) / 4 - 8 * self._along(thing.cell)

    def _choose(self, thing: Thing | None) -> Thing | None:
        self._target, self._chosen = thing, self.chart.now
        return thing

    def _stale(self, steps: int) -> bool:
        return self.chart.now - self._chosen >= steps

    def _open(self, thing: Thing) -> bool:
        return thing.shunned <= self.chart.now

    def _nearest(self, things: Iterable[Thing]) -> Thing | None:
        return min(things, key=self._distance, default=None)

    def _distance(self, thing: Thing) -> int:
        return apart(self.chart.here, thing.cell)

    def _along(self, cell: int) -> float:
        """How well the direction of `cell` from the hub fits the agent's sector, from -1 to 1."""
        origin = self.chart.hub.cell if self.chart.hub is not None else START
        rows, columns = cell // SIDE - origin // SIDE, cell % SIDE - origin % SIDE
        length = math.hypot(rows, columns)
        return (rows * self._sector[0] + columns * self._sector[1]) / length if length else 0.0


class CartographerPolicy(MultiAgentPolicy):
    """Agents that each chart the map for themselves."""

    short_names = ["cartographer"]  # noqa: RUF012

    def __init__(self, policy_env_info: PolicyEnvInterface, device: str = "cpu") -> None:
        super().__init__(policy_env_info, device=device)
        self._legend = Legend(policy_env_info)

    def agent_policy(self, agent_id: int) -> CartographerAgent:
        return CartographerAgent(self._policy_env_info, self._legend, agent_id)


def miners_wanted(stock: int) -> float:
    """The share of miners in a team whose hub has `stock` of its scarcest element."""
    return next((share for bound, share in MINERS if stock < bound), 0.0)


def hearts_wanted(stock: int) -> int:
    """How many hearts an aligner fetches from a hub that has `stock` of its scarcest element."""
    return next((hearts for bound, hearts in HEARTS if stock < bound), MANY_HEARTS)


def load_of(inventory: Mapping[str, int]) -> int:
    """Elements in an inventory."""
    return sum(inventory.get(element, 0) for element in ELEMENTS)


def apart(start: int, end: int) -> int:
    """Moves between two cells if nothing is in the way."""
    return abs(end // SIDE - start // SIDE) + abs(end % SIDE - start % SIDE)


def _beeline(start: int, end: int) -> float:
    return math.hypot(end // SIDE - start // SIDE, end % SIDE - start % SIDE)
