"""What the samples of training say is what the simulator did."""

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from mettagrid import MettaGridConfig
from mettagrid.config.game_value import RatioGameValue, stat, val
from mettagrid.config.reward_config import AgentReward, inventoryReward, reward

from daf.game import missions
from daf.game.training_samples import TrainingSampler
from daf.game.training_world import EndedEpisode, Games, Rows, World


def played(
    config: MettaGridConfig, sampler: TrainingSampler, *, environment: int = 0, seed: int = 0
) -> tuple[list[dict[str, Any]], EndedEpisode, World]:
    """Every record of one episode with random actions, and its end."""
    agents = config.game.num_agents
    games = Games([config])
    tokens = config.game.obs.num_tokens
    rows = Rows.empty(agents, tokens)
    world = World(environment, seed, games, rows)
    world.begin(0, 0)
    generator = np.random.default_rng(seed)
    records = []
    while True:
        rows.actions[:] = generator.integers(0, games.codes(0).actions, agents)
        end = world.step()
        records += sampler(world, end is not None)
        if end is not None:
            return records, end, world


def all_agents(config: MettaGridConfig, interval: int = 50) -> TrainingSampler:
    agents = config.game.num_agents
    return TrainingSampler(environments=1, agents_each=agents, agents=agents, interval=interval)


def config_of(mission: str) -> MettaGridConfig:
    return missions.resolve(mission)[0].config


@pytest.mark.parametrize(
    "mission",
    [
        "arena,max_steps=300",
        "tutorial.miner,max_steps=400",
        "training_facility_2",
        "assembler_2",
        "machina_1,max_steps=60",
    ],
)
def test_the_components_of_an_episodes_reward_add_up_to_the_simulators_total(mission: str) -> None:
    config = config_of(mission)
    records, end, _ = played(config, all_agents(config))
    last = [record for record in records if record["step"] == end.steps]
    assert [record["agent"] for record in last] == list(range(config.game.num_agents))
    for record, returned in zip(last, end.returns, strict=True):
        rewards = record["rewards"]
        assert rewards["total"] == pytest.approx(returned, abs=1e-6)
        assert sum(rewards["components"].values()) == pytest.approx(returned, abs=1e-3, rel=1e-4)
        agent = (config.game.agents or [config.game.agent] * config.game.num_agents)[record["agent"]]
        assert list(rewards["components"]) == list(agent.rewards)


def test_every_kind_of_entry_that_can_be_read_off_has_the_share_that_the_simulator_gave() -> None:
    entries = {
        "energy held": inventoryReward("energy", weight=0.5),
        "energy lost, at most 30": reward(stat("energy.lost"), max=30),
        "hp, at least 5": reward(stat("hp.lost"), weight=-1.0, min=5),
        "logarithms": reward([stat("energy.lost"), stat("solar.gained")], weight=0.25, log=True),
        "ratio": AgentReward(reward=RatioGameValue(numerator=stat("hp.gained"), denominator=stat("energy.lost"))),
        "over nothing": AgentReward(reward=RatioGameValue(numerator=stat("hp.gained"), denominator=stat("none"))),
        "of the game": reward(stat("game.objects.junction"), weight=0.1),
        "each step": reward(val(0.25), per_tick=True),
    }
    alone = {}
    for name, entry in entries.items():  # what the simulator gives for each alone
        config = with_rewards({name: entry})
        _, end, _ = played(config, all_agents(config))
        alone[name] = end.returns
    config = with_rewards(entries)
    records, end, _ = played(config, all_agents(config))
    for record in records[-config.game.num_agents :]:
        components = record["rewards"]["components"]
        for name, returns in alone.items():
            assert components[name] == pytest.approx(returns[record["agent"]], rel=1e-4, abs=1e-4), name
        assert "other" not in components


def with_rewards(entries: dict[str, AgentReward]) -> MettaGridConfig:
    config = config_of("tutorial.miner,max_steps=200").model_copy(deep=True)
    for agent in (config.game.agent, *config.game.agents):
        agent.rewards = dict(entries)
    return config


def test_samples_that_cannot_be_distinguished_are_grouped_under_other() -> None:
    sums = {"held": inventoryReward("energy", per_tick=True), "hp": inventoryReward("hp", per_tick=True)}
    config = with_rewards({"lost": reward(stat("energy.lost")), **sums})
    records, end, _ = played(config, all_agents(config))
    components = records[-1]["rewards"]["components"]
    assert list(components) == ["lost", "other"]
    assert sum(components.values()) == pytest.approx(end.returns[-1], rel=1e-5)

    config = with_rewards({"lost": reward(stat("energy.lost")), "held": sums["held"]})
    records, end, _ = played(config, all_agents(config))
    assert list(records[-1]["rewards"]["components"]) == ["lost", "held"]


def test_positions_inventories_and_actions_are_the_simulators() -> None:
    config = config_of("tutorial.miner,max_steps=120")
    records, end, world = played(config, all_agents(config, interval=1))
    simulation = world.simulation
    assert simulation is not None
    last = records[-config.game.num_agents :]
    bodies = {body["agent_id"]: body for body in simulation.grid_objects().values() if body["type_name"] == "agent"}
    for record in last:
        body = bodies[record["agent"]]
        assert (record["position"]["x"], record["position"]["y"]) == body["location"]
        assert record["player_status"]["vibe"] == body["vibe"]
        held = {config.game.resource_names[item]: amount for item, amount in body["inventory"].items()}
        assert record["player_status"]["inventory"] == held
    of_first = [record for record in records if record["agent"] == 0]
    assert [record["step"] for record in of_first] == list(range(1, end.steps + 1))
    assert sum(record["rewards"]["step"] for record in of_first) == pytest.approx(end.returns[0], abs=1e-4)
    names = simulation.action_names
    chosen = {names[record["actions"]["last_action"]] for record in of_first}
    assert chosen == {"noop", "move_north", "move_south", "move_east", "move_west"}
    for before, after in itertools.pairwise(of_first):  # a cog moves as it says, or is held up
        dx, dy = (after["position"][axis] - before["position"][axis] for axis in "xy")
        assert (dx, dy) in {(0, 0), _MOVES[names[after["actions"]["last_action"]]]}


_MOVES = {"noop": (0, 0), "move_north": (0, -1), "move_south": (0, 1), "move_east": (1, 0), "move_west": (-1, 0)}


def test_only_the_agents_chosen_are_sampled_every_interval_and_at_the_end() -> None:
    config = config_of("tutorial.miner,max_steps=50")
    sampler = TrainingSampler(environments=64, agents_each=4, agents=4, interval=16)
    sampler = pickle.loads(pickle.dumps(sampler))
    found = {environment: played(config, sampler, environment=environment)[0] for environment in (0, 1, 16, 63)}
    assert [(record["agent"], record["step"]) for record in found[16]] == [(0, 16), (0, 32), (0, 48), (0, 50)]
    assert {environment for environment, records in found.items() if records} == {0, 16}
    none = TrainingSampler(environments=64, agents_each=4, agents=0, interval=16)
    assert played(config, none)[0] == []


def test_more_agents_than_there_are_is_all_of_them() -> None:
    config = config_of("tutorial.miner,max_steps=10")
    sampler = TrainingSampler(environments=2, agents_each=4, agents=100, interval=10)
    for environment in (0, 1):
        records, _, _ = played(config, sampler, environment=environment)
        assert [record["agent"] for record in records] == [0, 1, 2, 3]
        assert all(math.isfinite(value) for record in records for value in record["statistics"].values())
