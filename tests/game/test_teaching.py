"""Labels in training environments are what the teacher does, whoever leads, and the same after a restore."""

import os
from pathlib import Path

import numpy as np
import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.core.curriculum import draw
from daf.errors import PolicyError
from daf.game import missions, policies
from daf.game.policy import Policy
from daf.game.rollout import Game, Play, play
from daf.game.teaching import UNLABELLED, Teaching, leads
from daf.game.training_envs import TrainingEnvs
from daf.game.training_world import ALWAYS, TRUNCATED, Games, Rows, World, episode_seed

MISSION = "arena,max_steps=40"
DRAWING = """
import random
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

class Agent(AgentPolicy):
    def step(self, obs):
        if random.random() < 0.3:
            return Action(name="change_vibe_heart")
        return Action(name="move_north" if random.random() < 0.5 else "move_south", vibe="change_vibe_gear")

class Teacher(MultiAgentPolicy):
    def agent_policy(self, agent_id):
        return Agent(self.policy_env_info)
"""
FAILING = """
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

class Agent(AgentPolicy):
    seen = 0
    def step(self, obs):
        self.seen += 1
        if self.seen == 5:
            raise RuntimeError("lost its way")
        return Action(name="ACTION")

class Teacher(MultiAgentPolicy):
    def agent_policy(self, agent_id):
        return Agent(self.policy_env_info)
"""


@pytest.fixture(scope="module")
def games() -> Games:
    return Games([missions.resolve(MISSION)[0].config])


def written(folder: Path, source: str, name: str = "teacher.py") -> Policy:
    (folder / name).write_text(source)
    return policies.resolve(str(folder / name), cache=folder / "cache")


def named(name: str, tmp_path: Path) -> Policy:
    return policies.resolve(name, cache=tmp_path / "cache")


def world(games: Games, teacher: Policy, *, share: float = 1.0, seed: int = 3) -> tuple[World, Rows]:
    config = games.configs[0]
    agents = config.game.num_agents
    tokens = PolicyEnvInterface.from_mg_cfg(config).observation_space.shape[0]
    rows = Rows.empty(agents, tokens)
    return World(2, seed, games, rows, Teaching((teacher,), (0,) * agents, share, seed)), rows


@pytest.mark.parametrize("name", ["starter", "cartographer"])
def test_an_episode_that_the_teacher_leads_is_the_one_that_it_plays(games: Games, tmp_path: Path, name: str) -> None:
    teacher = named(name, tmp_path)
    led, _ = world(games, teacher)
    led.begin(0, 0, led_until=ALWAYS)
    ended = None
    while ended is None:
        ended = led.step()
    game = Game(games.configs[0])
    agents = game.config.game.num_agents
    played = play(Play(game, (teacher,), (0,) * agents, episode_seed(3, 2, 0), engine="object"))
    assert ended.led is True
    assert ended.returns.tolist() == pytest.approx(list(played.outcome.rewards))
    assert ended.stats["agent.action.move.success"] == pytest.approx(
        np.mean([stats.get("action.move.success", 0) for stats in played.outcome.agent_stats])
    )


def test_a_restored_episode_has_the_same_labels_and_the_same_end(games: Games, tmp_path: Path) -> None:
    """With a teacher that remembers, and is asked for half of the labels; its lead ends in between."""
    teacher = named("cartographer", tmp_path)
    generator = np.random.default_rng(0)
    one, rows = world(games, teacher, share=0.5)
    one.begin(4, 0, led_until=12)
    actions = generator.integers(0, 5, (40, len(rows.actions)))
    for step in range(20):
        rows.actions[:] = actions[step]
        one.step()
    other, others = world(games, teacher, share=0.5)
    other.restore(one.state())
    assert others.labels.tolist() == rows.labels.tolist()
    unlabelled = 0
    for step in range(20, 39):
        for each, its in ((one, rows), (other, others)):
            its.actions[:] = actions[step]
            each.step()
        assert others.labels.tolist() == rows.labels.tolist()
        assert (rows.led[0], others.led[0]) == (0, 0)
        unlabelled += int((rows.labels == UNLABELLED).sum())
    assert 0.3 < unlabelled / (19 * len(rows.actions)) < 0.7
    rows.actions[:] = others.actions[:] = 0
    ends = one.step(), other.step()
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0].led is ends[1].led is None, "the teacher played a part of it"
    assert ends[0].returns.tolist() == ends[1].returns.tolist()


