"""What every sampler promises, asked of each of them; then what each is for."""

import numpy as np
import pytest

from daf.core.curriculum import DAFCurriculumConfig, Outcome, Task, TaskCurriculum
from daf.errors import ConfigError
from tests.core.curriculum_world import World, curriculum, flat, rising, saturating, table, through_json

SAMPLERS = {
    "uniform": "uniform",
    "learning_progress": "learning_progress",
    "plr_surprise": "plr",
    "plr_regret": {"name": "plr", "score": "regret", "temperature": 0.1},
    "linear": {"name": "sequence", "progression": "linear", "episodes_per_level": 100},
    "adaptive": {"name": "sequence", "progression": "adaptive", "episodes_per_level": 50},
}
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
evicting = pytest.mark.parametrize(
    "sampler", [SAMPLERS[name] for name in ("uniform", "learning_progress", "plr_surprise", "plr_regret")]
)

RULES = [saturating(10, 100), flat(1.0), rising(0.01), flat(-50.0), saturating(3, 300), flat(0.0)]
NOISE = [1.0, 2.0, 0.5, 10.0, 0.3, 0.0]


def world(**settings) -> World:
    return World(RULES, NOISE, **settings)


@each_sampler
def test_weights_are_probabilities_at_every_update(sampler):
    made, played = curriculum(sampler), world()
    for _ in range(150):
        weights = made.weights()
        assert weights.shape == (6,)
        assert (weights >= 0).all()
        assert abs(weights.sum() - 1) < 1e-12
        assert all(np.isfinite(value) for value in made.metrics().values())
        played.play(made, 1)


@each_sampler
def test_the_same_outcomes_give_the_same_weights_to_the_bit(sampler):
    one, other = curriculum(sampler), curriculum(sampler)
    first, second = world(), world()
    for _ in range(60):
        first.play(one, 1)
        second.play(other, 1)
        assert one.weights().tobytes() == other.weights().tobytes()
        other.metrics()
        other.slices()


@each_sampler
def test_a_restored_curriculum_continues_as_if_it_had_never_stopped(sampler):
    for stop in (0, 1, 7, 90):
        kept, played = curriculum(sampler, on_stagnation="adapt"), world()
        played.play(kept, stop)
        restored = curriculum(sampler, on_stagnation="adapt")
        restored.load_state_dict(through_json(kept.state_dict()))
        again = world(updates=played.updates)
        again.played = list(played.played)
        for _ in range(60):
            played.play(kept, 1)
            again.play(restored, 1)
            assert kept.weights().tobytes() == restored.weights().tobytes()
        assert kept.state_dict() == restored.state_dict()
        assert kept.metrics() == restored.metrics()


@each_sampler
def test_every_task_is_drawn_sooner_or_later(sampler):
    made = curriculum(sampler, window=64)
    played = World([saturating(10, 100), *RULES[:2], *RULES[3:]], NOISE, environments=32)
    played.play(made, 300)
    assert min(played.played) >= 10, played.played


@each_sampler
def test_how_the_outcomes_of_different_tasks_interleave_does_not_matter(sampler):
    one, other = curriculum(sampler), curriculum(sampler)
    played = world(environments=32)
    for _ in range(30):
        outcomes = played.rollout(one)
        one.record(outcomes)
        other.record(sorted(outcomes, key=lambda outcome: outcome.task))
    assert one.weights().tobytes() == other.weights().tobytes()


@each_sampler
@pytest.mark.parametrize("scale", [2.0**-30, 2.0**40], ids=["tiny", "huge"])
def test_weights_do_not_depend_on_the_unit_of_the_rewards(sampler, scale):
    one, other = curriculum(sampler), curriculum(sampler)
    played = world(environments=16)
    for _ in range(100):
        outcomes = played.rollout(one)
        one.record(outcomes)
        other.record([Outcome(o.task, o.environment, o.episode, o.score * scale, o.steps) for o in outcomes])
    np.testing.assert_allclose(one.weights(), other.weights(), rtol=1e-9)


@each_sampler
def test_outcomes_of_one_update_may_be_none_or_all_of_one_task(sampler):
    made = curriculum(sampler)
    before = made.weights()
    made.record([])
    np.testing.assert_array_equal(made.weights(), before)
    for _ in range(30):
        made.record([Outcome(0, environment, 0, 7.0, 10) for environment in range(8)])
        assert abs(made.weights().sum() - 1) < 1e-12


