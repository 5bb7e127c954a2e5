import itertools

import numpy as np
import pytest
from mettagrid.map_builder.ascii import AsciiMapBuilder
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.errors import MissionError
from daf.game import missions
from daf.game.mission import load_config
from daf.game.simulation import Simulation, convert, with_map_seed
from daf.policies.facility_solver import FacilitySolverPolicy
from tests.game.small_games import play

NAMES = ("training_facility_1", "training_facility_2", "assembler_2")
NORTH, SOUTH, WEST, EAST = 1, 2, 3, 4


def one(text):
    (mission,) = missions.resolve(text)
    return mission


def grid(mission, seed):
    builder = with_map_seed(mission.config, seed).game.map_builder
    return builder.create().build_for_num_agents(mission.num_agents).grid


def on_map(text, rows, **names):
    """The mission on a drawn map; its walls are #, its agents @."""
    env = one(text).config.model_copy(deep=True)
    env.game.map_builder = AsciiMapBuilder.Config(map_data=rows, char_to_map_name=names)
    return Simulation(env, convert(env), 0, [])


def act(simulation, *moves):
    """Each agent's reward for one step of all agents."""
    simulation._c_sim.actions()[:] = moves
    simulation._c_sim.step()
    return [round(float(reward), 3) for reward in simulation._c_sim.rewards()]


@pytest.mark.parametrize("name", NAMES)
def test_a_small_mission_is_found_by_name_and_runs(name):
    entry = next(entry for entry in missions.catalogue() if entry.name == name)
    mission = one(name)
    assert (entry.kind, entry.problem, entry.default_cogs) == ("mission", None, mission.num_agents)
    assert load_config(mission.config_json) == mission.config
    for options in ("", ",cogs=3,max_steps=50", ",variants=sparse+large+unshaped"):
        missions.check_runs(one(name + options))
    assert one(name).config_hash == mission.config_hash, "resolving with options changed the mission"


