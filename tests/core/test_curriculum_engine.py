"""Evidence, eviction, stagnation, adaptation, slices and saved states."""

import numpy as np
import pytest

from daf.core.curriculum import (
    CurriculumStagnationError,
    DAFCurriculumConfig,
    Outcome,
    Task,
    TaskCurriculum,
    TaskGenerationError,
)
from daf.core.curriculum.change import change
from daf.core.curriculum.history import TaskHistory
from daf.errors import ConfigError, DataError, UsageError
from tests.core.curriculum_world import World, curriculum, flat, rising, saturating, table, through_json


def weighted(made) -> set[int]:
    return set(np.flatnonzero(made.weights()).tolist())


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_the_standard_error_of_a_change_is_what_noise_alone_makes_it(batch):
    rng = np.random.default_rng(batch)
    ratios = []
    for _ in range(400):
        past = TaskHistory(window=100)
        for update in range(int(rng.integers(30, 120))):
            size = int(rng.integers(1, 2 * batch + 1))
            past.take(rng.normal(7.0, 3.0, size).tolist(), 10, update, 0.05, 0.01)
        ratios.append(past.change / past.change_error)
    assert abs(np.mean(ratios)) < 0.15
    assert 0.9 < np.std(ratios) < 1.15, np.std(ratios)


def test_the_noise_of_an_episode_is_distinguished_from_learning():
    past = TaskHistory(window=100)
    rng = np.random.default_rng(0)
    for update in range(200):
        past.take((0.2 * update + rng.normal(0, 2.0, 16)).tolist(), 10, update, 0.05, 0.01)
    assert 1.8 < past.deviation < 2.2
    assert past.spread > 10
    assert past.episodes == past.known == 3200
    np.testing.assert_allclose(past.mean, 0.2 * 99.5, rtol=0.02)


def test_a_change_covers_the_truth_at_its_level():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(500):
        stretches = [
            (rng.normal(0, unit, 30).tolist(), rng.normal(0.5 * unit, unit, 40).tolist(), unit) for unit in (1.0, 50.0)
        ]
        found = change(stretches)
        hits += found.low <= 0.5 <= found.high
    assert 430 <= hits <= 470


def test_a_change_needs_two_episodes_on_either_side():
    assert change([]) is None
    assert change([([1.0], [1.0, 2.0], 1.0)]) is None
    exact = change([([1.0, 1.0], [3.0, 3.0], 0.0)])
    assert (exact.mean, exact.low, exact.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1e200])
def test_a_score_that_is_no_number_is_refused_and_nothing_of_its_update_recorded(score):
    made = curriculum("uniform")
    before = made.state_dict()
    with pytest.raises(DataError, match="environment 3, task 1, has score"):
        made.record([Outcome(0, 0, 0, 1.0, 10), Outcome(1, 3, 0, score, 10)])
    assert made.state_dict() == before


def test_an_outcome_of_an_unknown_task_is_refused():
    with pytest.raises(DataError, match="task 6; the curriculum has 6 tasks"):
        curriculum("uniform").record([Outcome(6, 0, 0, 1.0, 10)])


def test_tasks_need_distinct_names_and_places():
    config = DAFCurriculumConfig()
    with pytest.raises(TaskGenerationError, match="already"):
        TaskCurriculum([Task(0, "a", "m"), Task(1, "a", "m")], config, seed=0)
    with pytest.raises(TaskGenerationError, match="must have index 1"):
        TaskCurriculum([Task(0, "a", "m"), Task(7, "b", "m")], config, seed=0)
    with pytest.raises(TaskGenerationError, match="no tasks yet"):
        TaskCurriculum([], config, seed=0).weights()


