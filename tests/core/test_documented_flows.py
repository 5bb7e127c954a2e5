"""Controller, curriculum and trainer work together by the names and call forms of the documents, on tiny missions."""

import json
from pathlib import Path
from typing import Any

import pytest

from daf.core.adaptive_controller import AdaptiveControllerError, DAFAdaptiveConfig, DAFAdaptiveController
from daf.core.curriculum_manager import DAFCurriculumConfig, DAFCurriculumManager
from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer
from daf.errors import ConfigError, UsageError
from daf.game.training_environment import TrainingEnvironment
from daf.output_manager import OutputManager
from daf.tools.visualization_generator import VisualizationGenerator
from daf.visualization import daf_plot_training_curves
from tests.training.tiny import MISSION

SCORES = {"avg_reward", "best_reward", "completion_rate", "task_performance", "episodes"}
SMALL: dict[str, Any] = {"n_steps": 16, "num_envs": 2, "num_workers": 1, "seed": 7, "total_timesteps": 16_384}
UPDATE = 16 * 2 * 4
POLICY = "stateless"


def controller(folder: Path, **fields: Any) -> DAFAdaptiveController:
    return DAFAdaptiveController(DAFAdaptiveConfig(experiment_id="flow", **fields), output=OutputManager(folder))


def trainer(folder: Path, *args: Any, policy: str = POLICY, **given: Any) -> DAFRlTrainer:
    return DAFRlTrainer(
        DAFRlConfig(experiment_name="flow", **SMALL), policy, *args, output=OutputManager(folder), **given
    )


def three_tasks(**fields: Any) -> DAFCurriculumManager:
    manager = DAFCurriculumManager(DAFCurriculumConfig(name="p", base_mission=MISSION, **fields))
    for name, difficulty in (("navigation", 0.2), ("manipulation", 0.5), ("cooperation", 0.8)):
        manager.add_task(name, difficulty=difficulty)
    return manager


def test_a_task_with_a_name_and_a_difficulty_is_the_base_mission_made_harder() -> None:
    assert [task.mission for task in three_tasks().tasks()] == [
        "training_facility_1,max_steps=40",
        "training_facility_1,max_steps=40,variants=large",
        "training_facility_1,max_steps=40,variants=sparse+large",
    ]
    timed = DAFCurriculumManager(DAFCurriculumConfig(base_mission="arena"))
    assert timed.add_task("calm", 0.0).mission == "arena,max_steps=1000"
    assert timed.add_task("hasty", 1.0).mission == "arena,max_steps=250"
    assert timed.add_task("few", 1.0, {"cogs": 8, "max_steps": 70}).mission == "arena,cogs=8,max_steps=70"
    default = DAFCurriculumManager()
    assert default.add_task("anything", 0.0).mission == "training_facility_1"
    for wrong, said in [(("x", 1.5), "outside 0 to 1"), (("arenna", 0.5), "Nearest: arena")]:
        with pytest.raises(UsageError, match=said):
            default.add_task(*wrong)


def test_statistics_of_a_curriculum_have_the_documents_names() -> None:
    manager = three_tasks(missions=[MISSION])
    stats = manager.get_curriculum_stats()
    assert (stats["num_custom_tasks"], stats["avg_performance"], stats["adaptation_needed"]) == (3, None, False)
    manager.update_task_performance("navigation", 1.0)
    manager.update_task_performance(manager.tasks()[-1], 0.5)
    assert manager.get_curriculum_stats()["avg_performance"] == 0.75
    assert manager.adapt_curriculum("adjust_difficulty").kind == "recover"
    assert manager.adapt_curriculum("reduce_difficulty").kind == "easier"
    assert manager.adapt_curriculum("increase_difficulty").kind == "harder"


def test_a_trainer_without_a_mission_trains_on_the_tasks_that_it_is_given(tmp_path: Path) -> None:
    manager, control, learns = three_tasks(), controller(tmp_path), trainer(tmp_path)
    with pytest.raises(UsageError, match="no mission to train on"):
        learns.train_episodes(1)
    assert learns.get_training_summary()["missions"] == []
    assert learns.get_timesteps_per_second() is None
    for task in manager.generate_task_sequence(sequence_length=2, difficulty_progression="adaptive"):
        results = learns.train_on_task(task, TrainingEnvironment(task.mission), episodes=2)
        assert results.keys() >= SCORES
        assert results["task"] == str(task)
        assert results["task_performance"] == {task.key: pytest.approx(results["avg_reward"])}
        assert results["best_reward"] >= results["avg_reward"]
        assert 0 <= results["completion_rate"] <= 1
        manager.update_task_performance(task, results["avg_reward"])
        control.update_from_training_results(results)
        control.set_current_task(manager.get_next_task())
    control.increase_task_difficulty()
    control.provide_curriculum_support()
    evaluated = learns.evaluate_policy(episodes=2)
    assert evaluated["mean_reward"] == evaluated["mean"] is not None
    assert len(evaluated["missions"]) == 2  # all that it was trained on
    control.update_from_evaluation(evaluated)
    assert learns.get_training_summary()["episodes"] >= 4
    assert control.get_experiment_status().experiment.adjustments
    control.close()
    learns.close()


