"""Jobs of SkyPilot beyond the conformance suite: lost machines, cancelled jobs, and a whole experiment."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from daf.compute.skypilot import TaskSettings
from daf.core.jobs.interface import JobError, JobSpec
from daf.core.jobs.runners import runner_of
from daf.core.jobs.skypilot import SkyJobs
from tests import sky_here
from tests.conftest import DafCall
from tests.training.tiny import MISSION

FOREVER = "import os; os.read(os.pipe()[0], 1)"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = sky_here.install(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def runner(mount: Path) -> SkyJobs:
    return SkyJobs(TaskSettings("s3://bucket/daf"), mount, settle=2.0, queue=0.05)


def started(jobs: SkyJobs, job: JobSpec) -> None:
    deadline = time.monotonic() + 30
    while not job.stderr.exists():
        assert time.monotonic() < deadline
        jobs.wait([job], 0.05)


def test_a_cancelled_job_is_gone_and_is_found_by_its_directory(programs: Path, tmp_path: Path) -> None:
    jobs, job = runner(tmp_path), JobSpec("one", (sys.executable, "-c", FOREVER), tmp_path / "jobs" / "one")
    jobs.launch(job)
    started(jobs, job)
    assert jobs.status(job).state == "running"
    later = runner_of(tmp_path / "jobs")
    assert isinstance(later, SkyJobs)
    later.kill(job)
    assert later.status(job).state == "gone"
    cancelled = [call for call in sky_here.calls(programs) if call[:2] == ["jobs", "cancel"]]
    assert [call[2:4] for call in cancelled] == [["--yes", "--name"]]


def test_a_job_whose_machine_is_lost_is_gone(programs: Path, tmp_path: Path) -> None:
    jobs, job = runner(tmp_path), JobSpec("one", (sys.executable, "-c", FOREVER), tmp_path / "jobs" / "one")
    jobs.launch(job)
    started(jobs, job)
    (machine,) = (programs / "jobs").iterdir()
    os.killpg(int((machine / "pid").read_text()), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while jobs.status(job).state == "running" and time.monotonic() < deadline:
        jobs.wait([job], 0.1)
    assert jobs.status(job).state == "gone"


def test_what_the_machines_do_not_have_is_refused(programs: Path, tmp_path: Path) -> None:
    jobs = runner(tmp_path / "mount")
    outside = JobSpec("one", (sys.executable, "-c", "pass"), tmp_path / "elsewhere")
    with pytest.raises(JobError, match=r"elsewhere, which the machines of SkyPilot don't have.*--output-dir"):
        jobs.launch(outside)
    named = JobSpec("two", (sys.executable, str(tmp_path / "file")), tmp_path / "mount" / "two")
    with pytest.raises(JobError, match=r"uses .*file, which"):
        jobs.launch(named)
    (programs / "broken").touch()
    with pytest.raises(JobError, match="no cloud is enabled"):
        jobs.launch(JobSpec("three", (sys.executable, "-c", "pass"), tmp_path / "mount" / "three"))


@pytest.mark.thorough
def test_an_experiment_trains_and_evaluates_on_skypilot(programs: Path, daf_call: DafCall, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(
        f"""
kind: adaptive
experiment_id: clouds
training: {{mission: "{MISSION}", policy: stateless, total_timesteps: 128, n_steps: 16, num_envs: 2, num_workers: 1,
  threads: 1, eval_frequency: null, trackers: [], device: cpu}}
runs: [{{learning_rate: 0.001}}]
evaluation: {{episodes: 1, max_steps: 20, jobs: 1}}
heartbeat_interval: 0.2
use_skypilot: true
skypilot: {{outputs: "s3://bucket/daf", mount: {tmp_path / "out"}, cpus: "4+", spot: true}}
"""
    )
    called = daf_call("adaptive", "run", file, "--output-dir", tmp_path / "out", "--json")
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["status"] == "done"
    launched = [call for call in sky_here.calls(programs) if call[:2] == ["jobs", "launch"]]
    assert len(launched) == 2  # one to train, one to evaluate
    (again,) = [daf_call("adaptive", "run", file, "--output-dir", tmp_path / "out", "--executor", "ray")]
    assert again.returncode == 2
    assert "uses SkyPilot (use_skypilot), so it can't use --executor" in again.stderr
