"""An episode is a function of its specification."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from mettagrid.runner.rollout import run_multi_episode_rollout

from daf.errors import PolicyError
from daf.game import missions, policies, policy, rollout
from daf.game.outcome import SeriesRequest
from tests.conftest import BUNDLES, SMALL, thinned


def policy(text: str) -> policy.Policy:
    return policies.resolve(text, cache=BUNDLES)


def played(
    text: str, *, seed: int = 5, mission: str = SMALL, engine: str = "reference", **options: object
) -> rollout.PlayedEpisode:
    found = missions.resolve(mission)[0]
    players = tuple(policy(name) for name in text.split("+"))
    assignment = tuple(agent % len(players) for agent in range(found.num_agents))
    return rollout.play(rollout.Play(rollout.Game(found.config), players, assignment, seed, engine=engine, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["starter", "random", "noop", "lstm", "stateless", "starter+random", "lstm+random"])
def test_an_episode_repeats_to_the_bit(text: str) -> None:
    one = played(text, replay=True)
    random.random()
    np.random.rand()
    two = played(text, replay=True)
    assert one.outcome == two.outcome
    assert one.replay_hash == two.replay_hash


def test_another_seed_is_another_episode() -> None:
    assert played("random", seed=1).outcome != played("random", seed=2).outcome


def test_an_untrained_network_is_the_same_in_every_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    original = rollout.build

    def spy(*args: object, **kwargs: object) -> object:
        built.append(original(*args, **kwargs))  # type: ignore[arg-type]
        return built[-1]

    monkeypatch.setattr(rollout, "build", spy)
    played("lstm", seed=1)
    played("lstm", seed=2)
    first, second = (p.network().state_dict() for p in built)
    assert all((first[name] == second[name]).all() for name in first)


def test_the_callers_random_generators_are_left_alone() -> None:
    import torch

    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    played("random+lstm")
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


@pytest.mark.parametrize("mission", thinned([SMALL, "arena,max_steps=30,cogs=3"], 2))
@pytest.mark.parametrize("text", ["starter", "noop", "miner"])
def test_the_reference_is_upstreams_own_episode(text: str, mission: str) -> None:
    found = missions.resolve(mission)[0]
    results, _ = run_multi_episode_rollout(
        policy_specs=[policy(text).spec()], assignments=[0] * found.num_agents, env_cfg=found.config, episodes=2,
        seed=9, max_action_time_ms=10_000,
    )  # fmt: skip
    for index, episode in enumerate(results.episodes):
        outcome = played(text, seed=9 + index, mission=mission).outcome
        assert list(outcome.rewards) == [float(reward) for reward in episode.rewards]
        assert outcome.steps == episode.steps
        assert outcome.game_stats == episode.stats["game"]
        assert list(outcome.agent_stats) == episode.stats["agent"]
        assert outcome.time_averaged_game_stats == episode.time_averaged_game_stats


def test_a_series_ends_where_the_episode_does() -> None:
    request = SeriesRequest(interval=10, agent=("action.move.success",), game=("no.such.stat",), positions=True)
    outcome = played("starter", series=request).outcome
    series = outcome.series
    assert series is not None
    assert series.steps == (10, 20, 30, 40)
    for agent, stats in enumerate(outcome.agent_stats):
        assert series.agents[agent]["action.move.success"][-1] == stats.get("action.move.success", 0.0)
    assert series.game["no.such.stat"] == (0.0,) * 4
    assert all(len(places) == len(outcome.rewards) for places in series.positions)


def test_sampling_does_not_change_the_episode() -> None:
    sampled = played("random", series=SeriesRequest(interval=1, agent=("energy",), positions=True), replay=True).outcome
    plain = played("random").outcome
    assert (sampled.rewards, sampled.agent_stats) == (plain.rewards, plain.agent_stats)


def test_a_slow_step_is_measured_always_and_replaced_only_where_enforced(bad_policies: str) -> None:
    slow = f"{bad_policies}.Slow"
    free = played(slow, slow_step_ms=1).outcome
    assert free.timeouts == (0, 0, 0, 0)
    assert free.latencies[0].slow == free.latencies[0].count == 40 * 4
    strict = played(slow, enforce_timeouts=1).outcome
    assert strict.timeouts == (40, 40, 40, 40)


def test_scripted_policies_play_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from daf.game import missions, policies, rollout\n"
        f"m = missions.resolve({SMALL!r})[0]\n"
        "p = policies.resolve('starter', cache=Path('x'))\n"
        "episode = rollout.Play(rollout.Game(m.config), (p,), (0,) * m.num_agents, 5, engine='reference')\n"
        "print(rollout.play(episode).outcome.rewards)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(played("starter").outcome.rewards)


@pytest.mark.parametrize(("text", "says"), [
    ("{bad}.Unbuildable", "no such moon"),
    ("starter,kw.speed=3", 'no constructor argument "speed"'),
    ("random,kw.vibe_action_p=7", "must be in"),
])  # fmt: skip
def test_a_policy_that_cannot_be_built_says_why(bad_policies: str, text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        played(text.format(bad=bad_policies))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    import torch

    weights = tmp_path / "w.pt"
    torch.save({"wrong": torch.zeros(3)}, weights)
    with pytest.raises(PolicyError, match="do not fit"):
        played(f"class=lstm,data={weights}")
