"""Batched episodes: a network's own logits, and records that no batch mate can change."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy, NimMultiAgentPolicy, StatefulAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action
from mettagrid.simulator.replay_log_writer import InMemoryReplayWriter
from small_games import CLASSES, mission, play, policy_class

from daf.game import batch_networks
from daf.game.batch_networks import ROWS, Block, adapter_for
from daf.game.batch_rollout import BatchPlay, not_batched, play_batch
from daf.game.outcome import Outcome
from daf.game.seeding import own_generators, seed_everything
from daf.game.simulation import Simulation, convert, with_map_seed
from tests.conftest import thinned

NETWORKS = (
    "lstm",
    "cogames_lstm",
    "puffer",
    "pufferlib_cogs",
    "pufferlib_cogs_lstm",
    "tutorial",
    "stateless",
    "token_grid",
    "token_lstm",
    "trainable",
)
CLASSES["stateless"] = "mettagrid.policy.stateless.StatelessPolicy"


def network(name, env, tmp_path=None):
    """A policy with drawn weights; `pufferlib_cogs_lstm` is `pufferlib_cogs` with a recurrent checkpoint."""
    torch.set_num_threads(1)
    interface = PolicyEnvInterface.from_mg_cfg(env)
    base = "pufferlib_cogs" if name == "pufferlib_cogs_lstm" else name
    cls = policy_class(base)
    with own_generators():
        seed_everything("weights", name)
        policy = cls(interface)
        if base != name:
            import pufferlib.models

            recurrent = pufferlib.models.LSTMWrapper(policy._shim_env, policy._net, input_size=256, hidden_size=256)
            torch.save(recurrent.state_dict(), tmp_path / "weights.pt")
            policy.load_policy_data(str(tmp_path / "weights.pt"))
        # untrained heads give almost equal logits; these tell actions apart
        for parameter in policy.network().parameters():
            if parameter.dim() > 1:
                parameter.data *= 2
    return policy


@pytest.fixture(scope="module")
def arena():
    env = mission("arena", steps=30)
    return env, convert(env)


def batch_play(arena, policies, seed, *, assignment=None, handlers=tuple):
    """An episode whose `policies` are objects to share, or short names to build anew."""
    env, converted = arena
    env = with_map_seed(env, seed)
    agents = env.game.num_agents
    classes = [policy if not isinstance(policy, str | type) else policy_class(policy) for policy in policies]

    def build():
        seed_everything("policies", seed)
        interface = PolicyEnvInterface.from_mg_cfg(env)
        built = [cls(interface) if isinstance(cls, type) else cls for cls in classes]
        seed_everything("episode", seed)
        return built

    return BatchPlay(
        env=env,
        build=build,
        assignment=assignment or [agent % len(policies) for agent in range(agents)],
        seed=seed,
        policy_names=[f"policy {index}" for index in range(len(policies))],
        converted=converted,
        handlers=handlers,
    )


# Adapters


def own_logits(policy, monkeypatch, observations):
    """What the policy's network answers when its agents `step` through `observations`, one list of logits per agent."""
    heard = []
    net = policy.network()
    name = "forward" if type(policy).__name__ == "TutorialPolicy" else "forward_eval"
    original = getattr(net, name)

    def listening(*args, **kwargs):
        result = original(*args, **kwargs)
        heard.append(result[0].detach().clone())
        return result

    with monkeypatch.context() as patch:
        patch.setattr(net, name, listening)
        for agent, steps in enumerate(observations):
            handle = policy.agent_policy(agent)
            if isinstance(handle, StatefulAgentPolicy):
                handle.reset()
            for observation in steps:
                handle.step(observation)
    return torch.cat(heard).reshape(len(observations), len(observations[0]), -1)


@pytest.mark.parametrize("name", ["arena", "memory_mystery_path_easy"])
@pytest.mark.parametrize("policy_name", NETWORKS)
def test_an_adapters_logits_are_its_classs_own(policy_name, name, tmp_path, monkeypatch):
    env = with_map_seed(mission(name, steps=40), 3)
    policy = network(policy_name, env, tmp_path)
    simulation = Simulation(env, convert(env), 3, [])
    agents, steps = min(4, env.game.num_agents), 6
    seen = [[] for _ in range(agents)]
    raw = []
    for step in range(steps):
        raw.append(simulation._c_sim.observations()[:agents].copy())
        for agent in range(agents):
            seen[agent].append(simulation.agent(agent).observation)
            for token in seen[agent][-1].tokens:
                token.raw_token = token.raw_token.copy()  # upstream's tokens look into a buffer that goes on changing
        simulation._c_sim.actions()[:] = [(step + agent) % 5 for agent in range(env.game.num_agents)]
        simulation.step()
    expected = own_logits(policy, monkeypatch, seen)

    logits = []
    adapter = adapter_for(policy)
    with monkeypatch.context() as patch:
        block = Block(policy, adapter)

        def listening(policy, observations, state):
            result = adapter.forward(policy, observations, state)
            logits.append(result[0][rows].clone())
            return result

        patch.setattr(block, "_adapter", replace(adapter, forward=listening))
        rows = block.take(agents)
        for observations in raw:
            block.observations[rows] = observations
            block.run()
    ours = torch.stack(logits, dim=1)
    assert ours.shape == expected.shape
    worst = float((ours - expected).abs().max())
    assert worst <= 1e-5, worst
    assert float(expected.std()) > 1e-3, "the logits are all alike, so that this test would notice nothing"


