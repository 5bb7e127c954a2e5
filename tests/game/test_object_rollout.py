"""The object engine plays what upstream's Rollout plays, to the bit."""

import gc
import random
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy, PolicySpec
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.runner.rollout import resolve_env_for_seed, run_multi_episode_rollout
from mettagrid.simulator import Action
from mettagrid.simulator.interface import SimulatorEventHandler
from mettagrid.simulator.replay_log_writer import InMemoryReplayWriter
from small_games import CLASSES, TEAM, all_missions, all_variants, assert_equal_outcomes, mission, play, policy_class

from daf.game.object_rollout import play_object, unsupported
from daf.game.observations import TokenMutation
from daf.game.outcome import Outcome
from daf.game.simulation import Simulation, convert, with_map_seed
from tests.conftest import thinned

SCRIPTED = ("noop", "starter", "miner", "scout", "aligner", "scrambler", "tutorial_noop")
SOLVERS = {
    "memory_mystery_path": "substrate_memory",
    "exploration_sparse_search": "substrate_exploration",
    "planning_unlock_chain": "substrate_planning",
}
NO_ROOM = "Number of agents 8 exceeds available spawn points 4 in map."
BIG_MAP = "easy_large_hearts"  # its map alone takes five seconds to build


def runnable():
    return [name for name in all_missions() if name != "easy_hearts_training" and not name.startswith("diagnostic_")]


def cog_limit(name):
    return 2 if name.startswith("diagnostic_") else None


# Parity with the reference


@pytest.mark.parametrize(
    "name", thinned((name for name in all_missions() if name not in ("easy_hearts_training", BIG_MAP)), 4)
)
def test_object_equals_reference_on_every_mission(name):
    env = mission(name, steps=40, cogs=cog_limit(name))
    shared = convert(env)
    play("object", env, ["starter"], seed=8, converted=shared)  # whatever it leaves behind in `shared` must not matter
    ours = play("object", env, TEAM, seed=3, converted=shared)
    assert_equal_outcomes(ours, play("reference", env, TEAM, seed=3))


@pytest.mark.parametrize("policy", thinned(SCRIPTED, 3))
def test_object_equals_reference_for_each_policy(policy):
    env = mission("arena", steps=150)
    assert_equal_outcomes(play("object", env, [policy], seed=11), play("reference", env, [policy], seed=11))


@pytest.mark.parametrize("name", [name for name in all_missions() if name.rpartition("_")[0] in SOLVERS])
def test_object_equals_reference_for_the_solvers_of_the_evals_in_full(name):
    policy = SOLVERS[name.rpartition("_")[0]]
    env = mission(name)
    assert_equal_outcomes(play("object", env, [policy], seed=2), play("reference", env, [policy], seed=2))


def test_object_equals_reference_for_policies_that_draw_from_the_global_generators():
    env = mission("arena", steps=100)
    ours = play("object", env, ["random", "starter"], seed=4)
    assert_equal_outcomes(ours, play("reference", env, ["random", "starter"], seed=4))
    assert ours != play("object", env, ["random", "starter"], seed=5)


def test_object_equals_reference_for_a_network():
    env = mission("arena", steps=10)
    teams = ["lstm", "starter"]
    assert_equal_outcomes(play("object", env, teams, seed=4), play("reference", env, teams, seed=4))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("policy", [*SCRIPTED, "random", "mixed"])
@pytest.mark.parametrize("name", runnable())
def test_object_equals_reference_in_full_length(name, policy):
    env = mission(name)
    policies = TEAM if policy == "mixed" else [policy]
    assert_equal_outcomes(play("object", env, policies, seed=21), play("reference", env, policies, seed=21))


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(["arena", "machina_1", "tutorial", "energy_starved"]),
    variants=st.lists(st.sampled_from(all_variants()), unique=True, max_size=2),
    cogs=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
    teams=st.lists(st.sampled_from([*TEAM, "random"]), min_size=1, max_size=3),
    data=st.data(),
)
def test_object_equals_reference_whatever_is_played(name, variants, cogs, seed, teams, data):
    env = mission(name, steps=20, cogs=cogs, variants=variants)
    agents = env.game.num_agents
    assignment = data.draw(st.lists(st.integers(0, len(teams) - 1), min_size=agents, max_size=agents))
    ours, reference = (outcome_or_error(engine, env, teams, assignment, seed) for engine in ("object", "reference"))
    if isinstance(reference, Outcome):
        assert_equal_outcomes(ours, reference)
    assert ours == reference


