"""Several ranks that learn one network: as one process would, repeatable, and replaced when they are lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from daf.compute.interface import ClusterOptions
from daf.config import DAFTrainingConfig
from daf.core.curriculum_manager import DAFCurriculumConfig, DAFCurriculumManager
from daf.core.distributed.launch import Launch
from daf.core.rl_trainer import DAFRlTrainer
from daf.core.training_result import Progress, StopTraining, TrainingResult
from daf.distributed_training import (
    daf_aggregate_training_stats,
    daf_create_training_cluster,
    daf_get_training_status,
    daf_launch_distributed_training,
)
from daf.errors import ConfigError, TrainingError, UsageError
from daf.output_manager import OutputManager
from daf.training import daf_train_policy
from tests.conftest import made_once
from tests.training.tiny import AGENTS, MISSION, metrics_of, weights_of

DOUBLE = "class=tests.training.double.DoublePolicy"
ROLLOUT = 6 * AGENTS * 16
CONFIG = DAFTrainingConfig(
    n_steps=16, num_envs=6, num_workers=1, threads=1, seed=7, total_timesteps=20 * ROLLOUT, eval_frequency=None,
    checkpoint_frequency=4 * ROLLOUT, trackers=[], log_agents=2,
)  # fmt: skip


def trained(run_dir: Path, ranks: int, config: DAFTrainingConfig = CONFIG, **more: Any) -> TrainingResult:
    return daf_train_policy(
        MISSION, DOUBLE, config=config.replace(workers_per_node=ranks), run_dir=run_dir, report=False, **more
    )


@pytest.fixture(scope="module")
def one() -> Path:
    """A run of one process."""
    return made_once("ranks-one", lambda folder: trained(folder, 1))


@pytest.fixture(scope="module")
def two() -> Path:
    """The same run in two ranks."""
    return made_once("ranks-two", lambda folder: trained(folder, 2))


def assert_nearly_equal(run: Path, other: Path) -> None:
    """In double precision, sums in another order differ in the last bits, which 20 updates hardly amplify."""
    import torch
    from safetensors.torch import load_file

    mine, theirs = (load_file(each / "checkpoints" / "final" / "weights.safetensors") for each in (run, other))
    for name, tensor in mine.items():
        assert tensor.dtype == torch.float64
        torch.testing.assert_close(tensor, theirs[name], atol=1e-12, rtol=1e-10, msg=name)
    for line, other_line in zip(metrics_of(run), metrics_of(other), strict=True):
        assert line == pytest.approx(other_line, rel=1e-6, abs=1e-9)


def local_ranks(process: int | None = None) -> list[psutil.Process]:
    """The ranks of this machine, in order."""
    children = psutil.Process(process).children()
    return [each for each in children if "daf.core.distributed.rank" in each.cmdline()]


@pytest.mark.thorough
def test_two_ranks_learn_what_one_process_learns(one: Path, two: Path) -> None:
    assert len(metrics_of(two)) == 20
    assert_nearly_equal(one, two)
    logs = [[json.loads(path.read_text()) for path in sorted((run / "json_logs").iterdir())] for run in (one, two)]
    assert logs[0] == logs[1]  # the sampled agents are those of all ranks
    assert json.loads((two / "training.json").read_text())["ranks"] == 2


@pytest.mark.thorough
def test_lost_ranks_are_replaced_until_no_restart_is_left_and_the_run_ends_as_if_none_was_lost(
    two: Path, tmp_path: Path
) -> None:
    def kill(progress: Progress) -> None:
        if progress.updates in (6, 10) and progress.updates not in killed:
            killed.append(progress.updates)
            local_ranks()[1].kill()

    killed: list[int] = []
    run, shown = tmp_path / "run", Console(record=True, file=(tmp_path / "shown").open("w"), width=200)
    failed = trained(run, 2, launch=Launch(max_restarts=1), on_update=kill, console=shown)
    assert killed == [6, 10]
    text = shown.export_text()
    assert "was killed by signal 9 (SIGKILL). All ranks start again from the last checkpoint (restart 1 of 1)" in text
    assert failed.status == json.loads((run / "training.json").read_text())["status"] == "failed"
    assert failed.error is not None
    assert "was killed by signal 9 (SIGKILL). No restart is left (--max-restarts 1)" in failed.error["message"]
    assert "step_000000003072" in failed.error["message"]
    assert failed.machine
    again = trained(run, 2)
    assert (again.status, again.updates, again.ranks) == ("done", 20, 2)
    assert weights_of(run / "checkpoints" / "final") == weights_of(two / "checkpoints" / "final")
    assert metrics_of(run) == metrics_of(two)


@pytest.mark.thorough
def test_ctrl_c_saves_and_another_number_of_ranks_resumes(one: Path, tmp_path: Path) -> None:
    run, settings = tmp_path / "run", tmp_path / "settings.yaml"
    CONFIG.replace(mission=MISSION, policy=DOUBLE).to_yaml(settings)
    command = [
        *(sys.executable, "-m", "daf", "train", "--config", str(settings), "--run-dir", str(run)),
        *("--no-report", "--nproc", "2"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: len(lines(run)) >= 3, process)
    assert daf_get_training_status(run)["num_workers"] == 2
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "interrupted: " in out
    assert "agent steps, which are saved. Resume with: daf train" in err
    assert not [each for each in psutil.pids() if str(run) in commandline(each)]
    said = Console(record=True, file=(tmp_path / "said").open("w"), width=200)
    result = daf_train_policy(resume=run, ranks=1, console=said, report=False)
    assert (result.status, result.updates, result.ranks) == ("done", 20, 1)
    assert "resuming with ranks 2 → 1: results may differ in their last bits." in said.export_text()
    assert_nearly_equal(run, one)


@pytest.mark.thorough
def test_weak_scaling_is_the_run_with_as_many_times_the_environments(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "prio_alpha": 0.7, "vtrace_rho_clip": 1.0, "vtrace_c_clip": 1.0, "target_kl": 0.5, "bptt_horizon": 8,
        "lr_schedule": "constant", "total_timesteps": 5 * 5 * AGENTS * 16,
    }  # fmt: skip
    weak = CONFIG.replace(scale="weak", num_envs=3, batch_size=64, learning_rate=1e-3, **more)
    strong = CONFIG.replace(num_envs=6, batch_size=128, learning_rate=1e-3 * 2**0.5, **more)
    assert trained(tmp_path / "weak", 2, weak).ranks == 2
    trained(tmp_path / "strong", 1, strong)
    assert_nearly_equal(tmp_path / "weak", tmp_path / "strong")
    said = Console(record=True, file=(tmp_path / "said").open("w"), width=300)
    fewer = daf_train_policy(
        resume=tmp_path / "weak", ranks=1, total_timesteps=7 * 6 * AGENTS * 16, console=said, report=False
    )
    assert (fewer.status, fewer.ranks) == ("done", 1)
    assert (
        "with weak scaling, the number of ranks changes the run: environments 6 → 3, agent steps per gradient step "
        "128 → 64, learning rate × 1.41 → × 1."
    ) in said.export_text()


@pytest.mark.thorough
def test_all_ranks_draw_by_a_curriculum_that_a_callback_changes(tmp_path: Path) -> None:
    def change(progress: Progress) -> None:
        lengths.append(progress.metrics.get("episode/length"))
        if progress.updates == 2:
            assert manager.metrics()["episodes"] > 0  # those that the ranks played
            manager.adapt_curriculum("harder", "for this test")

    lengths: list[float | None] = []
    manager = DAFCurriculumManager(
        DAFCurriculumConfig(
            name="two", missions=["training_facility_1"], options={"max_steps": [16, 32]}, sampler="uniform"
        )
    )
    trainer = DAFRlTrainer(
        CONFIG.replace(workers_per_node=2, total_timesteps=8 * ROLLOUT), "stateless", curriculum_manager=manager,
        output=OutputManager(tmp_path),
    )  # fmt: skip
    assert trainer.train(on_update=change).status == "done"
    assert manager.weights().tolist() == [0.0, 1.0]
    assert set(lengths[4:]) - {None} == {32}  # episodes that were drawn before the change may still have run
    assert trainer.get_training_summary()["updates"] == 8
    assert (trainer.get_timesteps_per_second() or 0) > 0


@pytest.mark.slow
def test_what_would_fail_again_is_not_repeated(tmp_path: Path) -> None:
    diverging = CONFIG.replace(reward_scale=1e300, normalize_rewards=False)
    shown = Console(record=True, file=(tmp_path / "shown").open("w"), width=200)
    result = trained(tmp_path / "run", 2, diverging, console=shown)
    assert (result.status, result.machine) == ("failed", False)
    assert result.error is not None
    assert result.error["type"] == "DivergenceError"
    assert "start again" not in shown.export_text()


@pytest.mark.slow
def test_a_callback_stops_all_ranks_at_its_update_and_uneven_shares_are_allowed(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.updates == 2:
            raise StopTraining

    seven = CONFIG.replace(num_envs=7)
    assert (result := trained(tmp_path / "run", 2, seven, on_update=stop)).status == "stopped"
    assert result.updates == 2
    trained(tmp_path / "alone", 1, seven)
    trained(tmp_path / "run", 2, seven)
    assert_nearly_equal(tmp_path / "run", tmp_path / "alone")


def node(number: int, nodes: str, port: int, run: Path, logs: Path, *more: str) -> "subprocess.Popen[bytes]":
    """The command of one machine, with one rank; machines are processes here."""
    command = [
        *(sys.executable, "-m", "daf", "train", "-m", MISSION, "-p", DOUBLE, "--steps", "4e6", "--set", "n_steps=16"),
        *("--envs", "6", "--workers", "1", "--set", "threads=1", "--seed", "7", "--checkpoint-every", "1000"),
        *("--eval-every", "never", "--tracker", "jsonl", "--no-report", "--nproc", "1", "--nodes", nodes),
        *("--node-rank", str(number), "--rendezvous", f"127.0.0.1:{port}", *more),
        *(("--run-dir", str(run)) if number == 0 else ()),
    ]
    with (logs / f"node{number}.txt").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_machines_may_be_lost_and_join_again_until_the_first_is_lost(tmp_path: Path) -> None:
    port, run = free_port(), tmp_path / "run"
    first = node(0, "1:2", port, run, tmp_path)
    second = node(1, "1:2", port, run, tmp_path)
    try:
        wait_for(lambda: ranks_in(run) == 2, first)
        second.kill()
        wait_for(lambda: ranks_in(run) == 1, first)
        before = steps_in(run)
        second.wait()
        second = node(1, "1:2", port, run, tmp_path)
        wait_for(lambda: ranks_in(run) == 2, first)
        assert steps_in(run) > before - 1000 - ROLLOUT  # from the last checkpoint
        first.kill()
        assert second.wait(60) == 1
        said = (tmp_path / "node1.txt").read_text()
        assert f"the machine with --node-rank 0, 127.0.0.1:{port}, ended or can't be reached any more" in said
        assert "The same command, on all machines, resumes." in said
        first.wait()
        reached = steps_in(run)
        first = node(0, "1:2", port, run, tmp_path)
        wait_for(lambda: steps_in(run) > reached, first)
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_machine_with_other_settings_is_refused_and_one_that_never_joins_is_reported(tmp_path: Path) -> None:
    port, run = free_port(), tmp_path / "run"
    first = node(0, "2", port, run, tmp_path, "--join-timeout", "20")
    second = node(1, "2", port, run, tmp_path, "--set", "gamma=0.5")
    assert second.wait(60) == 2
    assert (
        "settings differ from those of the machine with --node-rank 0: gamma 0.99 → 0.5"
        in (tmp_path / "node1.txt").read_text()
    )
    assert first.wait(90) == 1
    assert "fewer than 2 machines joined within 20 s (--join-timeout)" in (tmp_path / "node0.txt").read_text()


def test_a_machine_with_other_versions_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from daf.core.distributed import job as jobs

    store, own = torch.distributed.HashStore(), jobs.versions()
    job = jobs.Job(CONFIG, None, [], None, tmp_path, "run", None, tmp_path, None, None, None, True, 1.0)  # type: ignore[arg-type]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(jobs, "versions", lambda: {**own, "mettagrid": "0.1"})
        jobs.publish(store, job)
    with pytest.raises(UsageError, match=rf"other versions .*: mettagrid 0\.1 → {own['mettagrid']}\. Install the same"):
        jobs.fetch(store, {})
    jobs.publish(store, job)
    assert jobs.fetch(store, {"seed": 7, "threads": 3}).config == CONFIG
    with pytest.raises(UsageError, match=r"settings differ .*: seed 7 → 8"):
        jobs.fetch(store, {"seed": 8})


def test_a_rendezvous_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    import socket

    both = {"config": CONFIG, "num_machines": 2, "checkpoints_path": tmp_path / "run"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} can't be used .*in use.*another port"):
            daf_launch_distributed_training(MISSION, "stateless", rendezvous=f"127.0.0.1:{port}", **both)
    with pytest.raises(TrainingError, match=rf"rendezvous 127\.0\.0\.1:{port} can't be reached within 1 s"):
        daf_launch_distributed_training(
            MISSION, "stateless", rendezvous=f"127.0.0.1:{port}", node_rank=1, join_timeout=1, **both
        )


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


def test_arguments_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--nodes 2 needs --rendezvous HOST:PORT"):
        daf_launch_distributed_training(MISSION, num_nodes=2)
    with pytest.raises(UsageError, match=r'"mpi".*ray, torch'):
        daf_launch_distributed_training(MISSION, backend="mpi")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match='rendezvous are for backend "torch"'):
        daf_launch_distributed_training(MISSION, backend="ray", rendezvous="127.0.0.1:29400")
    with pytest.raises(UsageError, match='cluster needs backend "ray"'):
        daf_launch_distributed_training(MISSION, cluster=ClusterOptions("127.0.0.1:6379"))
    with pytest.raises(UsageError, match="either env_cfg or env_cfg_supplier"):
        daf_launch_distributed_training()
    with pytest.raises(ConfigError, match=r"batch_size must be a multiple of 64, got 100 .*nearest: 64 or 128"):
        daf_launch_distributed_training(MISSION, batch_size=100, config=CONFIG, checkpoints_path=tmp_path / "a")
    with pytest.raises(ConfigError, match="2 environments can't be divided among 3 ranks"):
        daf_launch_distributed_training(
            MISSION, "stateless", batch_size=2 * 64, workers_per_node=3, config=CONFIG, checkpoints_path=tmp_path / "a"
        )
    with pytest.raises(UsageError, match="is not a training run"):
        daf_get_training_status(tmp_path)


def test_a_cluster_lists_the_command_of_each_machine() -> None:
    assert daf_create_training_cluster(workers_per_node=3)["commands"] == ["--nproc 3"]
    cluster = daf_create_training_cluster(2, 4, rendezvous="10.0.0.5:29400")
    assert cluster["ranks"] == 8
    assert cluster["commands"][1] == "--nodes 2 --node-rank 1 --rendezvous 10.0.0.5:29400 --nproc 4"


def test_step_by_step_training_of_several_ranks_is_refused(tmp_path: Path) -> None:
    trainer = DAFRlTrainer(CONFIG.replace(workers_per_node=2), "stateless", MISSION, output=OutputManager(tmp_path))
    with pytest.raises(UsageError, match="only `train` starts the 2 ranks that train in other processes"):
        trainer.train_episodes(1)
    assert trainer.get_training_summary()["steps"] == 0


@pytest.mark.thorough
def test_a_launch_that_is_refused_is_no_success_of_the_run_that_lies_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    short = CONFIG.replace(num_envs=2, total_timesteps=64)
    daf_train_policy(MISSION, "stateless", config=short, run_dir=run)
    launched = daf_launch_distributed_training(
        MISSION, "no_such_policy", checkpoints_path=run, config=CONFIG, num_steps=128, wait=False
    )
    assert launched.wait_for_completion(timeout=120) is None
    result = launched
    assert (result.status, result.final_checkpoint) == ("failed", None)
    assert result.error is not None
    assert "exit code 2" in result.error
    assert "no_such_policy" in result.error


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[Any]") -> None:
    """Wait until `condition` holds while `process` runs."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lines(run: Path) -> list[str]:
    path = run / "metrics.jsonl"
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] if path.exists() else []


def ranks_in(run: Path) -> int:
    """The ranks of the last update."""
    return int(json.loads(lines(run)[-1])["system/ranks"]) if lines(run) else 0


def steps_in(run: Path) -> int:
    return int(json.loads(lines(run)[-1])["step"])


def commandline(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