def test_eviction_says_of_each_task_whether_it_was_learned_and_why():
    made = curriculum("uniform", 4, max_active_tasks=2, stats_update_frequency=20, on_stagnation="ignore")
    World([saturating(10.0, 100), flat(3.0), rising(0.01), flat(0.0)], [1.0] * 4, environments=16).play(made, 120)
    first = {event["task"]: event for event in reversed(made.events)}
    assert first["task0"]["kind"] == "mastered"
    assert "it improved by" in first["task0"]["reason"]
    assert "90 % interval" in first["task0"]["reason"]
    assert "200 episodes" in first["task0"]["reason"]
    assert first["task1"]["kind"] == "unlearnable"
    assert "it did not improve" in first["task1"]["reason"]
    assert "Its replacement is task" in first["task1"]["reason"]
    assert made.metrics()["tasks_active"] == 2.0


def test_a_task_that_is_still_being_learned_keeps_its_place():
    made = curriculum("uniform", 3, max_active_tasks=1, stats_update_frequency=20)
    World([rising(0.02), flat(0.0), flat(0.0)], [1.0] * 3, environments=16).play(made, 150)
    assert weighted(made) == {0}
    assert made.events == []


def test_a_target_decides_what_is_mastered():
    settings = {"max_active_tasks": 1, "stats_update_frequency": 20, "on_stagnation": "ignore"}
    reached = curriculum("uniform", 2, mastered_at=2.0, **settings)
    World([flat(3.0), flat(0.0)], [1.0] * 2, environments=16).play(reached, 10)
    assert reached.state_of(0) == "mastered"
    assert "the target is 2" in reached.events[0]["reason"]
    missed = curriculum("uniform", 2, mastered_at=20.0, **settings)
    World([saturating(10.0, 50), flat(0.0)], [1.0] * 2, environments=16).play(missed, 40)
    assert missed.events[0]["kind"] == "plateaued"
    assert "below the target 20" in missed.events[0]["reason"]


def test_what_was_out_of_reach_gets_its_place_back_in_turn_and_is_judged_again():
    made = curriculum("uniform", 3, max_active_tasks=1, stats_update_frequency=20, on_stagnation="ignore")
    World([flat(0.0)] * 3, [1.0] * 3, environments=16).play(made, 250)
    order = [event["task"] for event in made.events]
    assert order[:3] == ["task0", "task1", "task2"]
    assert order[3:5] == ["task0", "task1"]


def test_stagnation_is_found_where_nothing_moves_and_reported_with_its_numbers():
    made = curriculum("uniform", 3, on_stagnation="raise")
    with pytest.raises(CurriculumStagnationError, match="no task is being learned any more") as caught:
        World([flat(1.0)] * 3, [1.0] * 3, environments=16).play(made, 300)
    evidence = caught.value.evidence
    assert evidence.tasks == 3
    assert evidence.risen == 0
    assert evidence.change.within(0.5)
    assert evidence.recovery == "easier"
    assert made.events[-1]["kind"] == "stagnation"
    assert made.episodes == evidence.episodes, "what was told is recorded"


@pytest.mark.parametrize("count", [20, 60])
def test_stagnation_is_found_among_many_tasks_as_soon_as_among_few(count):
    made = curriculum("uniform", count, on_stagnation="ignore")
    rng = np.random.default_rng(count)
    asked = 0
    while made.stagnation() is None:
        for update in range(5):
            made.record([Outcome(task, e, update, float(rng.normal()), 10) for task in range(count) for e in range(10)])
        asked += made.episodes >= 100 * count
        assert asked <= 5, "each time half a window is new"


def test_one_task_that_is_learned_among_many_keeps_stagnation_away():
    made = curriculum("uniform", 40, on_stagnation="ignore")
    rng = np.random.default_rng(3)
    for update in range(12):
        levels = [0.15 * update if task == 7 else 0.0 for task in range(40)]
        scores = rng.normal(levels, 1.0, (10, 40))
        made.record([Outcome(task, e, update, float(scores[e, task]), 10) for task in range(40) for e in range(10)])
    assert made.history.tasks[7].known == 120
    assert made.stagnation() is None


def test_stagnation_is_not_declared_while_a_task_is_learned_or_little_is_known():
    made = curriculum("uniform", 3, on_stagnation="raise")
    World([flat(1.0), rising(0.02), flat(0.0)], [1.0] * 3, environments=16).play(made, 200)
    short = curriculum("uniform", 3, on_stagnation="raise")
    World([flat(1.0)] * 3, [1.0] * 3, environments=8).play(short, 30)


