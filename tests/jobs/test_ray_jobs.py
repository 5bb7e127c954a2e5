"""Training jobs on a Ray cluster whose nodes are lost: the next attempt continues elsewhere."""

import json
import threading
import time
from pathlib import Path

import pytest

from daf.adaptive import daf_adaptive_status, daf_run_adaptive
from daf.compute.interface import ClusterOptions
from daf.config import DAFTrainingConfig
from daf.core.adaptive_controller import DAFAdaptiveConfig
from daf.core.jobs.interface import JobSpec
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.ray import RayJobs
from daf.core.jobs.runners import make_runner, runner_of
from daf.errors import UsageError
from daf.output_manager import OutputManager
from tests.conftest import RayNodes
from tests.sweeps.sweeping import config_of, outcome, run, run_dir_in

TRAINING = {
    "total_timesteps": 40 * 256, "checkpoint_frequency": 512, "num_envs": 2, "num_workers": 1, "n_steps": 32,
    "eval_frequency": None, "log_agents": 0, "trackers": [],
}  # fmt: skip
MISSION = "training_facility_1,max_steps=20"
SWEEP = {
    "missions": [MISSION], "policy_class_path": "stateless", "strategy": "grid",
    "search_space": {"learning_rate": [0.05]}, "num_trials": 1, "episodes_per_trial": 2, "training": TRAINING,
}  # fmt: skip


class NodeKiller(threading.Thread):
    """Kills the node of the first job in `folder` that has saved a checkpoint; first, it adds one to the cluster."""

    def __init__(self, cluster: RayNodes, folder: Path) -> None:
        super().__init__(daemon=True)
        cluster.add()  # here: Ray starts nodes from the main thread only
        self.cluster, self.folder, self.killed = cluster, folder, 0

    def run(self) -> None:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            jobs = list(self.folder.rglob("process.json"))
            if jobs and any(self.folder.rglob("checkpoints/step_*/state.json")):
                pid = json.loads(jobs[0].read_text())["pid"]
                self.cluster.kill(self.cluster.node_of(pid))
                self.killed += 1
                return
            time.sleep(0.02)


@pytest.mark.slow
def test_a_trial_whose_node_died_resumes_elsewhere_and_ends_as_without(ray_cluster: RayNodes, tmp_path: Path) -> None:
    run(config_of(**SWEEP), tmp_path / "local")
    killer = NodeKiller(ray_cluster, tmp_path / "ray")
    killer.start()
    run(config_of(**SWEEP), tmp_path / "ray", executor="ray", cluster=ClusterOptions(ray_cluster.address))
    killer.join()
    assert killer.killed == 1
    jobs = sorted(folder.name for folder in (run_dir_in(tmp_path / "ray") / "jobs").iterdir())
    assert jobs == ["0000-end-1", "0000-end-2"]
    assert [trial["values"] for trial in outcome(tmp_path / "ray")] == [
        trial["values"] for trial in outcome(tmp_path / "local")
    ]


@pytest.mark.slow
def test_an_experiment_on_ray_retries_the_run_whose_node_died(ray_cluster: RayNodes, tmp_path: Path) -> None:
    config = DAFAdaptiveConfig(
        experiment_id="lost_node",
        training=DAFTrainingConfig(**TRAINING, policy="stateless", mission=MISSION),
        runs=[{"seed": 1}, {"seed": 2}],
        max_concurrent_jobs=2,
        heartbeat_interval=0.2,
        retry_delay=0.1,
        evaluation={"episodes": 2},
    )
    killer = NodeKiller(ray_cluster, tmp_path)
    killer.start()
    output = OutputManager(tmp_path)
    status = daf_run_adaptive(config, output=output, executor="ray", cluster=ClusterOptions(ray_cluster.address))
    killer.join()
    assert killer.killed == 1
    assert status.status == "done"
    assert len(list(status.run_dir.glob("jobs/*/ray.json"))) >= 3, "two runs, one of them at least twice"
    assert daf_adaptive_status("lost_node", tmp_path).status == "done"


def test_jobs_are_found_by_the_runner_that_launched_them(tmp_path: Path) -> None:
    assert isinstance(runner_of(tmp_path), LocalJobs)
    (tmp_path / "one-1").mkdir()
    (tmp_path / "one-1" / "ray.json").write_text('{"cluster": "10.1.2.3:6379"}')
    assert isinstance(runner_of(tmp_path), RayJobs)


def test_options_of_a_cluster_need_the_executor_ray() -> None:
    with pytest.raises(UsageError, match="need --executor ray, got --executor local"):
        make_runner("local", ClusterOptions("10.1.2.3:6379"))
    with pytest.raises(UsageError, match="Nearest: ray"):
        make_runner("rays")


def test_a_job_that_no_cluster_has_seen_is_left_to_this_machine(tmp_path: Path) -> None:
    runner, job = RayJobs(ClusterOptions("127.0.0.1:1")), JobSpec("one", ("true",), tmp_path / "job")
    assert runner.status(job).state == "absent"
    assert runner.forget(job)
    assert runner.status(job).state == "gone"
