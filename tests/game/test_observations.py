"""Shared tokens answer everything that upstream's own tokens answer, and cannot be changed."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from mettagrid.simulator.interface import AgentObservation, ObservationToken
from small_games import mission

from daf.game import observations
from daf.game.observations import Frame, Observation, TokenMutation
from daf.game.simulation import Simulation, convert, with_map_seed


@pytest.fixture(scope="module")
def arena():
    env = mission("arena", steps=40)
    return with_map_seed(env, 5), convert(env)


def started(arena, steps=0):
    env, converted = arena
    simulation = Simulation(env, converted, 5, [])
    for step in range(steps):
        simulation._c_sim.actions()[:] = [(step + agent) % 5 for agent in range(8)]
        simulation.step()
    return simulation, converted.tokens


def observe(simulation, table, agent=0):
    return Observation(agent, Frame(table, simulation._c_sim.observations()), [])


def test_every_token_of_every_agent_answers_as_upstreams_does(arena):
    for steps in (0, 1, 25):
        simulation, table = started(arena, steps)
        frame = Frame(table, simulation._c_sim.observations())
        for agent in range(8):
            ours = Observation(agent, frame, [])
            theirs = simulation.agent(agent).observation
            assert isinstance(ours, AgentObservation)
            assert len(ours.tokens) == len(theirs.tokens) > 100
            for mine, other in zip(ours.tokens, theirs.tokens, strict=True):
                assert isinstance(mine, ObservationToken)
                assert mine.feature == other.feature
                assert (type(mine.value), mine.value) == (int, other.value)
                assert mine.raw_token.dtype == other.raw_token.dtype
                assert mine.raw_token.tolist() == other.raw_token.tolist()
                assert mine.location == other.location
                assert type(mine.location) is type(other.location)
                assert (mine.is_global, mine.row(), mine.col()) == (other.is_global, other.row(), other.col())
            assert ours == theirs
            assert ours.talk == theirs.talk == []


def test_equal_tokens_are_one_object_across_agents_steps_and_episodes(arena):
    first, table = started(arena)
    second, _ = started(arena)
    assert all(a is b for a, b in zip(observe(first, table).tokens, observe(second, table).tokens, strict=True))


def test_an_observation_that_is_kept_stays_what_it_was(arena):
    simulation, table = started(arena)
    kept = [observe(simulation, table, agent) for agent in range(8)]
    before = [[token.raw_token.tolist() for token in simulation.agent(agent).observation.tokens] for agent in range(8)]
    for _ in range(5):
        simulation._c_sim.actions()[:] = 1
        simulation.step()
    assert [[token.raw_token.tolist() for token in observation.tokens] for observation in kept] == before
    assert before[0] != [token.raw_token.tolist() for token in simulation.agent(0).observation.tokens]


@pytest.mark.parametrize("name", ["feature", "value", "raw_token", "location", "is_global", "note"])
def test_a_token_cannot_be_changed(arena, name):
    token = observe(*started(arena)).tokens[0]
    with pytest.raises(TokenMutation):
        setattr(token, name, None)
    with pytest.raises(TokenMutation):
        delattr(token, name)
    with pytest.raises(ValueError, match="read-only"):
        token.raw_token[0] = 1


def test_an_observation_itself_belongs_to_its_policy(arena):
    observation, other = (observe(*started(arena)) for _ in range(2))
    observation.tokens.clear()
    other.tokens = other.tokens[:3]
    assert (len(observation.tokens), len(other.tokens)) == (0, 3)
    assert len(observe(*started(arena)).tokens) > 100


def test_tokens_and_observations_can_be_copied_and_sent(arena):
    observation = observe(*started(arena))
    token = observation.tokens[0]
    assert copy.deepcopy(token) is token
    assert copy.copy(token) is token
    assert pickle.loads(pickle.dumps(token)) == token
    assert replace(token, value=token.value + 1).value == token.value + 1
    sent = pickle.loads(pickle.dumps(observe(*started(arena))))
    assert type(sent) is AgentObservation
    assert sent.tokens == observation.tokens
    assert copy.deepcopy(observation).tokens == observation.tokens


def test_tokens_differ_where_upstreams_would(arena):
    tokens = observe(*started(arena)).tokens
    first = tokens[0]
    plain = ObservationToken(feature=first.feature, value=first.value, raw_token=tuple(first.raw_token))
    assert first == plain
    assert first != replace(plain, value=first.value + 1)
    assert first != "token"
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)


def test_a_full_buffer_without_an_end_mark_is_read_to_its_end(arena):
    _, table = started(arena)
    feature = next(iter(table.features))
    buffer = np.full((2, 6, 3), 0, dtype=np.uint8)
    buffer[:, :, 1] = feature
    buffer[1, 2:, 1] = 0xFF
    frame = Frame(table, buffer)
    assert [len(frame.tokens(0)), len(frame.tokens(1))] == [6, 2]


def test_the_table_of_tokens_stays_bounded(arena, monkeypatch):
    monkeypatch.setattr(observations, "TABLE_LIMIT", 200)
    env, _ = arena
    table = convert(env).tokens
    simulation, _ = started(arena)
    for _ in range(20):
        simulation._c_sim.actions()[:] = 2
        simulation.step()
        tokens = [observe(simulation, table, agent).tokens for agent in range(8)]
        assert tokens[7] == simulation.agent(7).observation.tokens
    seen_in_one_step = sum(len(set(map(id, agent))) for agent in tokens)
    assert len(table) <= 200 + seen_in_one_step