def test_a_mission_object_of_a_task_is_trained_on_and_checkpointed(tmp_path: Path) -> None:
    learns = trainer(tmp_path)
    assert learns.train_on_task("one", TrainingEnvironment(MISSION), episodes=1)["episodes"] >= 1
    saved = learns.save_training_state(str(tmp_path / "state"))
    learns.close()
    again = trainer(tmp_path, MISSION)
    again.load_training_state(saved)
    assert again.get_training_summary()["task_performance"].keys() == {"one"}
    again.close()


def test_callbacks_of_a_whole_training_read_results_by_key_and_change_the_curriculum(tmp_path: Path) -> None:
    curriculum = DAFCurriculumConfig(name="c", base_mission=MISSION, stats_update_frequency=10)
    manager = DAFCurriculumManager(curriculum)
    manager.add_task("navigation", difficulty=0.2)
    manager.add_task("cooperation", difficulty=0.8)
    control = controller(tmp_path)
    settings = DAFRlConfig(
        **SMALL | {"total_timesteps": 16 * UPDATE}, experiment_name="whole", eval_frequency=8 * UPDATE, eval_episodes=2,
        eval_replays=0, log_agents=0, trackers=[], curriculum_config=curriculum, integrate_with_adaptive=True,
    )  # fmt: skip
    learns = DAFRlTrainer(
        config=settings, policy=POLICY, adaptive_controller=control, curriculum_manager=manager,
        output=OutputManager(tmp_path),
    )  # fmt: skip
    data: dict[str, Any] = {}
    evaluations: list[float] = []

    def completed(results: Any) -> None:
        data.update({name: results[name] for name in SCORES})
        for task, performance in results["task_performance"].items():
            manager.update_task_performance(task, performance)

    def evaluated(record: Any) -> None:
        evaluations.append(record["mean_reward"])
        control.decrease_curriculum_difficulty()

    result = learns.train(on_training_complete=completed, on_evaluation_complete=evaluated)
    assert result["status"] == result.status == "done"
    assert data == {name: result[name] for name in SCORES}
    assert data["episodes"] > 0
    assert result["mean_reward"] == evaluations[-1]
    assert set(data["task_performance"]) <= {"navigation", "cooperation"}
    assert json.loads((result.run_dir / "training.json").read_text())["avg_reward"] == data["avg_reward"]
    drawn = VisualizationGenerator(output_dir=tmp_path / "drawn").generate_summary_dashboard(result)
    assert drawn.stat().st_size > 10_000
    assert daf_plot_training_curves(result, tmp_path / "curves.png").path.is_file()
    assert any(noted["changed"] for noted in control.get_experiment_status().experiment.adjustments)
    control.close()


def test_a_curriculum_without_tasks_gets_the_environment_that_the_trainer_is_given(tmp_path: Path) -> None:
    manager = DAFCurriculumManager(directory=tmp_path / "missions")
    learns = trainer(tmp_path, TrainingEnvironment(MISSION), curriculum_manager=manager)
    assert [task.mission for task in manager.tasks()] == [MISSION]
    learns.close()
    with pytest.raises(ConfigError, match="no tasks yet"):
        trainer(tmp_path, curriculum_manager=DAFCurriculumManager())


def test_settings_for_distributed_training_take_the_number_of_workers() -> None:
    config = DAFRlConfig(
        curriculum_config=DAFCurriculumConfig(max_active_tasks=20, stats_update_frequency=100),
        adaptive_config=DAFAdaptiveConfig(experiment_id="e"), use_distributed=True, num_workers=8,
    )  # fmt: skip
    assert (config.num_workers, config.workers_per_node) == (8, 8)
    assert config.curriculum_config == {"max_active_tasks": 20, "stats_update_frequency": 100}
    assert config.adaptive_config == {"experiment_id": "e"}
    assert config.replace(seed=1).workers_per_node == 8
    assert DAFRlConfig(num_workers=8).workers_per_node == 1
    with pytest.raises(ConfigError, match="num_workers or workers_per_node of 2"):
        DAFRlConfig(use_distributed=True)


def test_a_controller_with_nothing_to_train_falls_back_to_what_it_is_given(tmp_path: Path) -> None:
    bare = controller(tmp_path)
    with pytest.raises(AdaptiveControllerError, match="nothing to train"):
        bare.start_experiment()
    with pytest.raises(AdaptiveControllerError, match="pass a trainer to run_with_environment"):
        bare.run_with_environment(MISSION)
    training = {"policy": POLICY, "mission": "arena", **SMALL}
    ready: Any = controller(tmp_path, training=training)
    assert ready.run_with_environment(TrainingEnvironment(MISSION), episodes=1) == []
    assert ready.get_experiment_status().status == "not started"
    assert not ready.config.integrate_with_wandb
    assert DAFAdaptiveConfig(experiment_id="w", wandb_project="p").integrate_with_wandb
