"""What a trainer does after a stop, a failure or a change in its hands: nothing is lost, nothing is told twice."""

import json
import logging
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from daf.config import DAFTrainingConfig
from daf.core import checkpoints
from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer
from daf.core.rollout_sizes import rollout_sizes
from daf.core.tracking._fan_out import Trackers
from daf.errors import CheckpointError, ConfigError, UsageError
from daf.game import missions
from daf.output_manager import OutputManager, find_run
from daf.storage import atomic
from daf.training import StopTraining, daf_train_policy
from tests.training.tiny import MISSION, STEPS_PER_UPDATE, TINY, metrics_of, weights_of

UPDATE = STEPS_PER_UPDATE


def config(**fields: Any) -> DAFTrainingConfig:
    plain = {"total_timesteps": 4 * UPDATE, "eval_frequency": None, "trackers": [], "log_agents": 0}
    return DAFTrainingConfig(**{**TINY, "checkpoint_frequency": UPDATE, **plain, **fields})


def trainer_of(folder: Path, **fields: Any) -> DAFRlTrainer:
    return DAFRlTrainer(config(**fields), "stateless", MISSION, output=OutputManager(folder))


def stopping_at(update: int) -> Any:
    def stop(progress: Any) -> None:
        if progress.updates == update:
            raise StopTraining

    return stop


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    return daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path_factory.mktemp("run")).run_dir


def same(run: Path, whole: Path) -> None:
    assert metrics_of(run) == metrics_of(whole)
    assert weights_of(run / "checkpoints" / "final") == weights_of(whole / "checkpoints" / "final")


def test_a_folder_with_a_checkpoint_wins_over_what_the_trainer_did_before(tmp_path: Path, whole: Path) -> None:
    daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "run", on_update=stopping_at(2))
    trainer = trainer_of(tmp_path)
    trainer.train_episodes(1)
    assert trainer.train(run_dir=tmp_path / "run").status == "done"
    same(tmp_path / "run", whole)