def outcome_or_error(engine, env, teams, assignment, seed):
    """The outcome, or the error that this combination of variants ends in."""
    try:
        return play(engine, env, teams, assignment, seed=seed)
    except (ValueError, RuntimeError, KeyError) as error:
        return type(error), str(error)


def test_object_equals_what_upstreams_own_evaluation_plays():
    env = mission("arena", steps=60)
    specs = [PolicySpec(class_path=CLASSES[name]) for name in ("starter", "noop")]
    assignment = [0, 0, 0, 0, 0, 1, 1, 1]
    upstream, _ = run_multi_episode_rollout(
        policy_specs=specs, assignments=assignment, env_cfg=env, episodes=2, seed=30, max_action_time_ms=10_000
    )
    shuffler, order = random.Random(30), list(assignment)
    for index, episode in enumerate(upstream.episodes):
        shuffler.shuffle(order)
        ours = play("object", env, ["starter", "noop"], order, seed=30 + index)
        assert ours.rewards == tuple(episode.rewards)
        assert ours.steps == episode.steps
        assert ours.game_stats == episode.stats["game"]
        assert list(ours.agent_stats) == episode.stats["agent"]
        assert ours.time_averaged_game_stats == episode.time_averaged_game_stats


def test_missions_that_upstream_cannot_run_fail_alike():
    failing = [name for name in all_missions() if name not in runnable()]
    assert failing == [
        "easy_hearts_training",
        "diagnostic_chest_navigation1",
        "diagnostic_chest_navigation2",
        "diagnostic_chest_navigation3",
        "diagnostic_chest_deposit_near",
        "diagnostic_chest_deposit_search",
        "diagnostic_charge_up",
        "diagnostic_memory",
        "diagnostic_chest_navigation1_hard",
        "diagnostic_chest_navigation2_hard",
        "diagnostic_chest_navigation3_hard",
        "diagnostic_chest_deposit_search_hard",
        "diagnostic_charge_up_hard",
        "diagnostic_memory_hard",
    ]
    for name in failing:
        env = mission(name, steps=5)
        for engine in ("object", "reference"):
            with pytest.raises(ValueError) as error:
                play(engine, env, ["noop"])
            assert str(error.value) == NO_ROOM, (name, engine)


# Parts that episodes share


@pytest.mark.parametrize("name", ["arena", "memory_mystery_path_easy", "exploration_sparse_search_easy", "four_score"])
def test_an_episodes_configuration_is_upstreams(name):
    env = mission(name)
    before = env.model_dump(mode="json")
    assert with_map_seed(env, 9).model_dump(mode="json") == resolve_env_for_seed(env, 9).model_dump(mode="json")
    assert env.model_dump(mode="json") == before


def test_a_map_with_a_fixed_seed_keeps_it():
    env = resolve_env_for_seed(mission("arena"), 5)
    assert with_map_seed(env, 9) is env


def test_converting_leaves_the_configuration_as_it_was():
    env = mission("arena", steps=10)
    before = env.model_dump(mode="json")
    play("object", env, ["noop"], converted=convert(env))
    assert env.model_dump(mode="json") == before


def test_an_upstream_converted_configuration_is_recognised_and_another_games_refused():
    env = mission("arena", steps=10)
    shared = convert(env)
    played = mission("arena", steps=10)
    play("reference", played, ["noop"])
    assert shared.matches(played.game)
    other = mission("arena", steps=11)
    with pytest.raises(ValueError, match="converted game"):
        play("object", other, ["noop"], converted=shared)


def test_one_conversion_serves_many_episodes_in_any_order():
    env = mission("arena", steps=60)
    shared = convert(env)
    first = [play("object", env, ["starter", "random"], seed=seed, converted=shared) for seed in (1, 2, 3)]
    again = [play("object", env, ["starter", "random"], seed=seed, converted=shared) for seed in (3, 2, 1)]
    fresh = [play("object", env, ["starter", "random"], seed=seed) for seed in (1, 2, 3)]
    assert first == again[::-1] == fresh


def test_a_finished_episode_leaves_no_simulation_behind(monkeypatch):
    env = mission("arena", steps=5)
    shared = convert(env)
    made = []
    original = Simulation.__init__

    def noting(self, *args):
        original(self, *args)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Simulation, "__init__", noting)
    gc.collect()
    gc.disable()
    try:
        play("object", env, TEAM, converted=shared)
        assert [reference() for reference in made] == [None]
    finally:
        gc.enable()


# What upstream offers a policy


