"""Several processes that learn one network: in step, repeatable, resumable."""

from pathlib import Path

import pytest

from daf.config import DAFTrainingConfig
from daf.core.curriculum_manager import DAFCurriculumConfig, DAFCurriculumManager
from daf.core.rl_trainer import DAFRlTrainer
from daf.distributed_training import (
    daf_aggregate_training_stats,
    daf_create_training_cluster,
    daf_get_training_status,
    daf_launch_distributed_training,
)
from daf.errors import ConfigError, TrainingError, UsageError
from daf.output_manager import OutputManager
from daf.training import StopTraining, daf_train_policy
from tests.training.tiny import AGENTS, MISSION, metrics_of, weights_of

CONFIG = DAFTrainingConfig(n_steps=16, num_workers=2, eval_frequency=None, trackers=[], log_agents=0, threads=2)
ROLLOUT = 8 * AGENTS * 16


@pytest.mark.thorough
def test_two_processes_learn_together_and_continue_after_a_stop(tmp_path: Path) -> None:
    asked = {"policy_class_path": "stateless", "num_steps": 4 * ROLLOUT, "batch_size": ROLLOUT, "workers_per_node": 2}
    running = daf_launch_distributed_training(
        MISSION, checkpoints_path=tmp_path / "whole", config=CONFIG, wait=False, **asked
    )
    assert running.status == "running"

    def stop(progress: object) -> None:
        raise StopTraining

    parts = CONFIG.replace(workers_per_node=2, num_envs=8, total_timesteps=4 * ROLLOUT)
    first = daf_train_policy(MISSION, "stateless", config=parts, run_dir=tmp_path / "parts", on_update=stop)
    assert (first.status, first.steps) == ("stopped", ROLLOUT)
    second = daf_launch_distributed_training(MISSION, checkpoints_path=tmp_path / "parts", config=CONFIG, **asked)
    final = running.wait_for_completion(timeout=240)
    whole = running
    assert final == whole.final_checkpoint
    assert final is not None
    for result in (second, whole):
        assert (result.status, result.training_steps, result.num_workers) == ("done", 4 * ROLLOUT, 2)
        assert result.final_checkpoint is not None
        rate = result.training_rate()
        assert rate is not None
        assert rate > 0
        assert result.final_loss == metrics_of(tmp_path / "whole")[-1]["loss/total"]
    assert whole.final_checkpoint is not None
    assert second.final_checkpoint is not None
    assert weights_of(whole.final_checkpoint) == weights_of(second.final_checkpoint)
    assert metrics_of(tmp_path / "whole") == metrics_of(tmp_path / "parts")
    status = daf_get_training_status(tmp_path / "whole")
    assert (status["status"], status["progress"], status["num_workers"]) == ("done", 1.0, 2)


def test_stats_are_aggregated_by_name() -> None:
    stats = [{"a": 1.0, "b": 5.0}, {"a": 3.0}]
    assert daf_aggregate_training_stats(stats) == {"a": 2.0, "b": 5.0}
    assert daf_aggregate_training_stats(stats, "sum") == {"a": 4.0, "b": 5.0}
    assert daf_aggregate_training_stats(stats, "max") == {"a": 3.0, "b": 5.0}
    assert daf_aggregate_training_stats(stats, "min") == {"a": 1.0, "b": 5.0}
    with pytest.raises(UsageError, match='"median"'):
        daf_aggregate_training_stats(stats, "median")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="stats 0: a is nan"):
        daf_aggregate_training_stats([{"a": float("nan")}])


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="num_nodes 2: training on several machines"):
        daf_launch_distributed_training(MISSION, num_nodes=2)
    with pytest.raises(UsageError, match='backend "ray"'):
        daf_launch_distributed_training(MISSION, backend="ray")
    with pytest.raises(UsageError, match="either env_cfg or env_cfg_supplier"):
        daf_launch_distributed_training()
    with pytest.raises(ConfigError, match=r"batch_size must be a multiple of 64, got 100 .*nearest: 64 or 128"):
        daf_launch_distributed_training(MISSION, batch_size=100, config=CONFIG, checkpoints_path=tmp_path / "a")
    with pytest.raises(ConfigError, match="7 environments can't be divided among 2 processes"):
        daf_launch_distributed_training(
            MISSION, "stateless", batch_size=7 * 64, workers_per_node=2, config=CONFIG, checkpoints_path=tmp_path / "a"
        )
    with pytest.raises(UsageError, match="is not a training run"):
        daf_get_training_status(tmp_path)
    assert daf_create_training_cluster(workers_per_node=3)["workers_per_node"] == 3


@pytest.mark.thorough
def test_all_processes_draw_by_a_curriculum_that_was_changed_by_hand(tmp_path: Path) -> None:
    manager = DAFCurriculumManager(
        DAFCurriculumConfig(
            name="two", missions=["training_facility_1"], options={"max_steps": [16, 32]}, sampler="uniform"
        )
    )
    trainer = DAFRlTrainer(
        CONFIG.replace(workers_per_node=2, num_envs=4, num_workers=1, total_timesteps=10**6), "stateless",
        curriculum_manager=manager, output=OutputManager(tmp_path),
    )  # fmt: skip
    learner = trainer.training.learner
    learner.update()
    manager.adapt_curriculum("harder", "for this test")
    assert manager.weights().tolist() == [0.0, 1.0]
    learner.update()  # episodes that were drawn before may still run
    learner.update()
    lengths = [learner.update().get("episode/length") for _ in range(4)]
    assert set(lengths) - {None} == {32}
    trainer.close()


def test_the_reason_of_a_process_that_fails_is_reported(tmp_path: Path) -> None:
    import psutil

    trainer = DAFRlTrainer(
        CONFIG.replace(workers_per_node=2, num_envs=4, num_workers=1, total_timesteps=10**6, mission=MISSION),
        "stateless", output=OutputManager(tmp_path),
    )  # fmt: skip
    learner = trainer.training.learner
    learner.update()
    for child in psutil.Process(learner._processes[0].pid).children(recursive=True):
        child.kill()
    with pytest.raises(TrainingError, match=r"a training process failed: .*environment.*signal 9"):
        learner.update()
    trainer.close()


def test_a_launch_that_is_refused_is_no_success_of_the_run_that_lies_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    daf_train_policy(MISSION, "stateless", config=CONFIG.replace(num_envs=2, total_timesteps=64), run_dir=run)
    launched = daf_launch_distributed_training(
        MISSION, "no_such_policy", checkpoints_path=run, config=CONFIG, num_steps=128, wait=False
    )
    assert launched.wait_for_completion(timeout=120) is None
    result = launched
    assert (result.status, result.final_checkpoint) == ("failed", None)
    assert result.error is not None
    assert "exit code 2" in result.error
    assert "no_such_policy" in result.error
