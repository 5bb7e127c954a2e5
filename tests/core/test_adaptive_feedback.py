"""Feedback: what results amount to, what changes in a curriculum, and what the journal says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daf.core.adaptive import record
from daf.core.adaptive.feedback import Evidence, weigh
from daf.core.adaptive_controller import (
    AdaptiveControllerError,
    DAFAdaptiveController,
    TrainingEnvironmentError,
)
from daf.core.curriculum import DAFCurriculumConfig, Task, TaskCurriculum
from daf.core.curriculum_manager import DAFCurriculumManager
from daf.errors import UsageError
from tests.core.adaptive_driver import config, controller


def manager(difficulties: int = 3) -> DAFCurriculumManager:
    """Tasks `t0`, `t1`, … of rising difficulty; nothing is played, so that their missions need not be built."""
    made = DAFCurriculumManager(DAFCurriculumConfig(sampler="sequence"))
    tasks = [Task(i, f"t{i}", "arena", {}, float(i)) for i in range(difficulties)]
    made.curriculum = TaskCurriculum(tasks, made.config, seed=0)
    return made


def control(folder: Path, curriculum: Any, **fields: Any) -> DAFAdaptiveController:
    return controller(folder, config(runs=[{}], **fields), curriculum_manager=curriculum)


def mostly(curriculum: DAFCurriculumManager) -> str:
    """The task that is drawn most."""
    return curriculum.tasks()[int(np.argmax(curriculum.weights()))].key


def series(levels: list[float], each: int, seed: int = 0) -> list[float]:
    """Results around each level in turn, with noise of deviation 1."""
    noise = np.random.default_rng(seed).normal(size=(len(levels), each))
    return [float(level + one) for level, row in zip(levels, noise, strict=True) for one in row]


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [([0, 5], "rising"), ([5, 0], "falling"), ([0, 5, 5], "mastered"), ([0] * 4, "stuck"), ([5] * 6, "stuck")],
)
def test_a_clear_course_gets_its_verdict(levels: list[float], verdict: str) -> None:
    found = []
    for seed in range(50):
        scores = series(levels, 20, seed)
        found.append(weigh(Evidence(scores[:20], scores), 20)[0])
    assert found.count(verdict) >= (48 if verdict in ("rising", "falling") else 30), found


def test_a_verdict_on_noise_alone_says_falling_no_more_often_than_its_interval_allows() -> None:
    verdicts = []
    for seed in range(400):
        scores = series([0, 0], 10, seed)
        verdicts.append(weigh(Evidence(scores[:10], scores), 10)[0])
    assert verdicts.count("falling") / 400 < 0.08  # 5 % nominal
    assert verdicts.count("rising") / 400 < 0.08


def test_two_windows_without_a_change_are_not_yet_being_stuck() -> None:
    verdicts = set()
    for seed in range(100):
        scores = series([0, 0, 0], 5, seed)
        verdicts.add(weigh(Evidence(scores[:5], scores), 5)[0])
    assert "open" in verdicts
    assert "stuck" not in verdicts


def test_verdicts_do_not_depend_on_the_scale_of_rewards() -> None:
    scores = series([0, 1, 1], 10)
    scaled = [1e6 * score - 3e4 for score in scores]
    assert weigh(Evidence(scores[:10], scores), 10)[0] == weigh(Evidence(scaled[:10], scaled), 10)[0]


def test_results_that_fall_make_the_curriculum_easier_and_the_journal_says_why(tmp_path: Path) -> None:
    curriculum = manager()
    curriculum.adapt_curriculum("harder")
    with control(tmp_path, curriculum, evidence_window=6) as controlled:
        controlled.set_current_task("t1")
        changes = [controlled.update_from_training_results({"score": score}) for score in series([8, 0], 6)]
        assert mostly(curriculum) == "t0"
        change = changes[-1]
        assert change is not None
        assert changes[:-1] == [None] * 11
        assert change.changed
        assert change.evidence["verdict"] == "falling"
        assert change.evidence["change"][2] < 0
        (noted,) = controlled.get_experiment_status().experiment.adjustments
        assert noted["kinds"] == ["easier"]
        assert noted["evidence"]["mean_before"] == pytest.approx(change.evidence["mean_before"])
        assert "falling: the return in training of t1" in noted["why"]
    assert any("falling" in event["reason"] for event in curriculum.curriculum.events)


def test_a_mastered_task_makes_the_curriculum_harder_by_evaluations_too(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum, evidence_window=6) as controlled:
        changes = [
            controlled.update_from_evaluation({"mean": score, "task": "t0"})
            for score in [0, 1, 0, 1, 0, 1, *[9, 8] * 9]
        ]
    made = [change for change in changes if change is not None]
    assert made[0].evidence["verdict"] == "mastered"
    assert mostly(curriculum) == "t1"


def reported(controlled: DAFAdaptiveController, levels: list[float]) -> list[str]:
    """The verdicts of the changes made by six results around each level, of no named task."""
    scores = [level + number % 2 for level in levels for number in range(6)]
    changes = [controlled.update_from_training_results({"score": score}) for score in scores]
    return [change.evidence["verdict"] for change in changes if change is not None]


def test_after_a_change_the_results_of_all_tasks_are_weighed_against_those_of_the_new_mix(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum, evidence_window=6) as controlled:
        assert reported(controlled, [0, 9, 9]) == ["mastered"]
        assert reported(controlled, [-9, -1, -1]) == ["mastered"], "the harder mix pays less, and is learned too"
        assert mostly(curriculum) == "t2"
        assert reported(controlled, [0, 9]) == []
        controlled.decrease_curriculum_difficulty("a person asks")
        assert reported(controlled, [2, 2]) == [], "what was seen of the harder mix is no evidence on this one"


def test_a_change_that_was_refused_leaves_what_is_known_of_the_mix(tmp_path: Path) -> None:
    curriculum = manager(1)
    with control(tmp_path, curriculum, evidence_window=6) as controlled:
        assert reported(controlled, [0, 9, 9, 9, 9]) == ["mastered", "mastered"]
        (one, other) = controlled.get_experiment_status().experiment.adjustments
    assert not one["changed"]
    assert one["evidence"]["mean_first"] == other["evidence"]["mean_first"] == 0.5


def test_evaluated_returns_do_not_hide_what_returns_in_training_show(tmp_path: Path) -> None:
    curriculum = manager()
    curriculum.adapt_curriculum("harder")
    changes = []
    with control(tmp_path, curriculum, evidence_window=6) as controlled:
        for number, score in enumerate(series([8, 0], 6)):
            changes.append(controlled.update_from_training_results({"score": score}))
            if number % 3 == 0:
                changes.append(controlled.update_from_evaluation({"mean": 100.0 + score}))
    (made,) = [change for change in changes if change is not None]
    assert (made.evidence["verdict"], made.evidence["source"]) == ("falling", "the return in training")
    assert made.evidence["results"] == 12
    assert mostly(curriculum) == "t0"


def test_rising_results_change_nothing(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum, evidence_window=5) as controlled:
        changes = [controlled.update_from_training_results({"score": float(n), "task": "t0"}) for n in range(60)]
    assert changes == [None] * 60
    assert mostly(curriculum) == "t0"


def test_the_methods_that_ask_for_a_change_make_it_and_note_it(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum) as controlled:
        assert controlled.increase_curriculum_difficulty("it is bored").changed
        assert mostly(curriculum) == "t1"
        assert controlled.decrease_curriculum_difficulty().changed
        assert mostly(curriculum) == "t0"
        nothing = controlled.decrease_curriculum_difficulty()
        assert not nothing.changed
        assert "would not change which tasks take part" in nothing.reason
        controlled.increase_curriculum_difficulty()
        support = controlled.provide_curriculum_support("it is lost")
        assert (support.kinds, support.changed) == (("recover", "easier"), True)
        noted = controlled.get_experiment_status().experiment.adjustments
    assert [one["what"] for one in noted] == [
        "increase_curriculum_difficulty", "decrease_curriculum_difficulty", "decrease_curriculum_difficulty",
        "increase_curriculum_difficulty", "provide_curriculum_support",
    ]  # fmt: skip
    assert noted[0]["why"] == "it is bored"


def test_the_next_task_is_the_easiest_that_is_harder(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum) as controlled:
        assert controlled.increase_task_difficulty() is None
        controlled.set_current_task(curriculum.tasks()[0])
        assert controlled.increase_task_difficulty() == "t1"
        assert controlled.increase_task_difficulty() == "t2"
        assert controlled.increase_task_difficulty() is None
        noted = controlled.get_experiment_status().experiment.adjustments
        assert "call set_current_task" in noted[0]["reason"]
        assert "no task is harder than t2" in noted[-1]["reason"]
        with pytest.raises(UsageError, match='no task "t9"'):
            controlled.set_current_task("t9")


def test_the_present_task_is_by_default_the_one_that_results_named_last(tmp_path: Path) -> None:
    with control(tmp_path, manager()) as controlled:
        controlled.update_from_training_results({"task": "t1", "avg_reward": 1.0})
        assert controlled.increase_task_difficulty() == "t2"


def test_feedback_without_a_curriculum_that_may_be_changed_is_reported_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with control(tmp_path / "none", None) as controlled:
        for ask in (controlled.increase_curriculum_difficulty, controlled.provide_curriculum_support):
            done = ask()
            assert not done.changed
            assert "curriculum_manager=DAFCurriculumManager" in done.reason
        assert controlled.increase_task_difficulty() is None
        assert len(controlled.get_experiment_status().experiment.adjustments) == 3
        assert "there is no curriculum" in caplog.text
        curriculum = manager()
        controlled.use_curriculum(curriculum)
        assert controlled.increase_curriculum_difficulty().changed
        controlled.use_curriculum(manager())
        assert mostly(curriculum) == "t1"
    curriculum = manager()
    with control(tmp_path / "off", curriculum, enable_curriculum_learning=False) as controlled:
        assert "enable_curriculum_learning is off" in controlled.increase_curriculum_difficulty().reason
        for score in series([8, 0], 6):
            assert controlled.update_from_training_results({"score": score}) is None
    assert mostly(curriculum) == "t0"


@pytest.mark.parametrize("results", [{}, {"loss": 1.0}, {"score": "high"}, {"score": float("nan")}])
def test_results_without_a_return_are_refused(tmp_path: Path, results: dict[str, Any]) -> None:
    with control(tmp_path, manager()) as controlled, pytest.raises(AdaptiveControllerError, match=r"return|finite"):
        controlled.update_from_training_results(results)


class Corridor:
    def reset(self) -> int:
        return 0

    def step(self, action: int) -> tuple[int, float, bool]:
        return 0, 1.0, True


class Walker:
    """A trainer whose returns fall."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.seen: list[str] = []
        self._breaks_at = breaks_at

    def train_on_task(self, task_id: str, env: Any, episodes: int) -> Mapping[str, Any]:
        self.seen.append(task_id)
        if len(self.seen) == self._breaks_at:
            raise RuntimeError("the floor is gone")
        env.reset()
        total = sum(env.step(0)[1] for _ in range(episodes))
        return {"mean_reward": total - 10.0 * (len(self.seen) > 5) + 0.01 * len(self.seen) % 0.03}