def test_what_follows_the_end_of_an_observation_is_padding(arena):
    env, converted = arena
    simulation = Simulation(with_map_seed(env, 1), converted, 1, [])
    for _ in range(20):
        buffer = simulation._c_sim.observations()
        ended = np.maximum.accumulate(buffer[:, :, 1] == 0xFF, axis=1)
        assert ended.any(axis=1).all()
        assert (buffer[ended] == 0xFF).all()
        simulation._c_sim.actions()[:] = 1
        simulation.step()


def test_a_row_that_is_full_keeps_all_its_tokens():
    full = np.arange(2 * 6 * 3, dtype=np.uint8).reshape(2, 6, 3)
    full[1, 4:] = 0xFF
    marked = batch_networks._marked(full)
    assert (marked[0] == full[0]).all()
    assert (marked[1, :4] == full[1, :4]).all()
    assert marked[1, 4:].tolist() == [[255, 0, 0]] * 2


@pytest.mark.parametrize("policy_name", NETWORKS)
def test_a_row_of_a_block_depends_on_nothing_but_itself(arena, policy_name, tmp_path):
    env, converted = arena
    policy = network(policy_name, env, tmp_path)
    simulation = Simulation(with_map_seed(env, 2), converted, 2, [])
    shown = []
    for step in range(3):
        shown.append(simulation._c_sim.observations().copy())
        simulation._c_sim.actions()[:] = [(step + agent) % 5 for agent in range(8)]
        simulation.step()
    rng = np.random.default_rng(0)
    results = []
    for arrangement in range(6):
        logits = []
        adapter = adapter_for(policy)

        def listening(policy, observations, state, adapter=adapter, logits=logits):
            result = adapter.forward(policy, observations, state)
            logits.append(result[0].clone())
            return result

        block = Block(policy, replace(adapter, forward=listening))
        block.take(ROWS)
        places = np.arange(8) if arrangement == 0 else rng.permutation(ROWS)[:8]
        for observations in shown:
            if arrangement > 1:
                block.observations[:] = rng.permutation(np.concatenate([observations] * (ROWS // 8)))
            block.observations[places] = observations
            block.run()
        results.append(torch.stack(logits)[:, places])
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_actions_are_drawn_as_often_as_the_network_says(arena):
    policy = network("lstm", arena[0])
    logits = torch.tensor([2.0, 0.0, -1.0, 1.0, -30.0])
    adapter = replace(adapter_for(policy), forward=lambda policy, observations, state: (logits.expand(ROWS, -1), state))
    block = Block(policy, adapter)
    draws = np.random.default_rng(5)
    counts, rounds = np.zeros(5), 600
    for _ in range(rounds):
        block.draws[:] = draws.random(ROWS)
        counts += np.bincount(block.run(), minlength=5)
    total = rounds * ROWS
    expected = torch.softmax(logits.double(), 0).numpy()
    assert counts[4] == 0
    assert (np.abs(counts / total - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / total)).all(), counts / total
    block.draws[:] = 0.0
    assert (block.run() == 0).all()
    block.draws[:] = np.nextafter(1.0, 0.0)
    assert (block.run() <= 4).all()


# Episodes


def test_an_episode_is_repeated_and_follows_its_seed(arena):
    policy = network("lstm", arena[0])
    first, other, again = play_batch([batch_play(arena, [policy], seed) for seed in (1, 2, 1)])
    assert first == again
    assert first != other
    assert first.steps == 30
    assert any(stats.get("action.move.success", 0) for stats in first.agent_stats)


@pytest.mark.parametrize(
    "teams", thinned([["lstm", "random"], ["lstm"], ["lstm", "starter"], ["puffer", "tutorial", "noop"]], 4)
)
def test_batch_mates_change_nothing(arena, teams):
    policies = [network(name, arena[0]) if name in NETWORKS else name for name in teams]

    def plays(*seeds):
        return [batch_play(arena, policies, seed) for seed in seeds]

    alone = {seed: play_batch(plays(seed))[0] for seed in range(6)}
    assert all(isinstance(outcome, Outcome) for outcome in alone.values())
    assert len({outcome.agent_stats[0].values().__repr__() for outcome in alone.values()}) > 1
    assert play_batch(plays(0, 1, 2, 3, 4, 5)) == [alone[seed] for seed in (0, 1, 2, 3, 4, 5)]
    assert play_batch(plays(5, 3, 1, 4, 2, 0)) == [alone[seed] for seed in (5, 3, 1, 4, 2, 0)]
    assert play_batch(plays(2, 0, 1), interleaved=2) == [alone[seed] for seed in (2, 0, 1)]
    other = network("lstm", arena[0])
    strangers = [batch_play(arena, [other, policies[0]], seed) for seed in (7, 8)]
    mixed = play_batch([strangers[0], *plays(3), strangers[1], *plays(0)])
    assert (mixed[1], mixed[3]) == (alone[3], alone[0])


def test_episodes_of_different_lengths_and_games_share_a_batch(arena):
    short = mission("arena", steps=7)
    small = mission("memory_mystery_path_easy", steps=50)
    games = [arena, (short, convert(short)), (small, convert(small))]
    policies = [network("lstm", arena[0]), None, network("lstm", small)]
    policies[1] = policies[0]
    plays = [batch_play(game, [policy], 4) for game, policy in zip(games, policies, strict=True)]
    alone = [play_batch([one])[0] for one in plays]
    assert play_batch([*plays, *plays[::-1]]) == [*alone, *alone[::-1]]
    assert [outcome.steps for outcome in alone[:2]] == [30, 7]


def test_a_team_larger_than_a_block_is_played(monkeypatch):
    env = mission("four_score", steps=4)
    game = env, convert(env)
    policy = network("lstm", env)
    plays = [batch_play(game, [policy, "noop"], 1), batch_play(game, [policy], 2)]
    assert env.game.num_agents == ROWS
    together = play_batch(plays)
    assert [outcome.steps for outcome in together] == [4, 4]
    monkeypatch.setattr("daf.game.batch_rollout.ROWS", 8)  # as if blocks were started for other episodes first
    assert play_batch(plays) == together


def test_scripted_agents_of_a_batch_play_what_object_plays(arena):
    env, _ = arena
    teams = ["starter", "random", "noop"]
    batched = play_batch([batch_play(arena, teams, seed) for seed in (1, 2, 3)])
    assert batched == [play("object", env, teams, seed=seed) for seed in (1, 2, 3)]


def test_a_greedy_network_plays_what_object_plays(arena):
    env, _ = arena
    policy = network("trainable", env)
    shared = type("Shared", (), {"__new__": lambda cls, interface: policy})
    (batched,) = play_batch([batch_play(arena, [policy], 5)])
    assert batched == play("object", env, [shared], seed=5)


def test_the_callers_generators_are_left_alone(arena):
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(2), np.random.rand(2)
    torch.manual_seed(3)
    np.random.seed(3)
    play_batch([batch_play(arena, [network("lstm", arena[0]), "random"], seed) for seed in (1, 2)])
    assert torch.equal(torch.rand(2), expected[0])
    assert (np.random.rand(2) == expected[1]).all()


def test_handlers_follow_a_batched_episode(arena):
    policy = network("lstm", arena[0])
    writers = []

    def handlers():
        writers.append(InMemoryReplayWriter())
        return [writers[-1]]

    plays = [batch_play(arena, [policy, "starter"], seed, handlers=handlers) for seed in (1, 2)]
    plain = [batch_play(arena, [policy, "starter"], seed) for seed in (1, 2)]
    assert play_batch(plays) == play_batch(plain)
    replays = [writer.get_completed_replays()[0].get_replay_data() for writer in writers]
    assert [replay["max_steps"] for replay in replays] == [30, 30]
    agents = [thing for thing in replays[0]["objects"] if "agent_id" in thing]
    assert {agent["policy_infos"]["policy_name"] for agent in agents} == {"policy 0", "policy 1"}


# Failures


class Failing(MultiAgentPolicy):
    """Its agents give up at their fourth step."""

    short_names = None

    def agent_policy(self, agent_id):
        return _FailingAgent(self._policy_env_info)


class _FailingAgent(AgentPolicy):
    steps = 0

    def step(self, obs):
        self.steps += 1
        if self.steps == 4:
            raise RuntimeError("gave up")
        return Action("noop")


def test_an_episode_that_fails_takes_no_other_with_it(arena):
    policy = network("lstm", arena[0])
    good = [batch_play(arena, [policy], seed) for seed in (1, 2)]
    bad = batch_play(arena, [policy, Failing], 3)
    broken = replace(good[0], assignment=[0, 9])
    results = play_batch([good[0], bad, broken, good[1]])
    assert [results[0], results[3]] == play_batch(good)
    assert isinstance(results[1], RuntimeError)
    assert str(results[1]) == "gave up"
    assert isinstance(results[2], IndexError)


def test_where_a_network_call_fails_each_episode_is_played_by_itself(arena, monkeypatch):
    policy = network("lstm", arena[0])
    plays = [batch_play(arena, [policy], seed) for seed in (1, 2, 3)]
    expected = play_batch(plays)
    calls = []
    original = Block.run

    def run(self):
        calls.append(len(self.taken))
        if len(self.taken) > 8 and len(calls) > 10:
            raise RuntimeError("out of memory")
        return original(self)

    monkeypatch.setattr(Block, "run", run)
    assert play_batch(plays) == expected
    assert calls[:11] == [24] * 11
    assert set(calls[11:]) == {8}


def test_a_network_that_always_fails_fails_its_episodes_only(arena, monkeypatch):
    policy, other = network("lstm", arena[0]), network("puffer", arena[0])
    good = batch_play(arena, [other], 1)

    def forward_eval(*args):
        raise RuntimeError("no such weight")

    monkeypatch.setattr(policy.network(), "forward_eval", forward_eval)
    results = play_batch([batch_play(arena, [policy], 1), good, batch_play(arena, [policy], 2)])
    assert [str(results[index]) for index in (0, 2)] == ["no such weight"] * 2
    assert results[1] == play_batch([good])[0]


def test_an_episode_whose_network_cannot_be_had_leaves_its_rows_to_others(arena, monkeypatch):
    policy, without = network("lstm", arena[0]), network("puffer", arena[0])
    monkeypatch.setattr(without, "network", lambda: None)
    good = [batch_play(arena, [policy], seed) for seed in (1, 2, 3, 4)]
    expected = play_batch(good)
    running = []
    original = Block.run
    monkeypatch.setattr(Block, "run", lambda self: (running.append(len(self.taken)), original(self))[1])
    results = play_batch([batch_play(arena, [policy, without], 5), *good])
    assert isinstance(results[0], AttributeError)
    assert results[1:] == expected
    assert set(running) == {32}


def test_logits_that_are_no_numbers_end_the_episode(arena):
    policy = network("lstm", arena[0])
    policy.network()._action_head.bias.data[1] = float("nan")
    (result,) = play_batch([batch_play(arena, [policy], 1)])
    assert isinstance(result, ValueError)
    assert "are not numbers" in str(result)


# step_batch


class _Native:
    """What a Nim policy offers, in Python: every agent acts by its number of tokens."""

    def __init__(self, config_json):
        self.calls = []

    def step_batch(self, ids, count, agents, tokens, width, observations, actions_known, actions):
        self.calls.append(count)
        size = agents * tokens * width
        seen = np.ctypeslib.as_array(ctypes.cast(observations, ctypes.POINTER(ctypes.c_uint8)), (size,))
        seen = seen.reshape(agents, tokens, width)
        chosen = np.ctypeslib.as_array(ctypes.cast(actions, ctypes.POINTER(ctypes.c_int32)), (agents,))
        for agent in ids[:count]:
            chosen[agent] = (int((seen[agent, :, 1] != 255).sum()) + agent) % actions_known


class Native(NimMultiAgentPolicy):
    short_names = None

    def __init__(self, info, device="cpu"):
        super().__init__(info, _Native)


def test_native_policies_are_given_the_simulators_buffers(arena):
    env, _ = arena
    made = []

    class Noted(Native):
        short_names = None

        def __init__(self, info, device="cpu"):
            super().__init__(info)
            made.append(self)

    batched = play_batch([batch_play(arena, [Noted], seed) for seed in (1, 2)])
    assert batched == [play("object", env, [Native], seed=seed) for seed in (1, 2)]
    assert [policy._nim_policy.calls for policy in made] == [[8] * 30] * 2


def test_what_gains_nothing_from_a_batch_says_why(arena):
    env, _ = arena
    interface = PolicyEnvInterface.from_mg_cfg(env)
    assert not_batched(network("lstm", env), 4, 8) is None
    assert not_batched(policy_class("noop")(interface), 4, 8) is None
    assert not_batched(Native(interface), 8, 8) is None
    assert not_batched(Native(interface), 4, 8) == "Native has no adapter for batches"
    assert not_batched(policy_class("starter")(interface), 8, 8) == "StarterPolicy has no adapter for batches"


def test_a_subclass_of_a_known_network_has_no_adapter(arena):
    lstm = policy_class("lstm")
    own = type("OwnLSTM", (lstm,), {"short_names": None})
    assert adapter_for(own(PolicyEnvInterface.from_mg_cfg(arena[0]))) is None
