"""A curriculum under the product's own trainer."""

import os
import signal
from collections.abc import Callable

import pytest
import torch

from daf.config import DAFTrainingConfig
from daf.core.curriculum import from_config
from daf.core.curriculum_manager import DAFCurriculumManager, create_simple_curriculum
from daf.core.rl_trainer import DAFRlTrainer
from daf.errors import ConfigError, TrainingError, UsageError
from daf.output_manager import OutputManager
from daf.training import daf_train_policy
from tests.training.tiny import MISSION, STEPS_PER_UPDATE, TINY, metrics_of, weights_of

CURRICULUM = {
    "missions": ["training_facility_1", "training_facility_2"],
    "options": {"max_steps": [8, 16]},
    "sampler": "learning_progress",
    "max_active_tasks": 3,
    "window": 64,
    "rest_margin": 0.5,
    "stats_update_frequency": 4,
    "on_stagnation": "adapt",
}


def config(**changes) -> DAFTrainingConfig:
    settings = {
        "policy": "stateless",
        "curriculum": CURRICULUM,
        "total_timesteps": 6 * STEPS_PER_UPDATE,
        "eval_frequency": None,
        "checkpoint_frequency": 10**9,
        "log_agents": 0,
        "trackers": [],
        "threads": 1,
    }
    return DAFTrainingConfig(**(TINY | settings | changes))


@pytest.mark.thorough
def test_a_run_with_a_curriculum_stopped_and_gone_on_ends_the_same(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert daf_train_policy(config=config(), run_dir=whole).status == "done"
    assert daf_train_policy(config=config(), run_dir=parts, stop_at=3 * STEPS_PER_UPDATE).status == "stopped"
    assert daf_train_policy(config=config(), run_dir=parts).status == "done"
    assert metrics_of(parts) == metrics_of(whole)
    assert weights_of(parts / "checkpoints" / "final") == weights_of(whole / "checkpoints" / "final")
    states = [torch.load(run / "checkpoints" / "final" / "state.pt", weights_only=True) for run in (whole, parts)]
    assert states[0]["curriculum"] == states[1]["curriculum"]

    lines = metrics_of(whole)
    names = [task.key for task in from_config(CURRICULUM, seed=TINY["seed"]).tasks()]
    for line in lines:
        weights = [line[f"curriculum/weight/{name}"] for name in names]
        assert sum(weights) == pytest.approx(1)
        assert sum(weight > 0 for weight in weights) <= 3
    assert lines[-1]["curriculum/episodes"] == sum(line.get("episode/count", 0) for line in lines) > 20
    assert lines[-1]["curriculum/tasks_played"] == 3
    first, last = ([line[f"curriculum/weight/{name}"] for name in names] for line in (lines[0], lines[-1]))
    assert first != last, "what was recorded changes what is drawn"


def test_a_curriculum_that_cannot_be_is_refused_before_a_run_folder_is_made(tmp_path):
    wrong = config(curriculum=CURRICULUM | {"options": {"cogs": [2, 3]}})
    with pytest.raises(UsageError, match="agents"):
        daf_train_policy(config=wrong, output=OutputManager(tmp_path))
    assert not (tmp_path / "training").exists()


class Breaks:
    """A controller that ends training with an error, or does what else it is given to do."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def update_from_training_results(self, results) -> None:
        self.action()

    def update_from_evaluation(self, results) -> None: ...


@pytest.mark.parametrize("lost", [False, True], ids=["between updates", "in an update"])
def test_training_on_one_task_that_breaks_off_leaves_the_trainer_on_its_own_tasks(tmp_path, lost):
    def stop() -> None:
        if not lost:
            raise KeyboardInterrupt
        os.kill(trainer.training.learner.envs.process_ids[0], signal.SIGKILL)

    controller = Breaks(stop)
    plain = config(curriculum=None, mission=MISSION)
    trainer = DAFRlTrainer(plain, adaptive_controller=controller, output=OutputManager(tmp_path))
    with pytest.raises(TrainingError if lost else KeyboardInterrupt):
        trainer.train_on_task("short", "training_facility_1,max_steps=20", 1000)
    controller.action = lambda: None
    assert trainer.train_episodes(1)["episode/length"] == 40
    trainer.close()


def test_a_curriculum_object_brings_its_missions(tmp_path):
    made = create_simple_curriculum([MISSION])
    alone = config(curriculum=None, total_timesteps=STEPS_PER_UPDATE)
    result = daf_train_policy(config=alone, curriculum=made, run_dir=tmp_path / "run")
    assert result.status == "done"
    assert result.metrics[f"curriculum/weight/{MISSION}"] == 1.0
    with pytest.raises(ConfigError, match="no tasks yet"):
        daf_train_policy(config=alone, curriculum=DAFCurriculumManager(), run_dir=tmp_path / "none")
    with pytest.raises(UsageError, match="no mission to train on"):
        daf_train_policy(config=alone, run_dir=tmp_path / "none")


@pytest.mark.parametrize("given", [{"mission": MISSION}, {"curriculum": CURRICULUM}])
def test_a_curriculum_object_with_missions_from_elsewhere_is_refused(tmp_path, given):
    made = create_simple_curriculum([MISSION])
    with pytest.raises(ConfigError, match="leave one of them out"):
        daf_train_policy(config=config(**{"curriculum": None} | given), curriculum=made, output=OutputManager(tmp_path))
    assert not (tmp_path / "training").exists()