@evicting
def test_eviction_keeps_indices_valid_and_credits_late_episodes(sampler):
    made = curriculum(sampler, max_active_tasks=2, window=64, stats_update_frequency=10, on_stagnation="ignore")
    played = world(environments=32)
    late = 0
    for _ in range(300):
        before = {task.index for task in made.active()}
        outcomes = played.rollout(made)
        made.record(outcomes)
        assert list(made.tasks()) == table(6)
        active = {task.index for task in made.active()}
        assert len(active) == 2
        assert set(np.flatnonzero(made.weights())) <= active
        for gone in before - active:
            episodes = made.history.tasks[gone].episodes
            made.record([Outcome(gone, 0, 10**6, 1.0, 10)])
            assert made.history.tasks[gone].episodes == episodes + 1
            late += 1
    assert late > 3
    assert min(played.played) > 0, "every task had its turn"


@evicting
def test_what_is_active_after_a_restore_is_what_was(sampler):
    made = curriculum(sampler, max_active_tasks=2, window=64, stats_update_frequency=10)
    played = world(environments=32)
    played.play(made, 100)
    restored = curriculum(sampler, max_active_tasks=2, window=64, stats_update_frequency=10)
    restored.load_state_dict(through_json(made.state_dict()))
    assert restored.active() == made.active()
    assert restored.events == made.events
    assert restored.events


def test_learning_progress_draws_what_is_learned_and_what_is_forgotten():
    rules = [flat(5.0), rising(0.02), lambda played: 10.0 - 0.02 * played, flat(0.0)]
    made = curriculum("learning_progress", 4)
    World(rules, [1.0, 1.0, 1.0, 100.0], environments=64).play(made, 60)
    weights = made.weights()
    assert weights[[1, 2]].min() > 2 * weights[[0, 3]].max(), weights


def test_learning_progress_is_not_drawn_to_noise_however_large():
    made = curriculum("learning_progress", 4)
    total = np.zeros(4)
    played = World([flat(0.0)] * 4, [0.001, 1.0, 30.0, 1000.0], environments=32)
    for _ in range(400):
        played.play(made, 1)
        total += made.weights()
    np.testing.assert_allclose(total / 400, 0.25, atol=0.03)


def test_learning_progress_draws_what_it_knows_nothing_of_like_what_is_learned_best():
    made = curriculum("learning_progress", 3)
    rng = np.random.default_rng(0)
    for update in range(20):
        scores = rng.normal([0.0, 0.5 * update], 1.0, (4, 2))
        made.record([Outcome(task, e, update, float(scores[e, task]), 10) for task in (0, 1) for e in range(4)])
    weights = made.weights()
    assert weights[2] == pytest.approx(weights[1])
    assert weights[2] > 2 * weights[0]


def test_plr_draws_unseen_tasks_by_their_share_and_replays_what_surprised():
    made = curriculum({"name": "plr", "staleness": 0.01}, 4)
    for update in range(20):
        made.record([Outcome(0, e, update, 1.0 + 0.01 * (e % 2), 10) for e in range(4)])
        made.record([Outcome(1, e, update, 1.0 + 0.01 * (e % 2), 10) for e in range(4)])
    made.record([Outcome(1, 0, 20, 50.0, 10)])
    weights = made.weights()
    np.testing.assert_allclose(weights[[2, 3]], 0.25)
    assert weights[1] > 3 * weights[0]


def test_plr_staleness_brings_back_what_was_not_seen_for_long():
    made = curriculum({"name": "plr", "staleness": 1.0}, 3)
    for task in (0, 1, 2, 2, 2, 2):
        made.record([Outcome(task, e, 0, float(e), 10) for e in range(5)])
    weights = made.weights()
    assert weights[0] > weights[1] > weights[2]
    np.testing.assert_allclose(weights, np.array([25, 20, 0]) / 45)


