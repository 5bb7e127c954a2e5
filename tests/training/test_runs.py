"""What a training run does and refuses, from Python."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daf.config import DAFConfig, DAFTrainingConfig
from daf.core import checkpoints
from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer
from daf.errors import CheckpointError, ConfigError, MissionError, PolicyError, StorageError, TrainingError, UsageError
from daf.game.training_environment import TrainingEnvironment
from daf.output_manager import OutputManager
from daf.reporting import daf_report
from daf.training import StopTraining, TrainingResult, daf_train_policy
from tests.training.tiny import AGENTS, MISSION, STEPS_PER_UPDATE, TINY, metrics_of, weights_of


def config(**fields: Any) -> DAFTrainingConfig:
    plain = {"total_timesteps": 6 * STEPS_PER_UPDATE, "eval_frequency": None, "trackers": [], "log_agents": 0}
    return DAFTrainingConfig(**{**TINY, **plain, **fields})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A finished run with evaluations, logs and several checkpoints."""
    output = OutputManager(tmp_path_factory.mktemp("out"), log_to_file=False)
    chosen = config(
        checkpoint_frequency=STEPS_PER_UPDATE, eval_frequency=3 * STEPS_PER_UPDATE, eval_episodes=2,
        keep_last_checkpoints=2, log_agents=2, log_interval=8, trackers=["tensorboard"],
    )  # fmt: skip
    return daf_train_policy(MISSION, "stateless", config=chosen, output=output)


def test_a_finished_run_holds_what_it_promises(trained: TrainingResult) -> None:
    run = trained.run_dir
    assert (trained.status, trained.updates, trained.steps) == ("done", 6, 6 * STEPS_PER_UPDATE)
    assert [line["step"] for line in metrics_of(run)] == [STEPS_PER_UPDATE * n for n in range(1, 7)]
    assert {"reward/per_step", "loss/policy", "gradient/norm", "schedule/learning_rate"} <= set(metrics_of(run)[0])
    evaluations = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [record["step"] for record in evaluations] == [0, 3 * STEPS_PER_UPDATE, 6 * STEPS_PER_UPDATE]
    assert all(record["n"] == 2 and (run / record["replays"][0]).is_file() for record in evaluations)
    assert trained.evaluation == evaluations[-1]
    assert list((run / "tensorboard").glob("events*"))
    assert list((run / "json_logs").glob("stats_final_*.json"))
    data = json.loads((run / "training.json").read_text())
    assert (data["status"], data["mission"], data["policy"]) == ("done", MISSION, "stateless")
    assert trained.final_checkpoint == run / "checkpoints" / "final"