@pytest.mark.parametrize("seed", range(5))
def test_stagnation_is_found_after_tasks_were_learned_and_asks_for_others(seed):
    made = curriculum("uniform", 4, on_stagnation="ignore", max_active_tasks=2, mastered_at=1e9)
    rules = [saturating(5.0, 60), saturating(8.0, 60), flat(0.0), flat(0.0)]
    world = World(rules, [1.0] * 4, environments=16, seed=seed)
    found = None
    while found is None and world.updates < 400:
        world.play(made, 1)
        if made.state_of(2) == made.state_of(3) == "waiting":
            found = made.stagnation()
    # Eviction may come first; either way the learned ones make room for others.
    assert found is None or (found.risen == 2 and found.recovery == "widen")
    assert found is not None or made.events[0]["kind"] == "plateaued"


def test_a_stagnating_curriculum_that_may_adapt_continues_by_itself():
    made = curriculum("uniform", 3, on_stagnation="adapt")
    World([flat(1.0)] * 3, [1.0] * 3, environments=16).play(made, 400)
    kinds = [event["kind"] for event in made.events]
    assert kinds[:2] == ["stagnation", "adapted:easier"]
    assert "the change was" in made.events[1]["reason"]
    assert "adapted:explore" in kinds or "adapted:widen" in kinds
    assert made.weights().sum() == pytest.approx(1)


def test_an_adaptation_gets_a_full_window_before_stagnation_is_declared_again():
    made = curriculum("uniform", 3, on_stagnation="ignore")
    world = World([flat(1.0)] * 3, [1.0] * 3, environments=16)
    while made.stagnation() is None:
        world.play(made, 1)
    done = made.adapt("recover")
    assert done.changed
    assert done.after == ("task0", "task1")
    assert made.stagnation() is None
    world.play(made, 8)
    assert made.stagnation() is None


def test_a_stagnation_is_warned_of_once(caplog):
    made = curriculum("uniform", 2)
    World([flat(1.0)] * 2, [1.0] * 2, environments=16).play(made, 60)
    assert sum("no task is being learned" in record.message for record in caplog.records) == 1


def test_harder_and_easier_move_the_window_of_difficulty_and_say_where_they_end():
    made = curriculum("uniform", 3)
    steps = [("easier", {0, 1}), ("easier", {0}), ("harder", {0, 1}), ("harder", {0, 1, 2}), ("harder", {1, 2})]
    for kind, expected in steps:
        assert made.adapt(kind).changed
        assert weighted(made) == expected
    made.adapt("harder")
    end = made.adapt("harder")
    assert not end.changed
    assert "would not change which tasks take part" in end.reason
    assert made.adapt("widen").changed
    assert weighted(made) == {0, 1, 2}
    assert not made.adapt("widen").changed


def test_harder_and_easier_move_a_sequence_by_one_level():
    made = curriculum({"name": "sequence", "rehearsal": 0}, 3)
    assert not made.adapt("easier").changed
    made.adapt("harder", why="the evaluation asked for it")
    assert weighted(made) == {1}
    assert made.events[-1]["reason"].startswith("the evaluation asked for it; ")
    made.adapt("harder")
    assert not made.adapt("harder").changed
    made.adapt("easier")
    assert weighted(made) == {1}


def test_widen_lets_more_tasks_take_part():
    made = curriculum("uniform", 6, max_active_tasks=2)
    made.adapt("widen")
    assert len(weighted(made)) == 3
    made.adapt("widen")
    made.adapt("widen")
    assert len(weighted(made)) == 6


def test_harder_and_easier_continue_until_other_tasks_take_part():
    made = curriculum("uniform", 4, max_active_tasks=1)
    nothing = made.adapt("easier")
    assert not nothing.changed, "the easiest task alone takes part already"
    assert "easier would not change which tasks take part" in nothing.reason
    assert [made.adapt("harder").after for _ in range(3)] == [("task1",), ("task2",), ("task3",)]
    assert not made.adapt("harder").changed
    assert made.adapt("easier").after != ("task3",)


