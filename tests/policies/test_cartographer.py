"""The chart, the ways and the roles of `cartographer`, on drawn maps and in the game."""

import itertools
from collections.abc import Iterator

import pytest
from mettagrid.config.mettagrid_config import MettaGridConfig
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation, Simulation
from mettagrid.simulator.interface import ObservationToken

from daf.game import missions
from daf.policies.cartographer import (
    FREE,
    MOVES,
    SIDE,
    SOLID,
    START,
    UNSEEN,
    CartographerAgent,
    CartographerPolicy,
    Chart,
    apart,
    hearts_wanted,
    miners_wanted,
)
from tests.game.small_games import assert_equal_outcomes, mission, play, policy_class

ARENA = PolicyEnvInterface.from_mg_cfg(mission("arena"))
KINDS = {
    "#": ["type:wall"],
    "H": ["type:hub", "team:cogs"],
    "J": ["type:junction"],
    "O": ["type:junction", "team:cogs"],
    "E": ["type:junction", "team:clips"],
    "A": ["type:aligner", "team:cogs"],
    "M": ["type:miner", "team:cogs"],
    "c": ["type:carbon_extractor"],
    "o": ["type:oxygen_extractor"],
    "@": ["type:agent", "team:cogs"],
}
STOCKS = {"c": {"carbon": 200}, "o": {"oxygen": 200}}


class World:
    """A drawn map, seen from where `at` is. The agent starts at S, which the simulator counts positions from."""

    def __init__(self, drawing: str, info: PolicyEnvInterface = ARENA) -> None:
        rows = [line for line in drawing.splitlines() if line.strip()]
        self.cells = {(r, c): what for r, row in enumerate(rows) for c, what in enumerate(row) if what in KINDS}
        self.start = self.at = next((r, row.index("S")) for r, row in enumerate(rows) if "S" in row)
        self.features = {feature.name: feature for feature in info.obs_features}
        self.tags, self.actions = info.tags, info.all_action_names
        self.taken, self.moved = "noop", False

    def cell(self, row: int, column: int) -> int:
        return START + (row - self.start[0]) * SIDE + column - self.start[1]

    def look(self, *, bank: int = 24, home: bool = True, **own: int) -> AgentObservation:
        """What the agent sees, carrying `own`."""
        tokens: list[ObservationToken] = []

        def add(place: int, name: str, value: int) -> None:
            feature = self.features[name]
            tokens.append(ObservationToken(feature=feature, value=value, raw_token=(place, feature.id, value)))

        south, east = self.at[0] - self.start[0], self.at[1] - self.start[1]
        add(0xFE, "last_action", self.actions.index(self.taken))
        add(0xFE, "last_action_move", int(self.moved))
        for name, distance in (("south", south), ("north", -south), ("east", east), ("west", -east)):
            if distance > 0:
                add(0xFE, f"lp:{name}", distance)
        for element in ("carbon", "oxygen", "germanium", "silicon"):
            add(0xFE, f"team:{element}", bank)
        inside = [(r, c) for r, c in itertools.product(range(-6, 7), repeat=2) if r * r + c * c <= 37]
        for r, c in inside:
            what = "@" if (r, c) == (0, 0) else self.cells.get((self.at[0] + r, self.at[1] + c))
            place = (r + 6) << 4 | (c + 6)
            for tag in KINDS.get(what or "", []):
                add(place, "tag", self.tags.index(tag))
            for name, amount in (own if (r, c) == (0, 0) else STOCKS.get(what or "", {})).items():
                add(place, f"inv:{name}", amount)
        if home:
            add(0x66, "aoe_mask", 1)
        return AgentObservation(agent_id=0, tokens=tokens)

    def do(self, action: Action) -> None:
        """Move, or bump into what is there."""
        step = MOVES.get(action.name, 0)
        to = (self.at[0] + round(step / SIDE), self.at[1] + (step if abs(step) == 1 else 0))
        self.taken, self.moved = action.name, bool(step) and to not in self.cells
        self.at = to if self.moved else self.at


def agent(agent_id: int = 7) -> CartographerAgent:
    """Agents of `arena` have ids 0 to 7; the highest mine last."""
    return CartographerPolicy(ARENA).agent_policy(agent_id)


def walk(one: CartographerAgent, world: World, until: tuple[int, int], limit: int = 60, **own: int) -> int:
    """Steps until the agent bumps into the thing at `until`."""
    for step in range(limit):
        action = one.step(world.look(**own))
        before = world.at
        world.do(action)
        if world.at == before and action.name in MOVES:
            target = world.cell(*before) + MOVES[action.name]
            if target == world.cell(*until):
                return step + 1
    raise AssertionError(f"{until} not reached in {limit} steps, stands at {world.at}")