def test_the_three_missions_share_their_tokens_and_actions():
    """So that a curriculum may mix them, and a network trained on one can be played on another."""
    first, *others = [PolicyEnvInterface.from_mg_cfg(one(name).config) for name in NAMES]
    for other in others:
        assert other.obs_features == first.obs_features
        assert (other.tags, other.action_names, other.observation_shape, other.egocentric_shape) == (
            first.tags, first.action_names, first.observation_shape, first.egocentric_shape,
        )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_map_follows_the_episodes_seed(name):
    mission = one(name)
    assert (grid(mission, 7) == grid(mission, 7)).all()
    assert len({grid(mission, seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", ["", ",cogs=4", ",cogs=4,variants=sparse"])
def test_an_observation_has_room_for_all_that_can_be_seen(name, options):
    """The simulator ends an episode whose tokens overflow, so count the most that any place of many maps could show."""
    mission = one(name + options)
    game = mission.config.game
    resources = sum(f"{item}_extractor" in game.objects for item in ("carbon", "oxygen", "silicon"))
    drill = int("assembler" in game.objects)
    agent = 3 + drill + (1 if drill else resources)  # tag, group, id, drill, load
    around = agent * mission.num_agents + 4  # every agent in view, and the global tokens
    cost = {"wall": 1, "chest": 1, "assembler": 1 + resources}
    finite = any(thing.inventory.initial for thing in game.objects.values())
    cost |= {f"{item}_extractor": 2 if finite else 1 for item in ("carbon", "oxygen", "silicon")}
    disk = [(row, col) for row, col in itertools.product(range(-2, 3), repeat=2) if row**2 + col**2 <= 5]
    most = 0
    for seed in range(150):
        cells = grid(mission, seed)
        tokens = np.vectorize(lambda name: cost.get(name, 0))(cells)
        padded = np.pad(tokens, 2)
        height, width = tokens.shape
        seen = sum(padded[2 + row : 2 + row + height, 2 + col : 2 + col + width] for row, col in disk)
        most = max(most, int(seen[tokens == 0].max()))
    assert around + most <= game.obs.num_tokens, (around, most)


def test_digging_pays_a_little_and_bringing_pays_in_full():
    simulation = on_map("training_facility_1,cogs=1", ["#####", "#c@C#", "#####"], c="carbon_extractor", C="chest")
    assert [act(simulation, WEST) for _ in range(3)] == [[0.1]] * 3
    assert act(simulation, EAST) == [3.0]
    assert act(simulation, EAST) == [0.0]


def test_an_agent_carries_no_more_than_its_cargo():
    simulation = on_map("training_facility_1,cogs=1", ["#####", "#c@C#", "#####"], c="carbon_extractor", C="chest")
    assert [act(simulation, WEST) for _ in range(12)] == [[0.1]] * 10 + [[0.0]] * 2
    assert act(simulation, EAST) == [10.0]


def test_silicon_is_worth_three_times_the_carbon_and_extractors_run_dry():
    names = {"c": "carbon_extractor", "s": "silicon_extractor", "C": "chest"}
    simulation = on_map("training_facility_2,cogs=1", ["#####", "##s##", "#c@C#", "#####"], **names)
    act(simulation, WEST)
    assert act(simulation, EAST) == [1.0]
    act(simulation, NORTH)
    assert act(simulation, EAST) == [3.0]
    for _ in range(20):
        act(simulation, WEST)
        act(simulation, EAST)
    assert act(simulation, WEST) == [0.0]
    before = simulation._c_sim.observations()[0].copy()
    assert act(simulation, EAST) == [0.0]
    assert (before != simulation._c_sim.observations()[0]).any(), "where the extractor was, there is floor"


def test_an_assembler_pays_both_agents_for_what_two_drills_feed_it():
    names = {"c": "carbon_extractor", "o": "oxygen_extractor", "A": "assembler"}
    simulation = on_map("assembler_2", ["#######", "#c@A@o#", "#######"], **names)
    carbon_first = act(simulation, WEST, EAST) == [0.1, 0.1]
    if not carbon_first:
        pytest.fail("agent 0 has the carbon drill and agent 1 the oxygen drill")
    assert act(simulation, EAST, EAST) == [0.2, 0.1]
    assert act(simulation, 0, WEST) == [1.0, 1.4]
    assert simulation._c_sim.get_episode_stats()["game"]["batteries.made"] == 1
    assert act(simulation, WEST, WEST) == [0.1, 0.0]
    assert act(simulation, EAST, 0) == [1.2, 1.0]


def test_a_drill_digs_its_own_resource_only():
    names = {"c": "carbon_extractor", "o": "oxygen_extractor", "A": "assembler"}
    simulation = on_map("assembler_2", ["#######", "#o@A@c#", "#######"], **names)
    assert act(simulation, WEST, EAST) == [0.0, 0.0]


def test_unshaped_missions_pay_for_the_last_step_only():
    rows = ["#####", "#c@C#", "#####"]
    simulation = on_map("training_facility_1,cogs=1,variants=unshaped", rows, c="carbon_extractor", C="chest")
    assert [act(simulation, WEST), act(simulation, EAST)] == [[0.0], [1.0]]
    agents = one("assembler_2,variants=unshaped").config.game.agents
    assert [list(agent.rewards) for agent in agents] == [["made"], ["made"]]


def test_variants_change_the_map():
    plain, sparse, large = (one(f"training_facility_2{text}") for text in ("", ",variants=sparse", ",variants=large"))
    assert (grid(sparse, 1) == "carbon_extractor").sum() * 2 == (grid(plain, 1) == "carbon_extractor").sum()
    assert (grid(sparse, 1) == "wall").sum() == (grid(plain, 1) == "wall").sum()
    assert grid(large, 1).shape == (28, 28)


@pytest.mark.parametrize(("text", "says"), [
    ("training_facility_1,cogs=5", "takes 1 to 4 cogs"),
    ("assembler_2,cogs=1", "takes 2 to 4 cogs"),
    ("training_facility_1,variants=no_clips", "takes only its own variants"),
    ("assembler_2,variants=spars", "Nearest: sparse"),
    ("arena,variants=unshaped", 'no variant "unshaped"'),
    ("training_facility_3", "Nearest: training_facility"),
])  # fmt: skip
def test_what_a_small_mission_cannot_be_is_refused(text, says):
    with pytest.raises(MissionError, match=says):
        missions.resolve(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_scripted_solver_gets_far_more_than_three_times_what_random_gets(name):
    env = one(name).config
    converted = convert(env)
    means = {}
    for label, policy in (("solver", FacilitySolverPolicy), ("random", "random")):
        episodes = [play("object", env, [policy], seed=seed, converted=converted) for seed in range(100, 106)]
        means[label] = float(np.mean([episode.rewards for episode in episodes]))
    assert means["solver"] >= 10 * means["random"] > 0, means