def test_running_with_an_environment_feeds_every_round_back(tmp_path: Path) -> None:
    curriculum, trainer = manager(), Walker()
    curriculum.adapt_curriculum("harder")
    with control(tmp_path, curriculum, evidence_window=5) as controlled:
        changes = controlled.run_with_environment(Corridor(), trainer, task_id="t1", rounds=10, episodes=3)
    assert trainer.seen == ["t1"] * 10
    (made,) = changes
    assert made.evidence["mean_before"] - made.evidence["mean_now"] == pytest.approx(10, abs=0.1)
    assert mostly(curriculum) == "t0"


def test_an_environment_that_is_none_or_fails_is_reported(tmp_path: Path) -> None:
    with control(tmp_path, manager()) as controlled:
        with pytest.raises(TrainingEnvironmentError, match=r"dict has no method reset and no method step"):
            controlled.run_with_environment({}, Walker())
        with pytest.raises(
            TrainingEnvironmentError, match="round 2 of 5 on environment failed in Corridor: RuntimeError"
        ):
            controlled.run_with_environment(Corridor(), Walker(breaks_at=2), rounds=5)
        with pytest.raises(UsageError, match="rounds and episodes must be 1 or more, got 0"):
            controlled.run_with_environment(Corridor(), Walker(), rounds=0)


