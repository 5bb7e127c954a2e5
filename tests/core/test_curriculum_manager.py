"""The curriculum task by task."""

import json

import numpy as np
import pytest

from daf.core.curriculum import Curriculum, from_config
from daf.core.curriculum_manager import (
    CurriculumStagnationError,
    DAFCurriculumConfig,
    DAFCurriculumManager,
    TaskGenerationError,
    create_progressive_curriculum,
    create_simple_curriculum,
)
from daf.errors import ConfigError, DataError, UsageError
from daf.game import missions

SMALL = "training_facility_1"


@pytest.fixture
def three():
    """Tasks a, b, c, of difficulties 1, 2, 3."""
    manager = DAFCurriculumManager(DAFCurriculumConfig(name="three", sampler="uniform"))
    manager.add_task("a", 1.0, SMALL)
    manager.add_task("b", 2.0, {"mission": SMALL, "max_steps": 60})
    manager.add_task("c", 3.0, {"mission": "training_facility_2", "cogs": 4, "max_steps": 80})
    return manager


def test_tasks_are_added_by_name_with_their_missions_and_axes(three):
    missions_of = [task.mission for task in three.tasks()]
    assert missions_of == [SMALL, f"{SMALL},max_steps=60", "training_facility_2,cogs=4,max_steps=80"]
    assert dict(three.tasks()[2].axes) == {"mission": "training_facility_2", "cogs": 4.0, "max_steps": 80.0}
    assert three.add_task("training_facility_1,max_steps=33").mission == "training_facility_1,max_steps=33"


def test_tasks_that_cannot_be_are_refused_and_not_added(three):
    for wrong, said in [
        (("a", 0, SMALL), "already"),
        (("d", 0, "arenna"), "Nearest: arena"),
        (("d", 0, "arena"), "cannot share a run"),
        (("d", 0, {"mission": SMALL, "cogs": 2}), "agents"),
        (("d", 0, {"mission": SMALL, "coggs": 2}), "Nearest: cogs"),
        (("d", float("nan"), SMALL), "must be a finite number, got nan"),
    ]:
        with pytest.raises(TaskGenerationError, match=said):
            three.add_task(*wrong)
    assert len(three.tasks()) == 3


def test_a_custom_config_becomes_a_task_that_any_process_can_play(tmp_path):
    config = missions.resolve("training_facility_2,max_steps=70")[0].config
    manager = DAFCurriculumManager(directory=tmp_path)
    task = manager.add_task_from_metta_config("mine", config, difficulty=0.5)
    assert (task.key, task.difficulty) == ("mine", 0.5)
    played = missions.resolve(task.mission)[0]
    assert played.max_steps == 70
    assert played.config.model_dump() == config.model_dump()
    with pytest.raises(TaskGenerationError, match="comma"):
        DAFCurriculumManager(directory=tmp_path / "a,b").add_task_from_metta_config("mine", config)


def test_next_tasks_repeat_from_the_seed_and_follow_the_weights(three):
    again = DAFCurriculumManager({"name": "three", "sampler": "uniform"}, seed=42)
    other = DAFCurriculumManager({"name": "three", "sampler": "uniform"}, seed=43)
    for manager in (again, other):
        for task in three.tasks():
            manager.add_task(task.key, task.difficulty, task.mission)
    drawn = [three.get_next_task().key for _ in range(300)]
    assert drawn == [again.get_next_task().key for _ in range(300)]
    assert drawn != [other.get_next_task().key for _ in range(300)]
    assert all(70 < drawn.count(key) < 130 for key in "abc")


def test_a_manager_without_tasks_says_so():
    with pytest.raises(TaskGenerationError, match="no tasks yet"):
        DAFCurriculumManager().get_next_task()
    assert DAFCurriculumManager().get_curriculum_stats()["tasks"] == {}


def test_what_a_task_scored_changes_what_is_drawn():
    manager = DAFCurriculumManager({"sampler": "learning_progress"})
    for key in ("a", "b"):
        manager.add_task(key, 0.0, SMALL)
    rng = np.random.default_rng(0)
    for update in range(60):
        manager.update_task_performance("a", rng.normal(0.2 * update, 1.0, 8).tolist(), steps=80)
        manager.update_task_performance(manager.tasks()[1], rng.normal(0, 1.0, 8).tolist(), steps=80)
    weights = dict(zip("ab", manager.weights(), strict=True))
    assert weights["a"] > 0.75
    stats = manager.get_curriculum_stats()
    assert stats["tasks"]["a"]["change"] > 1
    assert stats["tasks"]["a"]["episodes"] == 480
    assert stats["episodes"] == 960
    json.dumps(stats, allow_nan=False)


def test_unknown_tasks_and_scores_that_are_no_numbers_are_refused(three):
    with pytest.raises(UsageError, match="Known: a, b, c"):
        three.update_task_performance("z", 1.0)
    with pytest.raises(UsageError, match="the curriculum has 3"):
        three.update_task_performance(3, 1.0)
    with pytest.raises(DataError, match="nan"):
        three.update_task_performance("a", float("nan"))
    assert three.curriculum.episodes == 0