@pytest.mark.parametrize("most", [None, 1, 2, 3])
def test_an_adaptation_reports_a_change_if_other_tasks_take_part(most):
    made = curriculum("uniform", 4, max_active_tasks=most)
    for kind in ["harder"] * 5 + ["easier"] * 6 + ["harder", "easier", "widen", "harder"]:
        done = made.adapt(kind)
        assert done.changed == (done.before != done.after), done


def test_explore_forgets_what_is_known_but_not_what_was_played():
    made = curriculum("learning_progress", 3)
    World([rising(0.1), flat(0.0), flat(0.0)], [1.0] * 3).play(made, 60)
    assert made.weights()[0] > 0.5
    made.adapt("explore")
    np.testing.assert_allclose(made.weights(), 1 / 3)
    assert made.episodes == sum(past.episodes for past in made.history.tasks) == 480


def test_recovering_a_curriculum_that_learns_changes_nothing():
    made = curriculum("uniform", 3)
    done = made.adapt("recover")
    assert not done.changed
    assert "does not stagnate" in done.reason
    with pytest.raises(UsageError, match="Nearest: widen"):
        made.adapt("widden")


def test_slices_show_what_was_drawn_and_learned_by_axis():
    made = curriculum("uniform", 4)
    World([flat(5.0), rising(0.05), flat(5.0), rising(0.05)], [1.0] * 4, environments=16).play(made, 120)
    found = {(one.axis, one.value): one for one in made.slices()}
    assert set(found) == {("mission", "mission0"), ("mission", "mission1"), ("max_steps", 0.0), ("max_steps", 1.0)}
    still, learned = found["mission", "mission0"], found["mission", "mission1"]
    assert still.learned.within(0.4)
    assert learned.learned.low > 5
    assert still.ci[0] < 5.0 < still.ci[1]
    assert still.episodes + learned.episodes == 1920
    assert still.share + learned.share == pytest.approx(1)
    assert found["max_steps", 0.0].mean is None, "missions differ in their units"
    assert found["max_steps", 0.0].learned.low > 2


def test_returns_under_different_rewards_are_not_averaged():
    rewards = [{}, {"rewards": "none"}, {"rewards": "credit"}]
    tasks = [
        Task(i, f"t{i}", f"m{i}", {"mission": "m", "max_steps": float(i > 0), **one}) for i, one in enumerate(rewards)
    ]
    made = TaskCurriculum(tasks, DAFCurriculumConfig(), seed=0)
    World([flat(1.0), flat(1.0), flat(100.0)], [1.0] * 3, environments=16).play(made, 40)
    means = {(one.axis, one.value): one.mean for one in made.slices()}
    assert means["mission", "m"] is None
    assert means["max_steps", 1.0] is None
    assert means["rewards", "credit"] == pytest.approx(100.0, abs=0.5)
    plain = TaskCurriculum(tasks[:2], DAFCurriculumConfig(), seed=0)
    World([flat(1.0)] * 2, [1.0] * 2, environments=16).play(plain, 40)
    assert plain.slices()[0].mean == pytest.approx(1.0, abs=0.5), "rewards: none is the mission's own"


def test_slices_without_evidence_claim_nothing():
    made = curriculum("uniform", 2)
    assert all(one.mean is None and one.learned is None and one.share == 0.0 for one in made.slices())
    assert curriculum("uniform", 2, enable_slice_analysis=False).slices() == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: curriculum("plr", 3), "sampler"),
        (lambda: curriculum("uniform", 3, window=200), "window 100 saved, 200 here"),
        (lambda: curriculum("uniform", 3, seed=6), "seed 5 saved, 6 here"),
        (lambda: curriculum("uniform", 4), "3 tasks saved, 4 here"),
        (
            lambda: TaskCurriculum(
                [*table(2), Task(2, "other", "mission0")], DAFCurriculumConfig(sampler="uniform"), seed=5
            ),
            'task 2 "task2" saved, "other" here',
        ),
    ],
)
def test_a_state_of_another_curriculum_is_refused_with_what_differs(other, said):
    state = through_json(curriculum("uniform", 3).state_dict())
    made = other()
    before = made.state_dict()
    with pytest.raises(ConfigError, match=said):
        made.load_state_dict(state)
    assert made.state_dict() == before


