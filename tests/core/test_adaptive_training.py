"""Experiments of real training: `daf train` and `daf evaluate` as jobs."""

import json
from pathlib import Path
from typing import Any

import pytest

from daf.core.adaptive import record
from daf.core.adaptive.commands import DafCommands
from daf.core.adaptive.status import ExperimentStatus
from daf.storage.hashing import hash_file
from tests.core.adaptive_driver import config, controller
from tests.core.test_adaptive_experiments import committed, drive, end_of, kill_workers

TRAINING = {
    "mission": "training_facility_1,max_steps=64", "policy": "lstm", "total_timesteps": 1024, "num_envs": 2,
    "num_workers": 1, "n_steps": 32, "threads": 1, "device": "cpu", "trackers": [], "log_agents": 0,
}  # fmt: skip
POPULATION: dict[str, Any] = {
    "training": TRAINING,
    "search_space": {"learning_rate": {"min": 0.0005, "max": 0.01, "log": True}},
    "num_runs": 2,
    "scheduler": "population",
    "population": {"interval": 512, "fraction": 0.5},
    "evaluation": {"episodes": 2, "jobs": 1},
    "heartbeat_interval": 0.5,
    "max_concurrent_jobs": 2,
}


def weights(status: ExperimentStatus) -> dict[str, str]:
    """What every run learned, to the bit."""
    found = {}
    for run in status.experiment.runs.values():
        assert run.checkpoint is not None
        found[run.name] = hash_file(status.run_dir / run.checkpoint / "weights.safetensors")
    return found


@pytest.mark.thorough
def test_a_run_is_trained_evaluated_and_played_by_the_experiments_id(tmp_path: Path) -> None:
    from daf.game import policies

    chosen = config(training=TRAINING | {"total_timesteps": 256}, runs=[{"lr": 0.002}], evaluation={"episodes": 2})
    status = controller(tmp_path, chosen, commands=DafCommands).start_experiment()
    assert status.status == "done", status.to_data()
    (run,) = status.experiment.runs.values()
    assert run.steps >= 256
    assert run.score is not None
    assert run.score.n == 2
    trained = json.loads((record.run_dir(status.run_dir, "r0000") / "training.json").read_text())
    assert trained["hyperparameters"]["learning_rate"] == 0.002
    played = policies.resolve(f"run:{status.run_id}", cache=tmp_path / "cache", runs=tmp_path / "out")
    assert str(status.run_dir / "checkpoints" / "final") in str(played.data_path)


@pytest.mark.slow
def test_a_population_whose_controller_and_workers_are_killed_learns_the_same_to_the_bit(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    drive(tmp_path / "whole", POPULATION)
    expected = end_of(tmp_path / "whole")
    assert any(run.parent is not None for run in expected.experiment.runs.values())
    for kill in ("4 after", "8 before!", "6 after!", "9 after"):
        if drive(tmp_path / "killed", POPULATION, kill.rstrip("!")) == 0:
            break
        if kill.endswith("!"):
            kill_workers(tmp_path / "killed")
    drive(tmp_path / "killed", POPULATION)
    status = end_of(tmp_path / "killed")
    assert status.status == "done"
    assert weights(status) == weights(expected)
    assert status.experiment.known() == expected.experiment.known()
    assert set(committed(status).values()) == {1}