ALIGNER = {"aligner": 1, "heart": 2, "hp": 100, "energy": 20, "solar": 1}
LONG_HALL = """
##########################
#S                      J#
##########################
"""


def test_a_junction_out_of_view_stays_on_the_chart() -> None:
    world, one = World("H S J\n"), agent()
    one.observe(world.look())
    world.at = (0, 30)
    one.observe(world.look())
    chart = one.chart
    assert chart.here == world.cell(0, 30)
    assert list(chart.junctions) == [world.cell(0, 4)]
    assert chart.hub is not None
    assert chart.hub.cell == world.cell(0, 0)
    assert chart.grid[world.cell(0, 4)] == SOLID
    assert chart.grid[world.cell(0, 3)] == FREE
    assert chart.grid[world.cell(0, 15)] == UNSEEN


def test_the_view_is_round() -> None:
    world, one = World("S\n"), agent()
    one.observe(world.look())
    assert one.chart.grid[world.cell(0, 6)] == FREE
    assert one.chart.grid[world.cell(6, 6)] == UNSEEN
    assert one.chart.grid.count(FREE) == sum(r * r + c * c <= 37 for r in range(-6, 7) for c in range(-6, 7))


def test_an_extractor_that_is_gone_is_no_target() -> None:
    world, one = World("S  c\n"), agent()
    one.observe(world.look())
    del world.cells[(0, 3)]
    one.observe(world.look())
    assert one.chart.grid[world.cell(0, 3)] == FREE
    assert walk_names(one, world, 12, miner=1, carbon=3) != {"move_east"}


def walk_names(one: CartographerAgent, world: World, steps: int, **own: int) -> set[str]:
    """The actions of an agent that stands still."""
    return {one.step(world.look(**own)).name for _ in range(steps)}


WALLED = """
########
#      #
#S     #
###### #
#      #
#  J   #
########
"""


def test_a_route_goes_round_walls_and_is_shortest() -> None:
    world, one = World(WALLED), agent()
    one.observe(world.look())
    path = one.chart.route(world.cell(5, 3))
    assert path[0] == world.cell(2, 1)
    assert path[-1] == world.cell(5, 3)
    assert all(apart(a, b) == 1 for a, b in itertools.pairwise(path))
    assert all(one.chart.grid[cell] != SOLID for cell in path[:-1])
    assert len(path) - 1 == 5 + 3 + 3


def test_a_route_through_what_was_not_seen_is_taken_where_it_is_the_only_one() -> None:
    world, one = World(LONG_HALL), agent()
    one.observe(world.look())
    assert len(one.chart.route(world.cell(1, 24))) == 24


def test_no_route_leads_into_a_closed_room() -> None:
    world, one = World("   #####\n#######   #\n#S  #   #  #\n#######   #\n   #####\n"), agent()
    one.observe(world.look())
    assert one.chart.route(world.cell(2, 6)) == []


def test_the_frontier_is_where_the_view_ends_and_a_closed_room_has_none() -> None:
    world, one = World(LONG_HALL), agent()
    one.observe(world.look())
    assert one.chart.path_to_frontier(lambda _: 0.0) == [world.cell(1, column) for column in range(1, 9)]
    room, closed = World("#####\n# S #\n#####\n"), agent()
    closed.observe(room.look())
    assert closed.chart.path_to_frontier(lambda _: 0.0) == []


def test_the_bias_decides_between_frontiers() -> None:
    world, one = World("#########\n" + " " * 4 + "S\n#########\n"), agent()
    one.observe(world.look())
    for column in (11, -3):
        path = one.chart.path_to_frontier(lambda cell, column=column: -4.0 * (cell == world.cell(1, column)))
        assert path[-1] == world.cell(1, column)


def test_another_agent_is_walked_round() -> None:
    world, one = World("H  S@   J\n"), agent()
    one.observe(world.look(**ALIGNER))
    path = one.chart.route(world.cell(0, 8))
    assert world.cell(0, 4) not in path
    assert len(path) - 1 == 7


def test_an_aligner_with_a_heart_goes_to_the_junction() -> None:
    world = World(" H S    J\n")
    assert walk(agent(), world, (0, 8), **ALIGNER) == 5