def test_vibes_are_played_where_the_teacher_leads_and_moves_are_labels(games: Games, tmp_path: Path) -> None:
    one, rows = world(games, written(tmp_path, DRAWING))
    one.begin(0, 0, led_until=ALWAYS)
    assert one.simulation is not None
    names = one.simulation.action_names
    labels, vibes = set(), set()
    for _ in range(20):
        asked = rows.labels.copy()
        one.step()
        core = one.simulation._c_sim
        for label, action, vibe in zip(asked, core.actions(), core.vibe_actions(), strict=True):
            labels.add(int(label))
            vibes.add(names[vibe])
            assert (label == UNLABELLED) == (names[vibe] == "change_vibe_heart"), "the network can't set vibes alone"
            if label != UNLABELLED:
                assert (names[action], names[vibe]) == (names[label], "change_vibe_gear")
    assert labels == {UNLABELLED, names.index("move_north"), names.index("move_south")}
    assert vibes == {"change_vibe_heart", "change_vibe_gear"}


def test_the_first_episodes_are_cut_at_different_steps(games: Games, tmp_path: Path) -> None:
    teacher = named("starter", tmp_path)
    agents = games.configs[0].game.num_agents
    found = []
    for environment in range(4):
        _, rows = world(games, teacher)
        one = World(environment, 0, games, rows, Teaching((teacher,), (0,) * agents, 1.0, 0, staggered=4))
        for episode in range(2):
            one.begin(episode, 0)
            rows.actions[:] = 0
            ended = None
            while ended is None:
                ended = one.step()
            assert rows.done[0] == TRUNCATED
            found.append((ended.steps, ended.cut))
    assert found == [
        (10, True),
        (40, False),
        (20, True),
        (40, False),
        (30, True),
        (40, False),
        (40, False),
        (40, False),
    ]


def test_what_a_teacher_draws_depends_on_the_state_alone(games: Games, tmp_path: Path) -> None:
    teacher = written(tmp_path, DRAWING)
    found = []
    for seed in (1, 1, 2):
        one, rows = world(games, teacher, seed=seed)
        one.begin(0, 0)
        seen = []
        for _ in range(6):
            np.random.random(3)  # somebody else draws
            one.step()
            seen.append(rows.labels.tolist())
        found.append(seen)
    assert found[0] == found[1] != found[2]


def test_the_teachers_lead_ends_with_the_teacher(games: Games, tmp_path: Path) -> None:
    one, rows = world(games, named("starter", tmp_path))
    one.begin(0, 0, led_until=ALWAYS)
    one.step()
    one.dismiss_teacher()
    rows.actions[:] = 0
    one.step()
    assert one.simulation is not None
    assert one.simulation._c_sim.actions().tolist() == [0] * len(rows.actions)
    assert rows.led[0] == 0
    assert set(rows.labels.tolist()) == {UNLABELLED}
    assert one.state().led_until == 1


@pytest.mark.parametrize(("action", "says"), [
    ("noop", r'the teacher "teacher.*" failed \(environment 2, episode 0, step 4\): RuntimeError: lost its way'),
    ("dance", r'step 0\): ValueError: no action "dance" in this mission; it has noop, move_north'),
])  # fmt: skip
def test_a_teacher_that_fails_is_named_with_its_place(games: Games, tmp_path: Path, action: str, says: str) -> None:
    one, rows = world(games, written(tmp_path, FAILING.replace("ACTION", action)))

    def played() -> None:
        one.begin(0, 0)
        rows.actions[:] = 0
        for _ in range(6):
            one.step()

    with pytest.raises(PolicyError, match=says):
        played()


def test_the_teacher_leads_its_share_of_the_environments_and_always_the_same_ones() -> None:
    found = {
        share: [environment for environment in range(8) if leads(environment, 8, share)]
        for share in (0.0, 0.1, 0.25, 0.5, 1.0)
    }
    assert found == {0.0: [], 0.1: [7], 0.25: [6, 7], 0.5: [4, 5, 6, 7], 1.0: list(range(8))}


def test_the_reason_of_a_failed_environment_is_raised_even_after_its_process_has_ended(tmp_path: Path) -> None:
    config = missions.resolve(MISSION)[0].config
    teaching = Teaching((written(tmp_path, FAILING.replace("ACTION", "noop")),), (0,) * config.game.num_agents, 1.0, 3)
    envs = TrainingEnvs([config], environments=2, workers=1, seed=3, chooser=draw, teaching=teaching)
    try:
        envs.begin()
        for _ in range(3):
            envs.send(0)
            envs.receive(0)
        envs.send(0)
        os.waitid(os.P_PID, envs.process_ids[0], os.WEXITED | os.WNOWAIT)
        with pytest.raises(PolicyError, match=r"episode 0, step 4\): RuntimeError: lost its way"):
            envs.send(1)
    finally:
        envs.close()
