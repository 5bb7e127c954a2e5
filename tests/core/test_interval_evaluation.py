"""Checkpoints are evaluated as `daf evaluate` evaluates them, on seeds apart from training's."""

import json
from pathlib import Path

import pytest

from daf.core.interval_evaluation import TRAINING_SEEDS, evaluate_checkpoint
from daf.errors import UsageError
from daf.game import missions
from daf.game.replays import read_replay
from daf.game.training_world import episode_seed
from tests.conftest import SMALL, SMALLEST


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training writes it: specification and weights of a network that was not trained."""
    import torch
    from mettagrid.policy.lstm import LSTMPolicy
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    folder = tmp_path_factory.mktemp("run") / "checkpoints" / "step_000000001000"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    interface = PolicyEnvInterface.from_mg_cfg(missions.resolve(SMALL)[0].config)
    LSTMPolicy(interface).save_policy_data(str(folder / "weights.pt"))
    spec = {"class_path": "mettagrid.policy.lstm.LSTMPolicy", "data_path": "weights.pt", "init_kwargs": {}}
    (folder / "policy_spec.json").write_text(json.dumps(spec))
    return folder


def test_an_evaluation_has_intervals_per_mission_and_replays_that_show_its_episodes(
    checkpoint: Path, tmp_path: Path
) -> None:
    found = missions.resolve([SMALL, "tutorial.miner,max_steps=20,cogs=2"])
    record = evaluate_checkpoint(
        checkpoint, found, episodes=4, cache_dir=tmp_path / "cache", jobs=1, replays=3, replay_dir=tmp_path / "replays"
    )
    assert list(record.missions) == [mission.name for mission in found]
    for score in (*record.missions.values(), record.overall):
        assert score.failed == 0
        assert score.mean is not None
        assert score.low is not None
        assert score.low <= score.mean <= score.high
    assert record.overall.n == 8
    means = [score.mean for score in record.missions.values()]
    assert record.overall.mean == pytest.approx(sum(means) / 2)
    assert [path.name for path in record.replays] == [
        f"{mission}-{which}.json.z"
        for mission in ("tutorial.miner_max_steps=40", "tutorial.miner_cogs=2_max_steps=20")
        for which in ("best", "worst", "median")
    ]
    assert read_replay(record.replays[0]).steps == 40

    data = json.loads(json.dumps(record.to_data(tmp_path), allow_nan=False))
    assert data["replays"][0] == "replays/tutorial.miner_max_steps=40-best.json.z"
    assert data["mean"] == record.overall.mean

    again = evaluate_checkpoint(checkpoint, found, episodes=4, cache_dir=tmp_path / "cache", jobs=1)
    assert again.missions == record.missions


def test_a_policy_that_raises_is_failed_episodes_and_no_score(bad_policies: str, tmp_path: Path) -> None:
    spec = {"class_path": f"{bad_policies}.Raises", "data_path": None, "init_kwargs": {}}
    folder = tmp_path / "step_1"
    folder.mkdir()
    (folder / "policy_spec.json").write_text(json.dumps(spec))
    record = evaluate_checkpoint(
        folder, missions.resolve(SMALLEST), episodes=2, cache_dir=tmp_path / "cache", jobs=1, replays=1,
        replay_dir=tmp_path / "replays",
    )  # fmt: skip
    assert record.overall.mean is None
    assert (record.overall.n, record.overall.failed) == (0, 2)
    assert len(record.failures) == 1
    assert record.replays == ()


def test_training_draws_its_seeds_where_no_evaluation_may() -> None:
    drawn = [
        episode_seed(run, environment, episode) for run in (0, 7) for environment in (0, 255) for episode in range(50)
    ]
    assert min(drawn) >= TRAINING_SEEDS


def test_seeds_that_training_may_use_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="overestimate the policy"):
        evaluate_checkpoint(checkpoint, missions.resolve(SMALL), episodes=2, cache_dir=tmp_path, seed=TRAINING_SEEDS)