def test_a_junction_of_the_enemy_is_aligned_as_well_and_our_own_is_not() -> None:
    world = World("   E\n.\n H S    O\n")
    assert walk(agent(), world, (0, 3), **ALIGNER) == 2
    held = agent()
    held.observe(world.look(**ALIGNER))
    assert [cell for cell, thing in held.chart.junctions.items() if thing.claimed] == [world.cell(0, 3)]
    assert list(held.chart.held) == [world.cell(2, 8)]


def test_a_remembered_junction_is_reached_from_far_away() -> None:
    world, one = World("H S     J\n"), agent()
    world.at = (0, 4)
    one.observe(world.look(**ALIGNER))
    world.at = (6, 2)
    one.observe(world.look(**ALIGNER))
    assert walk(one, world, (0, 8), **ALIGNER) == 12


def test_what_we_hold_extends_our_reach() -> None:
    """The far junction is 34 from the hub and 14 from the near one."""
    drawing = "H" + " " * 19 + "J" + " " * 4 + "S" + " " * 8 + "J\n"
    world, one = World(drawing), agent()
    for column in (2, 18, 30):
        world.at = (0, column)
        one.observe(world.look())
    near, far = (one.chart.junctions[world.cell(0, column)] for column in (20, 34))
    assert (near.reachable, far.reachable) == (True, False)
    world.cells[(0, 20)], world.at = "O", (0, 18)
    one.observe(world.look())
    assert (near.ours, far.reachable) == (True, True)


def test_a_bump_without_effect_is_not_repeated_at_once() -> None:
    world, one = World(" H S    J\n"), agent()
    walk(one, world, (0, 8), **ALIGNER)
    junction = world.cell(0, 8)
    after = [one.step(world.look(**ALIGNER)) for _ in range(1)]
    assert world.cell(*world.at) + MOVES.get(after[0].name, 0) != junction
    assert one.chart.junctions[junction].shunned > one.chart.now


def test_an_aligner_without_gear_goes_to_the_station_and_without_a_heart_to_the_hub() -> None:
    bare = {"hp": 100, "energy": 20, "solar": 1}
    assert walk(agent(), World("A   S   H\n"), (0, 0), **bare) == 4
    assert walk(agent(), World("A   S   H\n"), (0, 8), aligner=1, **bare) == 4


def test_a_miner_digs_until_it_is_full_and_brings_the_load_home() -> None:
    world, one, load = World("M  c S  H\n"), agent(0), 0
    visits = []
    for _ in range(40):
        action = one.step(world.look(miner=1, hp=100, energy=20, solar=1, **({"carbon": load} if load else {})))
        before = world.at
        world.do(action)
        if world.at == before and action.name in MOVES:
            bumped = world.cells[(before[0], before[1] + MOVES[action.name])]
            visits.append(bumped)
            load = min(44, load + 10) if bumped == "c" else 0
    assert one.role == "miner"
    first = "".join(visits).split("H")[0]
    assert first in ("ccccc", "cccccc"), visits
    assert "".join(visits).split("H")[1] == "ccccc", "it knows by now how much it can carry"


