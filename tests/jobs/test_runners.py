"""The conformance suite of job runners: a new implementation is one more of `RUNNERS`."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from daf.compute.interface import ClusterOptions
from daf.compute.skypilot import TaskSettings
from daf.core.jobs._process_table import alive, identity, marked
from daf.core.jobs.interface import JobError, JobRunner, JobSpec, JobStatus
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.ray import RayJobs
from daf.core.jobs.skypilot import SkyJobs
from tests import sky_here
from tests.conftest import RayNodes

RUNNERS = ("local", pytest.param("ray", marks=pytest.mark.thorough))
ANYWHERE = pytest.mark.parametrize("make", [*RUNNERS, "skypilot"], indirect=True)
"""For tests that need not know the processes of a job, as those of SkyPilot's machines."""
FOREVER = "import os; os.read(os.pipe()[0], 1)"


@pytest.fixture(params=RUNNERS)
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], JobRunner]:
    if request.param == "local":
        return LocalJobs
    if request.param == "skypilot":
        programs = sky_here.install(tmp_path / "programs")
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return lambda: SkyJobs(TaskSettings("s3://bucket/daf"), tmp_path, settle=2.0, queue=0.1)
    cluster: RayNodes = request.getfixturevalue("ray_cluster")
    return lambda: RayJobs(ClusterOptions(cluster.address, cpus_per_episode=0.1))


@pytest.fixture
def job(tmp_path: Path, make: Callable[[], JobRunner]) -> Iterator[Callable[[str], JobSpec]]:
    made: list[JobSpec] = []

    def build(code: str) -> JobSpec:
        folder = tmp_path / f"job{len(made)}"
        made.append(JobSpec(folder.name, (sys.executable, "-S", "-E", "-c", code), folder, cwd=tmp_path))
        return made[-1]

    yield build
    for one in made:
        make().kill(one)


def until(runner: JobRunner, job: JobSpec, *states: str) -> JobStatus:
    deadline = time.monotonic() + 30
    while (status := runner.status(job)).state not in states:
        assert time.monotonic() < deadline, status
        runner.wait([job], 0.5)
    return status


def running(runner: JobRunner, job: JobSpec) -> int:
    """The job's pid, once it is there and its command runs."""
    deadline = time.monotonic() + 30
    while (pid := runner.status(job).pid) is None or not (job.folder / "stderr").exists():
        assert time.monotonic() < deadline
        runner.wait([job], 0.02)
    return pid


@ANYWHERE
def test_a_job_ends_with_its_exit_code_and_what_it_printed(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec]
) -> None:
    runner, one = make(), job("import sys; print('out'); sys.exit(7)")
    assert runner.status(one).state == "absent"
    runner.launch(one)
    assert until(runner, one, "ended").exit_code == 7
    assert (one.folder / "stdout").read_text() == "out\n"
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []


@ANYWHERE
def test_a_command_that_is_not_there_ends_with_127(make: Callable[[], JobRunner], tmp_path: Path) -> None:
    runner, one = make(), JobSpec("none", ("/nowhere/program",), tmp_path / "job")
    runner.launch(one)
    assert until(runner, one, "ended").exit_code == 127
    assert "/nowhere/program" in (one.folder / "stderr").read_text()


@ANYWHERE
def test_a_job_launched_twice_runs_once(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    one = job(f"open({str(tmp_path / 'ledger')!r}, 'a').write('x')")
    first, second = make(), make()
    first.launch(one)
    second.launch(one)
    until(first, one, "ended")
    second.wait([one], 0.2)
    until(make(), one, "ended")
    assert (tmp_path / "ledger").read_text() == "x"


@ANYWHERE
def test_another_runner_finds_a_running_job_and_learns_its_end(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec]
) -> None:
    one = job("import sys; sys.exit(5)")
    make().launch(one)
    later = make()
    assert until(later, one, "ended").exit_code == 5