@pytest.mark.parametrize(("saved", "now"), [(2, 4), (4, 2), (None, 2), (2, None)])
def test_another_number_of_active_tasks_holds_from_a_saved_state_on(saved, now):
    first = curriculum("uniform", 6, max_active_tasks=saved, window=64, stats_update_frequency=10)
    World([flat(float(i)) for i in range(6)], [1.0] * 6, environments=32).play(first, 40)
    before = first.active()
    second = curriculum("uniform", 6, max_active_tasks=now, window=64)
    second.load_state_dict(through_json(first.state_dict()))
    assert len(second.active()) == (now or 6)
    kept = {task.key for task in second.active()} & {task.key for task in before}
    assert len(kept) == min(len(before), now or 6), "no more come and go than needed"
    third = curriculum("uniform", 6, max_active_tasks=now, window=64)
    third.load_state_dict(through_json(second.state_dict()))
    assert third.state_dict() == second.state_dict()


def test_what_widen_made_of_the_number_of_active_tasks_is_kept():
    first = curriculum("uniform", 6, max_active_tasks=2)
    first.adapt("widen")
    second = curriculum("uniform", 6, max_active_tasks=2)
    second.load_state_dict(through_json(first.state_dict()))
    assert second.active() == first.active()
    assert second.state_dict() == first.state_dict()


def test_a_state_that_is_none_or_of_another_format_is_refused():
    made = curriculum("uniform", 3)
    with pytest.raises(ConfigError, match="not a saved curriculum"):
        made.load_state_dict({"seed": 5})
    with pytest.raises(ConfigError, match="format 99"):
        made.load_state_dict(made.state_dict() | {"saved_by": 99})


def test_a_restored_curriculum_stagnates_evicts_and_adapts_as_the_first():
    def made():
        return curriculum("plr", 5, max_active_tasks=2, stats_update_frequency=30, on_stagnation="adapt")

    rules, noise = [saturating(3.0, 50), flat(0.0), flat(2.0), rising(0.003), flat(1.0)], [0.5, 1.0, 1.0, 1.0, 3.0]
    whole, world = made(), World(rules, noise, environments=16)
    parts, again = made(), World(rules, noise, environments=16)
    for _ in range(15):
        world.play(whole, 20)
        again.play(parts, 20)
        restored = made()
        restored.load_state_dict(through_json(parts.state_dict()))
        parts = restored
    assert whole.state_dict() == parts.state_dict()
    assert {event["kind"] for event in whole.events} >= {"mastered", "unlearnable"}


def test_a_restored_curriculum_reports_the_same_at_every_moment_of_stagnation():
    whole, world = curriculum("uniform", 3, on_stagnation="ignore"), World([flat(1.0)] * 3, [1.0] * 3, environments=16)
    values = set()
    for _ in range(120):
        world.play(whole, 1)
        restored = curriculum("uniform", 3, on_stagnation="ignore")
        restored.load_state_dict(through_json(whole.state_dict()))
        assert restored.metrics() == whole.metrics()
        values.add(whole.metrics()["stagnant"])
    assert values == {0.0, 1.0}


def test_the_trace_of_levels_stays_small_and_ends_with_the_latest(monkeypatch):
    monkeypatch.setattr("daf.core.curriculum._trace.MOST", 60)
    made = curriculum("uniform", 3, stats_update_frequency=1)
    World([rising(0.1)] * 3, [0.1] * 3).play(made, 300)
    points = made.trace.of(0)
    assert len(points) <= 60
    assert points[-1][0] == made.episodes
    assert [clock for clock, _ in points] == sorted({clock for clock, _ in points})
    assert points[-1][1] > points[0][1] + 10