def test_plr_ranks_give_the_papers_weights():
    made = curriculum({"name": "plr", "score": "regret", "temperature": 0.5, "staleness": 1e-9}, 4)
    # The best return of each is 1 and the rest 0, so the more often it is reached the smaller the regret.
    for task, often in enumerate((3, 1, 1, 2)):
        for _ in range(8):
            made.record([Outcome(task, 0, 0, float(place < often), 10) for place in range(8)])
    expected = 1.0 / np.array([4, 1.5, 1.5, 3]) ** 2
    np.testing.assert_allclose(made.weights(), expected / expected.sum(), atol=1e-6)


def test_linear_spends_the_same_number_of_episodes_on_every_level():
    made = curriculum({"name": "sequence", "progression": "linear", "episodes_per_level": 80, "rehearsal": 0}, 5)
    played = World([flat(0.0)] * 5, [1.0] * 5)
    played.play(made, 50)
    assert played.played == [80] * 5


def test_linear_rehearses_what_came_before():
    made = curriculum({"name": "sequence", "progression": "linear", "episodes_per_level": 8, "rehearsal": 0.3}, 3)
    World([flat(0.0)] * 3, [1.0] * 3).play(made, 2)
    np.testing.assert_allclose(made.weights(), [0.15, 0.15, 0.7])


def test_adaptive_goes_up_at_the_target_and_back_below_the_retreat():
    sampler = {"name": "sequence", "target": 5.0, "retreat": -5.0, "episodes_per_level": 20, "rehearsal": 0}
    made = curriculum(sampler, 3)
    levels = []
    World([flat(10.0), flat(-10.0), flat(0.0)], [1.0] * 3).play(made, 3)
    levels.append(made.metrics()["level"])
    World([flat(10.0), flat(-10.0), flat(0.0)], [1.0] * 3).play(made, 3)
    levels.append(made.metrics()["level"])
    assert levels == [1.0, 0.0]


def test_adaptive_stays_while_a_level_is_being_learned_and_leaves_it_at_rest():
    made = curriculum({"name": "sequence", "episodes_per_level": 20}, 2)
    played = World([lambda n: min(0.05 * n, 40.0), flat(0.0)], [1.0, 1.0])
    while played.played[0] < 780:
        played.play(made, 1)
        assert made.metrics()["level"] == 0.0
    played.play(made, 60)
    assert made.metrics()["level"] == 1.0


def test_adaptive_stays_while_one_task_of_a_level_is_being_learned_and_the_others_are_not():
    tasks = [Task(i, f"task{i}", "m", {}, 0.0 if i < 5 else 1.0) for i in range(6)]
    config = DAFCurriculumConfig(sampler={"name": "sequence", "rehearsal": 0})
    rules = [lambda played: min(0.03 * played, 30.0), *[flat(0.0)] * 5]
    for seed in range(5):
        made = TaskCurriculum(tasks, config, seed=0)
        played = World(rules, [1.0] * 6, environments=20, seed=seed)
        while played.played[0] < 950:
            played.play(made, 1)
            assert made.metrics()["level"] == 0.0, f"seed {seed}, {played.played[0]} episodes"
        played.play(made, 60)
        assert made.metrics()["level"] == 1.0


@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        ("learning_progres", "Nearest: learning_progress"),
        ({"name": "plr", "temprature": 1.0}, "temprature"),
        ({"name": "plr", "temperature": 0.0}, "temperature"),
        ({"name": "sequence", "progression": "linear", "target": 3.0}, "linear counts episodes"),
        ({"name": "sequence", "target": 1.0, "retreat": 2.0}, "retreat 2 must be below target 1"),
    ],
)
def test_wrong_settings_are_refused_by_name(sampler, said):
    with pytest.raises(ConfigError, match=said):
        curriculum(sampler)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="max_active_tasks"):
        curriculum("sequence", max_active_tasks=2)
    with pytest.raises(ConfigError, match="enable_learning_progress"):
        curriculum("learning_progress", enable_learning_progress=False)
    with pytest.raises(ConfigError, match="mastered_at"):
        curriculum("uniform", mastered_at=3.0)
    with pytest.raises(ConfigError, match="slow_rate"):
        curriculum("uniform", slow_rate=0.5)
    assert curriculum(None, enable_learning_progress=False).config.chosen_sampler.name == "uniform"
    assert curriculum(None).config.chosen_sampler.name == "learning_progress"