def test_a_checkpoint_to_begin_with_is_checked_and_used(tmp_path: Path) -> None:
    with pytest.raises(
        AdaptiveControllerError, match=r"is not a checkpoint: weights\.safetensors and state\.json missing"
    ):
        control(tmp_path, None).load_checkpoint(tmp_path)
    first = control(tmp_path, None).start_experiment()
    checkpoint = record.run_dir(first.run_dir, "r0000") / "checkpoints" / "final"
    second = controller(tmp_path, config("second", runs=[{}], total=120))
    assert second.load_checkpoint(checkpoint) == checkpoint
    done = second.start_experiment()
    lines = (record.run_dir(done.run_dir, "r0000") / "metrics.jsonl").read_text().splitlines()
    assert lines[0] == '{"step": 90}'  # the first 80 steps are the checkpoint's
    with pytest.raises(AdaptiveControllerError, match="experiment second started"):
        controller(tmp_path, config("second", runs=[{}], total=120)).load_checkpoint(checkpoint)


def test_a_trainer_that_reports_its_results_itself_is_not_recorded_twice(tmp_path: Path) -> None:
    class Tells(Walker):
        def train_on_task(self, task_id: str, env: Any, episodes: int) -> Mapping[str, Any]:
            results = super().train_on_task(task_id, env, episodes)
            controlled.update_from_training_results(results)
            return results

    curriculum = manager()
    curriculum.adapt_curriculum("harder")
    with control(tmp_path, curriculum, evidence_window=5) as controlled:
        (made,) = controlled.run_with_environment(Corridor(), Tells(), task_id="t1", rounds=10, episodes=3)
    assert made.evidence["results"] == 10


def test_a_trainers_own_curriculum_is_changed_too_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    curriculum = manager()
    with control(tmp_path, curriculum.curriculum) as controlled:
        assert controlled.increase_curriculum_difficulty().changed
    assert mostly(curriculum) == "t1"
    with pytest.raises(AdaptiveControllerError, match="a dict can't be asked for changes"):
        control(tmp_path, {})


def test_a_controller_listens_to_a_trainer_in_whose_session_it_is_made(tmp_path: Path) -> None:
    from daf.core.adaptive_controller import DAFAdaptiveController
    from daf.output_manager import OutputManager

    output = OutputManager(tmp_path / "out", log_to_file=False)
    with output.operation("training", title="a training run") as folder:
        chosen = config(runs=[{}])
        with DAFAdaptiveController(chosen, output=output, curriculum_manager=manager()) as controlled:
            controlled.increase_curriculum_difficulty()
            assert controlled.get_experiment_status().run_dir != folder
