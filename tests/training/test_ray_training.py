"""Ranks that are workers of Ray Train: the same run as with ranks of one machine, and what a loss costs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from daf.compute.interface import ClusterOptions
from daf.core.distributed.launch import Launch
from daf.core.training_result import Progress
from daf.distributed_training import daf_launch_distributed_training
from daf.errors import UsageError
from daf.training import daf_train_policy
from tests.conftest import DafCall, RayNodes, made_once
from tests.training.test_distributed import CONFIG, DOUBLE, trained
from tests.training.tiny import MISSION, metrics_of, weights_of


@pytest.fixture(scope="module")
def two() -> Path:
    """The run in two ranks of this machine."""
    return made_once("ranks-two", lambda folder: trained(folder, 2))


def workers_of(cluster: RayNodes) -> list[psutil.Process]:
    """The workers that train on the cluster, oldest first."""
    raylets = [psutil.Process(each.process.pid) for node in cluster.cluster.list_all_nodes()
               for each in node.all_processes["raylet"]]  # fmt: skip
    children = [child for raylet in raylets for child in raylet.children()]
    living = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    found = [child for child in living if "RayTrainWorker" in "".join(child.cmdline())]
    return sorted(found, key=lambda process: process.create_time())


@pytest.mark.thorough
def test_workers_on_ray_learn_what_ranks_learn_and_lost_ones_are_replaced(
    ray_cluster: RayNodes, two: Path, tmp_path: Path
) -> None:
    def kill(progress: Progress) -> None:
        if progress.updates in (6, 10) and progress.updates not in killed:
            killed[progress.updates] = workers_of(ray_cluster)
            killed[progress.updates][len(killed) - 1].kill()

    killed: dict[int, list[psutil.Process]] = {}
    run, shown = tmp_path / "run", Console(record=True, file=(tmp_path / "shown").open("w"), width=300)
    cluster = ClusterOptions(ray_cluster.address)
    failed = trained(run, 2, launch=Launch(max_restarts=1, cluster=cluster), on_update=kill, console=shown)
    assert [len(workers) for workers in killed.values()] == [2, 2]
    text = shown.export_text()
    assert f"Starting 2 workers (1 CPU each) on the Ray cluster at {ray_cluster.address}." in text
    assert "died. All ranks start again from the last checkpoint (restart 1 of 1)." in text
    assert failed.status == json.loads((run / "training.json").read_text())["status"] == "failed"
    assert failed.error is not None
    assert "died. No restart is left (--max-restarts 1). The same command resumes." in failed.error["message"]
    assert "step_000000003072" in failed.error["message"]
    assert failed.machine
    psutil.wait_procs([worker for workers in killed.values() for worker in workers], timeout=30)
    assert not workers_of(ray_cluster)
    again = daf_launch_distributed_training(
        MISSION, DOUBLE, config=CONFIG, num_nodes=2, workers_per_node=1, checkpoints_path=run, backend="ray",
        cluster=cluster,
    )  # fmt: skip
    assert (again.status, again.num_workers) == ("done", 2)
    assert weights_of(run / "checkpoints" / "final") == weights_of(two / "checkpoints" / "final")
    assert metrics_of(run) == metrics_of(two)


@pytest.mark.thorough
def test_ctrl_c_on_ray_saves_and_ranks_of_this_machine_resume(ray_cluster: RayNodes, two: Path, tmp_path: Path) -> None:
    run, settings = tmp_path / "run", tmp_path / "settings.yaml"
    CONFIG.replace(mission=MISSION, policy=DOUBLE).to_yaml(settings)
    command = [
        *(sys.executable, "-m", "daf", "train", "--config", str(settings), "--run-dir", str(run), "--no-report"),
        *("--executor", "ray", "--address", ray_cluster.address, "--num-workers", "2"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (run / "metrics.jsonl").exists() and len(metrics_of(run)) >= 3:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "interrupted: " in out
    assert "agent steps, which are saved. Resume with: daf train" in err
    assert daf_train_policy(resume=run, report=False).status == "done"
    assert weights_of(run / "checkpoints" / "final") == weights_of(two / "checkpoints" / "final")


@pytest.mark.thorough
def test_more_workers_than_a_cluster_has_room_for_are_refused(ray_cluster: RayNodes, tmp_path: Path) -> None:
    def train(workers: int, cpus: float = 1.0) -> None:
        launch = Launch(cluster=ClusterOptions(ray_cluster.address, cpus_per_episode=cpus))
        trained(tmp_path / "run", workers, launch=launch)

    with pytest.raises(UsageError, match=r"room for 2 of 3 workers with 1 CPU each: 3 CPUs are needed, 1 are missing"):
        train(3)
    with pytest.raises(UsageError, match=r"room for 0 of 1 worker with 1\.5 CPUs each: each must fit on one node"):
        train(1, 1.5)
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_cannot_be_reached_is_reported_before_a_run_is_made(daf_call: DafCall, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        called = daf_call(
            "train", "-m", MISSION, "--executor", "ray", "--address", address, "--output-dir", tmp_path / "out"
        )
    assert called.returncode == 1
    assert f"no Ray cluster answers at {address}" in called.stderr
    assert not list(tmp_path.glob("out/training/*"))


@pytest.mark.parametrize(("arguments", "says"), [
    (("--executor", "serial"), 'no executor for training "serial"'),
    (("--num-workers", "2"), "--num-workers needs --executor ray; on this machine use --nproc."),
    (("--address", "auto"), "options of a cluster need --executor ray, got --executor local."),
    (("--executor", "ray", "--nproc", "2"), "with --executor ray use --num-workers"),
    (("--executor", "ray", "--num-workers", "0"), "workers_per_node"),
    (("--executor", "ray", "--cpus-per-episode", "0"), "--cpus-per-episode must be above 0, got 0."),
    (("--executor", "ray", "--nodes", "2", "--rendezvous", "a:1"), "are for machines without Ray"),
])  # fmt: skip
def test_options_of_ray_that_cannot_work_are_refused(
    arguments: tuple[Any, ...], says: str, daf_call: DafCall, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    called = daf_call("train", "-m", MISSION, *arguments, "--output-dir", tmp_path / "out")
    assert called.returncode == 2
    assert says in called.stderr