def test_the_poorer_the_hub_the_more_mine() -> None:
    shares = [miners_wanted(stock) for stock in (0, 10, 30, 100, 200, 1000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] == 0
    assert hearts_wanted(0) < hearts_wanted(1000)


def roles(bank: int) -> list[str]:
    found = []
    for number in range(8):
        one = agent(number)
        one.step(World("A M S H\n").look(bank=bank, hp=100, energy=20, solar=1))
        found.append(one.role)
    return found


def test_roles_follow_the_stock_of_the_hub() -> None:
    assert roles(0).count("miner") == 5
    assert roles(24).count("miner") == 4
    assert roles(1000).count("miner") == 0


def test_a_miner_becomes_an_aligner_once_the_hub_is_rich_and_its_load_is_delivered() -> None:
    world, one = World("A M S H c\n"), agent(0)
    one.step(world.look(bank=0, miner=1, hp=100))
    assert one.role == "miner"
    one.step(world.look(bank=1000, miner=1, carbon=3, hp=100))
    assert one.role == "miner"
    one.step(world.look(bank=1000, miner=1, hp=100))
    assert one.role == "aligner"


def test_an_agent_low_on_health_returns_to_its_territory() -> None:
    """It stands 2 cells outside; the junction in view is the nearer one."""
    for hp, way in ((100, "move_east"), (8, "move_west")):
        world, one = World("H" + " " * 20 + " S  J\n"), agent()
        world.at = (0, 4)
        one.observe(world.look(**ALIGNER))
        world.at = (0, 22)
        assert one.step(world.look(home=False, **{**ALIGNER, "hp": hp, "energy": 8})).name == way


def test_a_hall_is_explored_to_its_end() -> None:
    world, one = World(LONG_HALL), agent()
    for _ in range(20):
        world.do(one.step(world.look(hp=100)))
    assert one.chart.junctions


def observations(steps: int, env: MettaGridConfig | None = None) -> Iterator[tuple[list[AgentObservation], Simulation]]:
    """Observations of all agents while `starter` plays, and the simulation as it is then."""
    env = env or mission("arena", steps=steps)
    simulation = Simulation(env, seed=3)
    players = policy_class("starter")(PolicyEnvInterface.from_mg_cfg(env))
    handles = [players.agent_policy(number) for number in range(env.game.num_agents)]
    for _ in range(steps):
        seen = simulation.observations()
        yield seen, simulation
        for number, handle in enumerate(handles):
            simulation.agent(number).set_action(handle.step(seen[number]))
        simulation.step()


@pytest.mark.parametrize("positions", [True, False])
def test_the_chart_is_true_while_another_policy_plays(positions: bool) -> None:
    env = mission("arena", steps=120)
    env.game.obs.global_obs.local_position = positions
    policy = CartographerPolicy(PolicyEnvInterface.from_mg_cfg(env))
    agents = [policy.agent_policy(number) for number in range(8)]
    labels: set[str] = set()
    solid: set[tuple[int, int]] = set()
    for step, (seen, simulation) in enumerate(observations(120, env)):
        for one, obs in zip(agents, seen, strict=True):
            one.observe(obs)
            if step % 7 == 0:
                labels.add(one.act().name)
        objects = list(simulation.grid_objects().values()) if step in (0, 60, 119) else []
        places = {o["agent_id"]: (o["r"], o["c"]) for o in objects if o["type_name"] == "agent" and step}
        # Whatever stood there since the start: an extractor that is used up elsewhere stays charted until it is seen.
        solid |= {(o["r"], o["c"]) for o in objects if o["type_name"] != "agent"}
        for number, place in places.items():
            charted = charted_around(agents[number].chart, place)
            assert len(charted) > 10
            assert charted <= solid
    assert labels <= set(ARENA.action_names)
    assert len(labels) > 3


def charted_around(chart: Chart, place: tuple[int, int]) -> set[tuple[int, int]]:
    """What the chart takes to be solid, in the simulator's rows and columns, if its agent stands at `place`."""
    rows, columns = place[0] - chart.here // SIDE, place[1] - chart.here % SIDE
    return {(rows + cell // SIDE, columns + cell % SIDE) for cell, what in enumerate(chart.grid) if what == SOLID}


def test_observing_and_acting_apart_is_stepping() -> None:
    split, whole = (CartographerPolicy(ARENA).agent_policy(6) for _ in range(2))
    for seen, _ in observations(80):
        split.observe(seen[6])
        assert split.act() == whole.step(seen[6])


def test_asking_twice_gives_the_same_answer() -> None:
    one = CartographerPolicy(ARENA).agent_policy(2)
    for seen, _ in observations(80):
        one.observe(seen[2])
        assert one.act() == one.act()


def test_an_episode_is_its_seed_and_a_reset_forgets_the_last_one() -> None:
    env = mission("arena", steps=150)
    assert_equal_outcomes(*[play("object", env, [CartographerPolicy], seed=4) for _ in range(2)])
    one, fresh = agent(), agent()
    for seen, _ in observations(30):
        one.step(seen[7])
    one.reset()
    for seen, _ in observations(10):
        assert one.step(seen[7]) == fresh.step(seen[7])


RUNNABLE = sorted(
    entry.name for entry in missions.catalogue() if entry.problem is None and entry.name != "easy_large_hearts"
)


@pytest.mark.parametrize("name", RUNNABLE)
def test_its_actions_are_legal_on_every_mission(name: str) -> None:
    env = missions.resolve(f"{name},max_steps=6")[0].config
    assert play("object", env, [CartographerPolicy], seed=1).steps == 6


def test_it_holds_many_junctions_of_the_arena_early_on() -> None:
    env = mission("arena", steps=300)
    ours = play("object", env, [CartographerPolicy], seed=2)
    theirs = play("object", env, ["starter"], seed=2)
    assert sum(ours.rewards) > 4 * sum(theirs.rewards)
    assert ours.game_stats["cogs/aligned.junction.gained"] >= 12