def test_after_a_failure_training_continues_from_the_checkpoint(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[str] = []
    close = Trackers.close
    monkeypatch.setattr(Trackers, "close", lambda self, status: (statuses.append(status), close(self, status)))
    trainer = trainer_of(tmp_path, checkpoint_frequency=2 * UPDATE)

    def kill(progress: Any) -> None:
        if progress.updates == 3:
            os.kill(trainer.training.learner.envs.process_ids[0], signal.SIGKILL)

    assert trainer.train(on_update=kill, run_dir=tmp_path / "run").status == "failed"
    assert trainer.train(run_dir=tmp_path / "run").status == "done"
    same(tmp_path / "run", whole)
    assert statuses == ["failed", "done"]


def test_a_failure_before_the_first_checkpoint_needs_a_new_trainer(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, checkpoint_frequency=4 * UPDATE)

    def kill(progress: Any) -> None:
        os.kill(trainer.training.learner.envs.process_ids[0], signal.SIGKILL)

    assert trainer.train(on_update=kill, run_dir=tmp_path / "run").status == "failed"
    with pytest.raises(UsageError, match="failed before its first checkpoint"):
        trainer.train(run_dir=tmp_path / "run")


def test_a_stop_in_the_last_update_leaves_the_last_evaluation_to_be_done(tmp_path: Path) -> None:
    chosen = config(eval_frequency=2 * UPDATE, eval_episodes=1)
    run = tmp_path / "run"
    first = daf_train_policy(MISSION, "stateless", config=chosen, run_dir=run, on_update=stopping_at(4))
    assert (first.status, first.steps) == ("stopped", 4 * UPDATE)
    second = daf_train_policy(MISSION, "stateless", config=chosen, run_dir=run)
    assert second.status == "done"
    assert second.evaluation is not None
    assert second.evaluation["step"] == 4 * UPDATE
    assert second.evaluation["iqm"] is not None
    steps = [json.loads(line)["step"] for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert steps == [0, 2 * UPDATE, 4 * UPDATE]


def test_damage_to_every_checkpoint_is_reported_and_nothing_is_overwritten(tmp_path: Path, whole: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    leftover = run / "checkpoints" / f".step_000000000001{atomic.TEMPORARY_MARK}1-abcd"
    leftover.mkdir()
    for path in checkpoints.steps(run / "checkpoints").values():
        (path / checkpoints.STATE).write_bytes(b"")
    lines = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged"):
        daf_train_policy(MISSION, "stateless", config=config(), run_dir=run)
    assert (run / "metrics.jsonl").read_bytes() == lines
    assert not leftover.exists()


@pytest.mark.parametrize("named", ["config", pytest.param("pair", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("own_folder", [False, True])
def test_a_run_on_a_mission_that_came_as_an_object_is_resumed(
    tmp_path: Path, whole: Path, named: str, own_folder: bool
) -> None:
    (mission,) = missions.resolve(MISSION)
    given = mission.config if named == "config" else ("mine", mission.config)
    run_dir = tmp_path / "run" if own_folder else None
    output = OutputManager(tmp_path / "out")
    daf_train_policy(given, "stateless", config=config(), output=output, run_dir=run_dir, on_update=stopping_at(2))
    result = daf_train_policy(resume=run_dir or "latest", output=OutputManager(tmp_path / "out"))
    assert result.status == "done"
    assert weights_of(result.run_dir / "checkpoints" / "final") == weights_of(whole / "checkpoints" / "final")


@pytest.mark.parametrize("own_folder", [False, True])
def test_resuming_what_is_finished_changes_nothing(tmp_path: Path, own_folder: bool) -> None:
    run_dir = tmp_path / "run" if own_folder else None
    first = daf_train_policy(
        MISSION, "stateless", config=config(), output=OutputManager(tmp_path), run_dir=run_dir, stop_at=2 * UPDATE
    )
    for again in ({"stop_at": 2 * UPDATE}, {"stop_at": UPDATE}):
        before = contents(first.run_dir)
        assert daf_train_policy(resume=first.run_dir, output=OutputManager(tmp_path), **again) == first
        assert contents(first.run_dir) == before
    done = daf_train_policy(resume=first.run_dir, output=OutputManager(tmp_path))
    assert (done.status, done.steps) == ("done", config().total_timesteps)
    before = contents(first.run_dir)
    again = daf_train_policy(resume=first.run_dir, output=OutputManager(tmp_path))
    assert (again.status, again.run_dir, again.final_checkpoint) == ("done", done.run_dir, done.final_checkpoint)
    assert again.to_data() == done.to_data()
    assert contents(first.run_dir) == before
    (done.final_checkpoint / checkpoints.WEIGHTS).write_bytes(b"")  # so there is something to do
    assert daf_train_policy(resume=first.run_dir, output=OutputManager(tmp_path)).status == "done"
    checkpoints.verify(done.final_checkpoint)
    if not own_folder:
        assert find_run("latest", tmp_path).sessions == 3


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_resume_takes_no_other_settings(whole: Path) -> None:
    with pytest.raises(UsageError, match="omit hyperparameters, seed"):
        daf_train_policy(resume=whole, hyperparameters={"gamma": 0.5}, seed=3)


def test_a_checkpoint_to_branch_from_must_be_there_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no checkpoint .* to branch from"):
        daf_train_policy(
            MISSION, "stateless", config=config(), output=OutputManager(tmp_path), branch_from=tmp_path / "none"
        )
    assert not list(tmp_path.glob("training/*"))


def test_a_trainers_run_is_resumed_like_any_other(tmp_path: Path, whole: Path) -> None:
    output = OutputManager(tmp_path)
    settings = DAFRlConfig(**config().model_dump(exclude_unset=True))
    trainer = DAFRlTrainer(settings, "stateless", MISSION, output=output)
    assert trainer.train(stop_at=2 * UPDATE).status == "stopped"
    result = daf_train_policy(resume="latest", output=OutputManager(tmp_path))
    assert result.status == "done"
    same(result.run_dir, whole)


def test_speeds_are_of_what_the_trainer_did_itself(tmp_path: Path, whole: Path) -> None:
    trainer = trainer_of(tmp_path, total_timesteps=6 * UPDATE)
    trainer.train(run_dir=shutil.copytree(whole, tmp_path / "run"), stop_at=5 * UPDATE)
    seconds = [line["clock/seconds"] for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").open())]
    assert trainer.get_timesteps_per_second() == pytest.approx(UPDATE / (seconds[4] - seconds[3]), rel=1e-3)


def test_training_by_episodes_ends_with_the_schedules(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    found = trainer.train_episodes(10_000)
    assert found["steps"] == 4 * UPDATE
    assert found["episodes"] < 10_000
    with pytest.raises(UsageError, match="total_timesteps are trained"):
        trainer.train_episodes(1)
    trainer.close()


def test_missions_that_a_policy_cannot_carry_its_weights_to_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = ["tutorial.miner,max_steps=20", "tutorial.scrambler,max_steps=20"]
    with pytest.raises(ConfigError, match=r"tags of observations have other numbers on tutorial\.scrambler"):
        daf_train_policy(pair, "token_lstm", config=config(), output=OutputManager(tmp_path))
    with pytest.raises(ConfigError, match=r"training_facility_1.* and arena differ in their"):
        daf_train_policy(
            MISSION, "stateless", config=config(eval_missions=["arena"]), output=OutputManager(tmp_path / "eval")
        )
    assert not list(tmp_path.glob("**/training/*"))
    with caplog.at_level(logging.WARNING):
        DAFRlTrainer(config(), "stateless", pair, output=OutputManager(tmp_path / "warned"))
    assert "the network has to distinguish the missions" in caplog.text


def test_a_scale_without_effect_is_refused() -> None:
    with pytest.raises(ConfigError, match="reward_scale 2 has no effect"):
        config(reward_scale=2.0)
    assert config(reward_scale=2.0, normalize_rewards=False).reward_scale == 2.0


@pytest.mark.parametrize(("environments", "batch"), [(64, 16), (61, 61), (22, 4), (6, 1), (90, 22)])
def test_automatic_batches_are_near_a_quarter_of_the_rollout(environments: int, batch: int) -> None:
    found = rollout_sizes(config(num_envs=environments), agents=1, tokens=40, cores=2).batch
    assert environments % found == 0
    wanted = max(1, environments // 4)
    assert all(
        max(found, wanted) / min(found, wanted) <= max(other, wanted) / min(other, wanted)
        for other in range(1, environments + 1)
        if environments % other == 0
    )


def test_a_run_cannot_become_shorter_than_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    daf_train_policy(MISSION, "stateless", config=config(), run_dir=run, on_update=stopping_at(2))
    settings = (run / "training_config.yaml").read_bytes()
    with pytest.raises(UsageError, match="has trained 768 of 1,536 agent steps, so it can't end at 100"):
        daf_train_policy(resume=run, total_timesteps=100)
    assert (run / "training_config.yaml").read_bytes() == settings
    assert daf_train_policy(resume=run, total_timesteps=3 * UPDATE).steps == 3 * UPDATE


def test_a_chosen_directory_holds_its_checkpoints(tmp_path: Path) -> None:
    output = OutputManager(tmp_path / "out", checkpoint_dir=tmp_path / "elsewhere")
    for name in ("one", "two"):
        run = tmp_path / name / "0000"
        result = daf_train_policy(
            MISSION, "stateless", config=config(total_timesteps=UPDATE), run_dir=run, output=output
        )
        assert result.final_checkpoint == run / "checkpoints" / "final"
    listed = daf_train_policy(MISSION, "stateless", config=config(total_timesteps=UPDATE), output=output)
    assert listed.final_checkpoint == tmp_path / "elsewhere" / listed.run_id / "final"


def test_a_misspelt_hyperparameter_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no hyperparameter.*"lerning_rate"\. Nearest: learning_rate'):
        daf_train_policy(MISSION, "lstm", hyperparameters={"lerning_rate": 1}, output=OutputManager(tmp_path))