@ANYWHERE
def test_a_forgotten_job_never_starts(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    one = job(f"open({str(tmp_path / 'ledger')!r}, 'a').write('x')")
    runner = make()
    assert runner.forget(one)
    runner.launch(one)
    until(runner, one, "gone")
    assert not (tmp_path / "ledger").exists()


def test_a_job_that_has_started_is_not_forgotten(make: Callable[[], JobRunner], job: Callable[[str], JobSpec]) -> None:
    runner, one = make(), job(FOREVER)
    runner.launch(one)
    running(runner, one)
    assert not make().forget(one)
    assert make().status(one).state == "running"


@ANYWHERE
def test_an_interrupted_job_gets_ctrl_c(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    one = job(
        f"import sys, os\ntry:\n  open({str(ready)!r}, 'w').close()\n  os.read(os.pipe()[0], 1)\n"
        "except KeyboardInterrupt:\n  print('saved'); sys.exit(130)"
    )
    runner = make()
    runner.launch(one)
    while not ready.exists():
        runner.wait([one], 0.02)
    runner.interrupt(one)
    assert until(runner, one, "ended").exit_code == 130
    assert (one.folder / "stdout").read_text() == "saved\n"


def test_kill_ends_everything_that_a_job_started(make: Callable[[], JobRunner], job: Callable[[str], JobSpec]) -> None:
    child_code = f"[sys.executable, '-c', {FOREVER!r}], start_new_session=True"
    code = f"import subprocess, sys; print(subprocess.Popen({child_code}).pid, flush=True); {FOREVER}"
    runner, one = make(), job(code)
    runner.launch(one)
    running(runner, one)
    while not (one.folder / "stdout").read_text().endswith("\n"):
        runner.wait([one], 0.02)
    child = int((one.folder / "stdout").read_text())
    known = identity(child)
    assert known is not None
    assert len(marked(str(one.folder))) == 3
    runner.kill(one)
    until(runner, one, "gone")
    deadline = time.monotonic() + 10
    while marked(str(one.folder)) and time.monotonic() < deadline:
        runner.wait([], 0.02)
    assert not alive(child, known)
    assert marked(str(one.folder)) == []


def test_a_job_whose_supervisor_is_killed_is_gone_and_its_command_with_it(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec]
) -> None:
    runner, one = make(), job(FOREVER)
    runner.launch(one)
    os.kill(running(runner, one), signal.SIGKILL)
    until(runner, one, "gone")
    deadline = time.monotonic() + 10
    while marked(str(one.folder)) and time.monotonic() < deadline:
        runner.wait([], 0.02)
    assert marked(str(one.folder)) == []


def test_a_process_that_has_the_pid_of_an_old_job_is_left_alone(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    stranger, old = job(FOREVER), JobSpec("old", (), tmp_path / "old")
    runner = make()
    runner.launch(stranger)
    pid = running(runner, stranger)
    old.folder.mkdir()
    record = {"pid": pid, "identity": "another boot:12345", "claimed": 0.0}
    (old.folder / "process.json").write_text(json.dumps(record))
    assert runner.status(old).state == "gone"
    runner.interrupt(old)
    runner.kill(old)
    assert runner.status(stranger).state == "running"


def test_a_change_of_a_heartbeat_file_is_a_heartbeat(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec], tmp_path: Path
) -> None:
    from dataclasses import replace

    metrics = tmp_path / "metrics.jsonl"
    runner, one = make(), replace(job(FOREVER), heartbeat_files=(metrics,))
    runner.launch(one)
    running(runner, one)
    metrics.write_text("{}")
    later = time.time() + 1000
    os.utime(metrics, (later, later))
    assert runner.status(one).last_heartbeat == pytest.approx(later)


def test_waiting_ends_when_a_job_ends(make: Callable[[], JobRunner], job: Callable[[str], JobSpec]) -> None:
    runner, quick, slow = make(), job("pass"), job(FOREVER)
    runner.launch(slow)
    running(runner, slow)
    runner.launch(quick)
    began = time.monotonic()
    runner.wait([quick, slow], 60)
    assert time.monotonic() - began < 30


def test_a_job_of_another_machine_is_not_judged(job: Callable[[str], JobSpec]) -> None:
    runner, one = LocalJobs(), job("pass")
    one.folder.mkdir()
    record = {"host": "elsewhere", "pid": 1, "identity": "boot:1", "claimed": 0.0}
    (one.folder / "process.json").write_text(json.dumps(record))
    with pytest.raises(JobError, match=r"was started on elsewhere.*Continue on elsewhere.*remove .*process\.json"):
        runner.status(one)
    (one.folder / "process.json").unlink()


def test_an_interrupt_is_heard_however_early_it_comes(
    make: Callable[[], JobRunner], job: Callable[[str], JobSpec]
) -> None:
    runner = make()
    for _ in range(5):
        one = job(FOREVER)
        runner.launch(one)
        while not (one.folder / "process.json").exists():
            runner.wait([], 0.001)
        runner.interrupt(one)
        assert until(runner, one, "ended").exit_code in (-signal.SIGINT, 130, 1)