def test_sequences_go_from_easy_to_hard_and_draw_nothing(three):
    before = three.export_curriculum_state()
    linear = three.generate_task_sequence(7, "linear")
    assert "".join(task.key for task in linear) == "aabbbcc"
    assert [task.key for task in three.generate_task_sequence(1)] == ["b"]
    assert len(three.generate_task_sequence(500, "random")) == 500
    assert three.export_curriculum_state() == before
    with pytest.raises(UsageError, match="Nearest: linear"):
        three.generate_task_sequence(3, "liner")
    with pytest.raises(UsageError, match="must be 1 or more, got 0"):
        three.generate_task_sequence(0)


def test_an_adaptive_sequence_follows_the_weights():
    manager = create_progressive_curriculum([SMALL, "training_facility_2"])
    manager.adapt_curriculum("harder")
    keys = [task.key for task in manager.generate_task_sequence(10, "adaptive")]
    assert keys == [SMALL] * 2 + ["training_facility_2"] * 8


def test_the_difficulty_distribution_counts_tasks_and_weight(three):
    three.adapt_curriculum("easier")
    found = three.get_task_difficulty_distribution(2)
    assert found["edges"] == [1.0, 2.0, 3.0]
    assert found["tasks"] == [1, 2]
    assert found["active"] == [1, 1]
    assert found["weight"] == [0.5, 0.5]
    assert (found["mean"], found["mean_drawn"]) == (2.0, 1.5)
    with pytest.raises(UsageError, match="must be 1 or more, got 0"):
        three.get_task_difficulty_distribution(0)


def test_the_performance_history_has_levels_over_time_and_scores(three):
    for update in range(100):
        three.update_task_performance("b", float(update))
    history = three.get_performance_history("b")["b"]
    assert history["recent"] == [float(update) for update in range(100)]
    assert [clock for clock, _ in history["levels"]] == [50, 100]
    assert history["levels"][0][1] < history["levels"][1][1]
    assert set(three.get_performance_history()) == {"a", "b", "c"}


def test_an_exported_state_continues_in_a_new_manager_exactly(three, tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(200):
        three.update_task_performance(three.get_next_task(), float(rng.normal()))
    three.adapt_curriculum("easier", why="it was too hard")
    path = tmp_path / "state.json"
    three.export_curriculum_state(path)
    fresh = DAFCurriculumManager({"name": "three", "sampler": "uniform"})
    fresh.import_curriculum_state(path)
    assert fresh.tasks() == three.tasks()
    assert [fresh.get_next_task() for _ in range(50)] == [three.get_next_task() for _ in range(50)]
    assert fresh.get_curriculum_stats() == three.get_curriculum_stats()
    with pytest.raises(ConfigError, match="sampler"):
        DAFCurriculumManager({"sampler": "plr"}).import_curriculum_state(path)
    path.write_text("[1, 2]")
    with pytest.raises(DataError, match="not a saved curriculum"):
        fresh.import_curriculum_state(path)


def test_stagnation_is_raised_with_evidence_and_adapting_recovers_from_it():
    manager = DAFCurriculumManager({"sampler": "uniform", "on_stagnation": "raise"})
    for place, key in enumerate("ab"):
        manager.add_task(key, float(place), SMALL)
    rng = np.random.default_rng(2)

    def play():
        for _ in range(2000):
            manager.update_task_performance(manager.get_next_task(), float(rng.normal()))

    with pytest.raises(CurriculumStagnationError, match='adapt_curriculum\\("easier"\\)') as caught:
        play()
    with pytest.raises(CurriculumStagnationError):
        manager.check_stagnation()
    done = manager.adapt_curriculum(caught.value.evidence.recovery)
    assert (done.changed, done.before, done.after) == (True, ("a", "b"), ("a",))
    manager.check_stagnation()
    manager.update_task_performance("a", 1.0)


def test_a_manager_is_a_curriculum_and_draws_what_a_trainer_would():
    config = {"missions": [SMALL], "options": {"max_steps": [40, 60]}}
    manager: Curriculum = DAFCurriculumManager(config, seed=9)
    engine: Curriculum = from_config(config, seed=9)
    assert list(manager.tasks()) == list(engine.tasks())
    np.testing.assert_array_equal(manager.weights(), engine.weights())
    assert manager.metrics() == engine.metrics()
    state = json.loads(json.dumps(engine.state_dict()))
    manager.load_state_dict(state)
    engine.load_state_dict(json.loads(json.dumps(manager.state_dict())))


def test_the_ready_made_curricula_draw_by_progress_and_in_sequence():
    simple = create_simple_curriculum([SMALL, "training_facility_2"])
    np.testing.assert_allclose(simple.weights(), 0.5)
    assert simple.config.chosen_sampler.name == "learning_progress"
    progressive = create_progressive_curriculum(sampler={"name": "sequence", "target": 2.0, "episodes_per_level": 20})
    assert progressive.get_next_task().key == SMALL
    progressive.update_task_performance(SMALL, [3.0] * 20)
    assert progressive.metrics()["level"] == 1.0


@pytest.mark.parametrize("kind", ["recover", "harder", "easier", "widen", "explore"])
def test_adapting_a_curriculum_without_tasks_changes_nothing_and_says_so(kind):
    done = DAFCurriculumManager().adapt_curriculum(kind)
    assert (done.changed, done.reason, done.after) == (False, "the curriculum has no tasks yet", ())