class Scripted(MultiAgentPolicy):
    """A policy whose agents are `handle` objects."""

    handle: type[AgentPolicy]

    def agent_policy(self, agent_id):
        return self.handle(self._policy_env_info, agent_id)


class Agent(AgentPolicy):
    def __init__(self, info, agent_id):
        super().__init__(info)
        self.agent_id = agent_id
        self.steps = 0


def scripted(handle):
    return type(f"{handle.__name__}Policy", (Scripted,), {"handle": handle, "short_names": None})


class Watcher(SimulatorEventHandler):
    """Writes down what a handler can see after every step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_episode_start(self):
        self.seen.append("start")

    def on_step(self):
        sim = self._sim
        context = sim._context
        infos = {agent: dict(info) for agent, info in context["policy_infos"].items()}
        updates = {agent: dict(update) for agent, update in context["monologue_updates"].items()}
        talk = {agent: (state.text, state.remaining_steps) for agent, state in sim.talk_states().items()}
        actions, vibes = sim._c_sim.actions().tolist(), sim._c_sim.vibe_actions().tolist()
        policies = [type(policy).__name__ for policy in context["policies"]]
        self.seen.append((sim.current_step, infos, updates, talk, actions, vibes, policies, sim.is_done()))

    def on_episode_end(self):
        self.seen.append("end")


def both(env, policies, **kwargs):
    """Outcome and what a handler saw, from each engine."""
    results = []
    for engine in ("object", "reference"):
        watcher = Watcher()
        results.append((play(engine, env, policies, handlers=[watcher], **kwargs), watcher.seen))
    return results


def talkative(steps):
    env = mission("arena", steps=steps)
    env.game.talk.enabled = True
    env.game.talk.cooldown_steps = 3
    return env


class Talker(Agent):
    """Says how far it has come, and turns where it hears most."""

    def step(self, obs):
        self.steps += 1
        heard = sorted((talk.agent_id, talk.text, talk.location, talk.remaining_steps) for talk in obs.talk)
        self._infos = {"heard": repr(heard)}
        talk = f"{self.agent_id} at {self.steps}" if (self.steps + self.agent_id) % 5 == 0 else None
        return Action(name=("move_north", "move_east", "move_south")[len(heard) % 3], talk=talk)


def test_talk_is_heard_alike():
    (ours, seen), (reference, expected) = both(talkative(30), [scripted(Talker)])
    assert seen == expected
    assert_equal_outcomes(ours, reference)
    assert any("at" in info["heard"] for step in seen[1:-1] for info in step[1].values()), "nobody heard anything"


def test_talk_where_the_game_has_none_is_the_same_error():
    for engine in ("object", "reference"):
        with pytest.raises(ValueError, match="talk is not enabled"):
            play(engine, mission("arena", steps=30), [scripted(Talker)])


class Signaller(Agent):
    """Moves and changes its vibe at once, or does only one of the two."""

    def step(self, obs):
        self.steps += 1
        vibe = self.policy_env_info.vibe_action_names[self.steps % 3]
        return (Action("move_west", vibe=vibe), Action(vibe), Action("move_east"))[self.steps % 3]


def test_vibe_actions_reach_the_game_alike():
    (ours, seen), (reference, expected) = both(mission("arena", steps=20), [scripted(Signaller), "starter"])
    assert seen == expected
    assert_equal_outcomes(ours, reference)
    assert any(any(step[5]) and any(step[4]) for step in seen[1:-1])


class Diarist(Agent):
    """Tells a growing monologue, and now and then starts anew or says nothing."""

    def step(self, obs):
        self.steps += 1
        tail = "" if self.steps % 4 == 0 else "abcabcab"[: self.steps % 7] + str(self.agent_id)
        self._infos = {"__monologue_transcript_tail": tail, "mood": self.steps % 2} if self.steps % 5 else {}
        return Action("noop")


def test_infos_and_monologue_are_published_alike():
    (_, seen), (_, expected) = both(mission("arena", steps=25), [scripted(Diarist), "tutorial_noop"])
    assert seen == expected
    assert any(step[2] for step in seen[1:-1])


class Grouped(Agent):
    """Steps its whole team in one call, on even steps."""

    calls = 0

    def can_step_group(self, policies):
        self.steps += 1
        return self.steps % 2 == 0 and all(isinstance(policy, Grouped) for policy in policies)

    def step(self, obs):
        self._infos = {"alone": len(obs.tokens)}
        return Action("move_north")

    def step_group(self, observations):
        self._infos = {"first": True}
        return [Action("move_south" if len(obs.tokens) % 2 else "move_east") for agent, obs in observations]


class Reporting(Grouped):
    def group_step_infos(self, indices):
        return [{"agent": index} for index in indices]


@pytest.mark.parametrize("handle", [Grouped, Reporting])
def test_group_steps_mean_the_same(handle):
    (ours, seen), (reference, expected) = both(mission("arena", steps=12), [scripted(handle), "starter"])
    assert seen == expected
    assert_equal_outcomes(ours, reference)


class ShortGroup(Grouped):
    def step_group(self, observations):
        return [Action("noop")]


class Failing(Agent):
    def step(self, obs):
        self.steps += 1
        if self.steps == 3:
            raise RuntimeError(f"agent {self.agent_id} gave up")
        return Action("noop")


class Inventive(Agent):
    def step(self, obs):
        return Action("fly")


@pytest.mark.parametrize(
    ("handle", "error", "message"),
    [
        (Failing, RuntimeError, "agent 0 gave up"),
        (Inventive, KeyError, "fly"),
        (ShortGroup, ValueError, "returned 1 actions for 8 agents"),
    ],
)
def test_a_policys_error_comes_out_alike(handle, error, message):
    for engine in ("object", "reference"):
        collecting = gc.isenabled()
        with pytest.raises(error, match=message):
            play(engine, mission("arena", steps=9), [scripted(handle)])
        assert gc.isenabled() == collecting


class Counting(Agent):
    def __init__(self, info, agent_id):
        super().__init__(info, agent_id)
        self.resets = 0

    def reset(self, simulation=None):
        self.resets += 1

    def step(self, obs):
        self.steps += 1
        self._infos = {"resets": self.resets, "steps": self.steps}
        return Action("noop")


def test_policies_are_reset_once_and_not_stepped_after_the_end():
    (_, seen), (_, expected) = both(mission("arena", steps=7), [scripted(Counting)])
    assert seen == expected
    assert seen[0] == "start"
    assert seen[-1] == "end"
    assert seen[-2][1][0] == {"resets": 1, "steps": 7, "policy_name": "policy 0"}


class Slow(Agent):
    """Works for more than 2 ms on every third step."""

    def step(self, obs):
        self.steps += 1
        if self.steps % 3 == 0:
            sum(range(400_000))
        return Action("move_north")


def test_a_step_over_the_time_limit_becomes_noop_and_is_counted():
    env = mission("arena", steps=6)
    limited = play("object", env, [scripted(Slow), "noop"], timeout=1)
    free = play("object", env, [scripted(Slow), "noop"])
    assert all(count >= 2 for count in limited.timeouts[::2])
    assert free.timeouts == (0,) * 8
    assert all(stats["action.noop.success"] >= 2 for stats in limited.agent_stats[::2])
    assert [latency.count for latency in free.latencies] == [24, 24]


def test_policies_get_the_time_limit_that_holds():
    class Patient(policy_class("noop")):
        minimum_action_timeout_ms = 700
        short_names = None

    for timeout, limit in ((250, 700), (900, 900), (None, 700)):
        env = with_map_seed(mission("arena", steps=2), 0)
        policy = Patient(PolicyEnvInterface.from_mg_cfg(env))
        play_object(env, [policy], [0] * 8, seed=0, policy_names=["patient"], enforce_timeouts=timeout)
        assert policy.action_timeout_ms == limit


def test_replays_are_equal():
    replays = []
    env = talkative(25)
    for engine in ("object", "reference"):
        writer = InMemoryReplayWriter()
        play(engine, env, [scripted(Talker), "starter", "random"], seed=6, handlers=[writer])
        replays.append(writer.get_completed_replays()[0].get_replay_data())
    assert replays[0].keys() == replays[1].keys()
    for key in replays[0]:
        assert replays[0][key] == replays[1][key], key


# What object does not offer


class Meddler(Agent):
    def step(self, obs):
        obs.tokens[0].value = 0
        return Action("noop")


def test_a_policy_that_changes_tokens_gets_an_error():
    assert play("reference", mission("arena", steps=2), [scripted(Meddler)]).steps == 2
    with pytest.raises(TokenMutation, match="'value'"):
        play("object", mission("arena", steps=2), [scripted(Meddler)])


def test_a_policy_may_say_that_it_needs_the_reference():
    info = None

    class Particular(Scripted):
        short_names = None
        handle = Agent
        reference_only = "it watches upstream's Rollout"

    assert unsupported(Particular(info)) == "it watches upstream's Rollout"
    assert unsupported(scripted(Agent)(info)) is None