def test_the_last_and_the_best_checkpoints_are_kept(trained: TrainingResult) -> None:
    folder = trained.run_dir / "checkpoints"
    kept = [step // STEPS_PER_UPDATE for step in checkpoints.steps(folder)]
    assert kept in ([5, 6], [3, 5, 6])
    for path in (*checkpoints.steps(folder).values(), folder / "final"):
        checkpoints.verify(path)


def limited(folder: Path) -> OutputManager:
    return OutputManager.from_config(DAFConfig(output_dir=folder, max_checkpoints_to_keep=2))


def test_the_shared_settings_limit_the_checkpoints_of_a_run_that_sets_no_limit(tmp_path: Path) -> None:
    def kept(name: str, **fields: Any) -> list[int]:
        chosen = config(total_timesteps=4 * STEPS_PER_UPDATE, checkpoint_frequency=STEPS_PER_UPDATE, **fields)
        result = daf_train_policy(MISSION, "stateless", config=chosen, output=limited(tmp_path / name))
        return [step // STEPS_PER_UPDATE for step in checkpoints.steps(result.run_dir / "checkpoints")]

    assert kept("shared") == [3, 4]
    assert kept("of the run", keep_last_checkpoints=3) == [2, 3, 4]
    assert DAFRlTrainer(config(), "stateless", MISSION, output=limited(tmp_path)).config.keep_last_checkpoints == 2


def test_the_final_checkpoint_is_a_policy_for_daf_and_for_cogames(trained: TrainingResult, tmp_path: Path) -> None:
    import torch
    from cogames.policy.pufferlib_policy import PufferlibCogsPolicy  # noqa: F401  (CoGames is there)
    from mettagrid.policy.loader import initialize_or_load_policy
    from mettagrid.policy.policy import PolicySpec
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game import missions, policies

    assert trained.final_checkpoint is not None
    found = policies.resolve(f"run:{trained.run_id}", cache=tmp_path, runs=trained.run_dir.parent.parent)
    assert found.data_path == str(trained.final_checkpoint / "weights.pt")
    interface = PolicyEnvInterface.from_mg_cfg(missions.resolve(MISSION)[0].config)
    spec = PolicySpec(class_path=found.class_path, data_path=found.data_path)
    network = initialize_or_load_policy(interface, spec).network()
    assert network is not None
    ours = weights_of(trained.final_checkpoint)
    theirs = {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}
    assert ours == theirs
    assert any(torch.any(tensor != 0) for tensor in network.state_dict().values())


def test_a_damaged_checkpoint_is_passed_over(trained: TrainingResult, tmp_path: Path) -> None:
    run = shutil.copytree(trained.run_dir, tmp_path / "run")
    last = max(checkpoints.steps(run / "checkpoints").values())
    weights = bytearray((last / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (last / "weights.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged"):
        checkpoints.verify(last)
    before = checkpoints.latest(run / "checkpoints")
    assert before is not None
    assert before.name < last.name


def test_a_checkpoint_that_cannot_be_written_leaves_the_last(trained: TrainingResult, tmp_path: Path) -> None:
    source = trained.final_checkpoint
    assert source is not None
    for name in (checkpoints.WEIGHTS, checkpoints.STATE, checkpoints.SPEC):
        partial = shutil.copytree(source, tmp_path / name / "step_000000000999")
        (partial / name).unlink()
        assert checkpoints.latest(tmp_path / name) is None


@pytest.mark.thorough
def test_the_number_of_processes_does_not_matter_and_the_seed_does(tmp_path: Path) -> None:
    def weights(name: str, **fields: Any) -> dict[str, bytes]:
        short = config(**{"total_timesteps": 2 * STEPS_PER_UPDATE, **fields})
        result = daf_train_policy(MISSION, "stateless", config=short, run_dir=tmp_path / name)
        assert result.final_checkpoint is not None
        return weights_of(result.final_checkpoint)

    one = weights("one")
    assert weights("three", num_workers=3) == one
    assert weights("seed", seed=8) != one
    assert weights("more", num_envs=8) != one
    assert weights("longer", n_steps=20) != one
    ends_in_it = {"n_steps": 64, "total_timesteps": 64 * TINY["num_envs"] * AGENTS}
    assert weights("cut", bootstrap_truncated=False, **ends_in_it) != weights("bootstrapped", **ends_in_it)


def test_divergence_ends_the_run_with_the_last_good_checkpoint(tmp_path: Path) -> None:
    wild = config(
        learning_rate=1.0, optimizer="sgd", max_grad_norm=None, reward_scale=1e30, normalize_rewards=False,
        lr_schedule="constant", checkpoint_frequency=STEPS_PER_UPDATE, normalize_advantage=False, warmup_steps=10**9,
    )  # fmt: skip
    result = daf_train_policy(MISSION, "stateless", config=wild, run_dir=tmp_path / "run")
    assert result.status == "failed"
    assert result.error is not None
    assert result.error["type"] == "DivergenceError"
    assert "is no longer a number" in result.error["message"]
    assert f"at update {result.updates + 1}" in result.error["message"]
    assert not (tmp_path / "run" / "checkpoints" / "final").exists()


def test_a_process_that_dies_ends_the_run_as_the_machines_fault(tmp_path: Path) -> None:
    trainer = DAFRlTrainer(config(num_workers=2), "stateless", MISSION, output=OutputManager(tmp_path))

    def kill(progress: Any) -> None:
        if progress.updates == 2:
            os.kill(trainer.training.learner.envs.process_ids[0], signal.SIGKILL)

    result = trainer.train(on_update=kill, run_dir=tmp_path / "run")
    assert (result.status, result.machine) == ("failed", True)
    assert result.error is not None
    assert "signal 9" in result.error["message"]


def test_a_failed_run_reports_the_steps_and_the_checkpoint_that_it_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(progress: Any) -> None:
        if progress.updates == 3:
            raise TrainingError("boom")

    output = OutputManager(tmp_path, log_to_file=False)
    chosen = config(checkpoint_frequency=STEPS_PER_UPDATE)
    result = daf_train_policy(MISSION, "stateless", config=chosen, output=output, on_update=fail)
    assert (result.status, result.steps, result.updates) == ("failed", 3 * STEPS_PER_UPDATE, 3)
    assert result.wall_seconds > 0
    saved = result.run_dir / "checkpoints" / f"step_{2 * STEPS_PER_UPDATE:012d}"
    assert result.final_checkpoint == saved
    data = json.loads((result.run_dir / "training.json").read_text())
    assert (data["steps"], data["final_checkpoint"]) == (3 * STEPS_PER_UPDATE, f"checkpoints/{saved.name}")
    details = json.loads((result.run_dir / "execution_log.json").read_text())["details"]
    assert details["steps"] == 3 * STEPS_PER_UPDATE
    assert f"{3 * STEPS_PER_UPDATE:,} agent steps" in daf_report(result.run_dir).html.read_text()
    from daf.cli import main

    monkeypatch.setattr("sys.argv", ["daf", "runs", "show", result.run_id, "--output-dir", str(tmp_path)])
    with contextlib.suppress(SystemExit):
        main()
    shown = capfd.readouterr().out
    assert f"training failed: {3 * STEPS_PER_UPDATE:,} agent steps in 3 updates\n" in shown
    assert f"\ncheckpoint: {saved}\n" in shown


def test_a_callback_may_stop_training_with_a_checkpoint(tmp_path: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.updates == 2:
            raise StopTraining

    result = daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "run", on_update=stop)
    assert (result.status, result.updates) == ("stopped", 2)
    assert result.final_checkpoint is not None
    assert checkpoints.step_of(result.final_checkpoint) == 2 * STEPS_PER_UPDATE


def test_a_branch_begins_with_anothers_weights_and_its_own_settings(trained: TrainingResult, tmp_path: Path) -> None:
    assert trained.final_checkpoint is not None
    longer = config(total_timesteps=trained.steps + STEPS_PER_UPDATE, learning_rate=1e-5, gamma=0.5)
    result = daf_train_policy(
        MISSION, "stateless", config=longer, run_dir=tmp_path / "run", branch_from=trained.final_checkpoint
    )
    assert (result.status, result.updates) == ("done", 7)
    assert metrics_of(tmp_path / "run")[0]["schedule/learning_rate"] < 1e-5
    with pytest.raises(CheckpointError, match=r"policy mettagrid.policy.stateless.StatelessPolicy → daf.policies.lstm"):
        daf_train_policy(MISSION, "lstm", config=longer, run_dir=tmp_path / "b", branch_from=trained.final_checkpoint)


def test_initial_weights_are_where_training_begins(trained: TrainingResult, tmp_path: Path) -> None:
    assert trained.final_checkpoint is not None
    frozen = config(learning_rate=1e-12, initial_weights=trained.final_checkpoint, total_timesteps=1)
    result = daf_train_policy(MISSION, "stateless", config=frozen, run_dir=tmp_path / "run")
    import torch
    from safetensors.torch import load_file

    assert result.final_checkpoint is not None
    before = load_file(trained.final_checkpoint / "weights.safetensors")
    after = load_file(result.final_checkpoint / "weights.safetensors")
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    with pytest.raises(CheckpointError, match=r"does not fit the network of lstm|contains another network"):
        daf_train_policy(MISSION, "lstm", config=frozen, run_dir=tmp_path / "lstm")


@pytest.mark.parametrize(
    ("mission", "policy", "fields", "error", "words"),
    [
        (MISSION, "starter", {}, PolicyError, "cannot be trained: it has no network"),
        ("training_facilty_1", "lstm", {}, MissionError, "training_facility_1"),
        (None, "lstm", {}, UsageError, "no mission to train on"),
        (MISSION, None, {}, UsageError, "no policy to train"),
        (MISSION, "lstm", {"device": "cuda"}, UsageError, "no CUDA device"),
        (MISSION, "lstm", {"precision": "bfloat16"}, ConfigError, "requires a CUDA device"),
        (MISSION, "lstm", {"batch_size": 7 * 16}, ConfigError, "does not divide the rollout"),
        (MISSION, "lstm", {"network": {"hidden_sise": 3}}, PolicyError, 'no constructor argument "hidden_sise"'),
        (MISSION, "lstm", {"gradient_checkpointing": True}, ConfigError, "enable_gradient_checkpointing"),
        ([MISSION, "arena"], "lstm", {}, ConfigError, "need the same number"),
        (MISSION, "lstm", {"trackers": ["wandb"], "tracker_options": {"mlflow": {}}}, UsageError, "mlflow"),
    ],
)
def test_what_cannot_be_is_refused_before_a_run_folder_is_made(
    tmp_path: Path, mission: Any, policy: Any, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        daf_train_policy(mission, policy, config=config(**fields), output=OutputManager(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("training/*"))


def test_zero_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="total_timesteps: 0 is below the minimum 1"):
        config(total_timesteps=0)


def test_a_run_cannot_be_trained_in_twice_at_once(tmp_path: Path) -> None:
    def again(_: Any) -> None:
        with pytest.raises(UsageError, match="another process is training in"):
            daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "run")
        raise StopTraining

    daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "run", on_update=again)


def test_the_trainer_in_the_hands_of_code(tmp_path: Path) -> None:
    trainer = DAFRlTrainer(
        DAFRlConfig(**config(total_timesteps=100 * STEPS_PER_UPDATE).model_dump(exclude_unset=True)),
        "stateless",
        TrainingEnvironment(MISSION),
        output=OutputManager(tmp_path),
    )
    assert trainer.get_gradient_norm() is None
    assert trainer.get_timesteps_per_second() is None
    found = trainer.train_episodes(3)
    assert found["episodes"] >= 3
    focused = trainer.train_on_task("short", f"{MISSION.split(',')[0]},max_steps=20", 4)
    assert (focused["task"], focused["episode/length"]) == ("short", 20)
    assert trainer.train_episodes(1)["episode/length"] == 40
    norm = trainer.get_gradient_norm()
    assert norm is not None
    assert norm > 0
    assert trainer.increase_batch_size() == 2 * STEPS_PER_UPDATE // 4
    with pytest.raises(ConfigError, match="does not divide"):
        trainer.increase_batch_size(3)
    trainer.enable_gradient_clipping(0.25)
    assert trainer.config.max_grad_norm == 0.25
    saved = trainer.save_training_state(tmp_path / "state")
    ahead = trainer.training.learner.update()
    trainer.load_training_state(tmp_path / "state")
    assert trainer.training.learner.steps == checkpoints.step_of(saved)
    again = trainer.training.learner.update()
    assert {k: v for k, v in ahead.items() if not k.startswith("clock/")} == {
        k: v for k, v in again.items() if not k.startswith("clock/")
    }
    assert trainer.evaluate_policy(2)["n"] == 2
    assert trainer.get_training_summary()["missions"] == [MISSION]
    trainer.close()


def test_a_trainer_continues_after_its_run_as_if_it_had_not_ended(tmp_path: Path) -> None:
    def trainer(name: str) -> DAFRlTrainer:
        return DAFRlTrainer(config(), "stateless", MISSION, output=OutputManager(tmp_path / name))

    first, second = trainer("first"), trainer("second")
    assert first.train(run_dir=tmp_path / "run", stop_at=2 * STEPS_PER_UPDATE).status == "stopped"
    for _ in range(2):
        second.training.learner.update()
    after_run, without = first.train_episodes(5), second.train_episodes(5)
    assert after_run["score"] == without["score"]
    assert after_run["loss/total"] == without["loss/total"]
    first.close()
    second.close()


def test_a_branch_that_would_train_nothing_is_refused(trained: TrainingResult, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"saved after 2,304 agent steps, and total_timesteps is 2,304, so nothing"):
        daf_train_policy(
            MISSION, "stateless", config=config(), run_dir=tmp_path / "run", branch_from=trained.final_checkpoint
        )


def test_a_checkpoint_from_before_a_setting_existed_still_fits(trained: TrainingResult, tmp_path: Path) -> None:
    run = shutil.copytree(trained.run_dir, tmp_path / "run")
    for path in checkpoints.steps(run / "checkpoints").values():
        facts = json.loads((path / checkpoints.FACTS).read_text())
        del facts["config"]["workers_per_node"], facts["kernels"]
        (path / checkpoints.FACTS).write_text(json.dumps(facts))
        sums = json.loads((path / checkpoints.CHECKSUMS).read_text())
        sums[checkpoints.FACTS] = checkpoints.hash_file(path / checkpoints.FACTS)
        (path / checkpoints.CHECKSUMS).write_text(json.dumps(sums))
    said = Console(record=True, file=(tmp_path / "said").open("w"), width=200)
    result = daf_train_policy(resume=run, total_timesteps=trained.steps + STEPS_PER_UPDATE, console=said)
    assert (result.status, result.updates) == ("done", 7)
    assert "resuming with kernels MKL → oneDNN: results may differ in their last bits." in said.export_text()


OWN_POLICY = """
import numpy as np
import torch
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action
from torch import nn

from own_parts import body


class Net(nn.Module):
    def __init__(self, shape, actions, width):
        super().__init__()
        self.hidden_size = width
        self.body, self.choice, self.value = body(shape, width), nn.Linear(width, actions), nn.Linear(width, 1)

    def forward_eval(self, observations, state=None):
        hidden = self.body(observations.float() / 255.0)
        return self.choice(hidden), self.value(hidden)

    forward = forward_eval


class Agent(AgentPolicy):
    def __init__(self, info, net):
        super().__init__(info)
        self._net = net

    def step(self, obs):
        seen = np.full(self._policy_env_info.observation_space.shape, 255, np.uint8)
        for place, token in enumerate(obs.tokens):
            seen[place] = token.raw_token
        with torch.no_grad():
            logits, _ = self._net.forward_eval(torch.from_numpy(seen)[None])
        return Action(name=self._policy_env_info.action_names[int(logits.argmax())])


class Mine(MultiAgentPolicy):
    def __init__(self, info, width=32, device="cpu"):
        super().__init__(info)
        self._net = Net(info.observation_space.shape, len(info.action_names), width)

    def network(self):
        return self._net

    def agent_policy(self, agent_id):
        return Agent(self._policy_env_info, self._net)

    def load_policy_data(self, path):
        self._net.load_state_dict(torch.load(path))

    def save_policy_data(self, path):
        torch.save(self._net.state_dict(), path)
"""
OWN_PARTS = """
import math

from torch import nn


def body(shape, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width), nn.Tanh())
"""


def test_a_class_of_ones_own_trains_and_its_checkpoint_plays_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from daf.game import policies

    (tmp_path / "own_policy.py").write_text(OWN_POLICY)
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = daf_train_policy(
        MISSION, "own_policy.Mine", config=config(total_timesteps=1), hyperparameters={"width": 24},
        run_dir=tmp_path / "run",
    )  # fmt: skip
    assert result.final_checkpoint is not None
    shutil.copytree(result.final_checkpoint, tmp_path / "elsewhere" / "bundle")
    for name in ("own_policy", "own_parts"):
        (tmp_path / f"{name}.py").unlink()
        sys.modules.pop(name)
    found = policies.resolve(tmp_path / "elsewhere" / "bundle", cache=tmp_path / "cache")
    assert (found.class_path, found.kwargs) == ("own_policy.Mine", {"width": 24})
    from daf.core.interval_evaluation import evaluate_checkpoint
    from daf.game import missions

    record = evaluate_checkpoint(
        tmp_path / "elsewhere" / "bundle", missions.resolve(MISSION), episodes=2, cache_dir=tmp_path / "cache"
    )
    assert (record.overall.n, record.failures) == (2, ())
    from daf.core.training_settings import parse_settings

    with pytest.raises(UsageError, match="widht"):
        parse_settings(["widht=3"], policy=str(tmp_path / "elsewhere" / "bundle"), cache=tmp_path, runs=None)


def test_no_space_is_reported_before_training_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(StorageError, match=r"two need \d+\.\d MB, and 1\.0 MB is free"):
        daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "run")


def test_shaped_rewards_train_and_the_missions_own_are_evaluated(tmp_path: Path) -> None:
    sizes = {
        "n_steps": 16,
        "num_envs": 2,
        "num_workers": 1,
        "eval_frequency": 64,
        "eval_episodes": 2,
        "log_interval": 8,
    }
    result = daf_train_policy(
        "tutorial.miner,cogs=2,max_steps=24,rewards=miner",
        "stateless",
        config=DAFTrainingConfig(total_timesteps=128, **sizes),
        run_dir=tmp_path / "run",
    )
    lines = (result.run_dir / "evaluations.jsonl").read_text().splitlines()
    evaluations = [json.loads(line) for line in lines]
    assert [list(line["missions"]) for line in evaluations] == [["tutorial.miner,cogs=2,max_steps=24"]] * 3
    assert list(evaluations[0]["random"]["missions"]) == ["tutorial.miner,cogs=2,max_steps=24"]
    records = [
        record
        for path in (result.run_dir / "json_logs").glob("stats_*.json")
        for record in json.loads(path.read_text())
    ]
    assert {"miner_gained", "gain_diversity"} <= {name for one in records for name in one["rewards"]["components"]}
