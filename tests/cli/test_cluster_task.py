"""`daf cluster task`: the task that it writes, what the task runs, and how it is launched."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import sky_here
from tests.conftest import DafCall

OUTPUTS = ("--outputs", "s3://bucket/daf")
ARENA = ("train", "-m", "arena", "--steps", "2e6")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a `sky` that runs tasks here, first on PATH."""
    folder = sky_here.install(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_task_names_resources_storage_and_secrets_and_installs_the_lock_file(
    daf_call: DafCall, tmp_path: Path
) -> None:
    file = tmp_path / "task.yaml"
    called = daf_call(
        "cluster", "task", *OUTPUTS, "--infra", "aws/us-east-1", "--gpus", "A100:4", "--cpus", "32+", "--spot",
        "--max-restarts", "2", "--name", "big", "--env", "A=b=c", "--secret", "WANDB_API_KEY", "--file", file,
        "--json", "--", *ARENA, WANDB_API_KEY="hidden-value",
    )  # fmt: skip
    assert called.returncode == 0, called.stderr
    text = file.read_text()
    task = yaml.safe_load(text)
    assert json.loads(called.stdout)["task"] == task
    assert "hidden-value" not in text + called.stdout
    assert task["resources"] == {
        "infra": "aws/us-east-1", "accelerators": "A100:4", "cpus": "32+", "use_spot": True,
        "job_recovery": {"strategy": "EAGER_NEXT_REGION", "max_restarts_on_errors": 2},
    }  # fmt: skip
    assert task["file_mounts"] == {"/daf_output": {"source": "s3://bucket/daf", "mode": "MOUNT_CACHED"}}
    assert task["envs"] == {"DAF_OUTPUT_DIR": "/daf_output", "A": "b=c"}
    assert task["secrets"] == {"WANDB_API_KEY": None}
    assert (Path(task["workdir"]) / "uv.lock").is_file()
    assert "uv sync --frozen" in task["setup"]
    assert "setup: |\n" in text
    assert task["num_nodes"] == 1


def ran(task: dict[str, object], programs: Path, **variables: str) -> str:
    """The command that the task's run section gives to `uv run`, on a machine with these variables."""
    (programs / "commands").unlink(missing_ok=True)
    script = str(task["run"]).replace("$HOME/.local/bin", str(programs))
    subprocess.run(["bash", "-c", script], env=os.environ | variables, check=True, cwd=str(task["workdir"]))
    return (programs / "commands").read_text().strip()


def test_each_machine_of_a_task_starts_its_ranks_with_machine_0_as_the_rendezvous(
    daf_call: DafCall, programs: Path
) -> None:
    called = daf_call("cluster", "task", *OUTPUTS, "--num-nodes", "2", "--gpus", "H100:8", "--json", "--dry-run",
                      "--", *ARENA)  # fmt: skip
    task = json.loads(called.stdout)["task"]
    assert task["num_nodes"] == 2
    machines = [
        ran(task, programs, SKYPILOT_NODE_RANK=rank, SKYPILOT_NODE_IPS="10.0.0.5\n10.0.0.6",
            SKYPILOT_NUM_GPUS_PER_NODE="8")
        for rank in ("0", "1")
    ]  # fmt: skip
    command = "daf train -m arena --steps 2e6 --nproc 8 --nodes 2 --node-rank {} --rendezvous 10.0.0.5:29400"
    assert machines == [f"{command.format(0)} --run-dir /daf_output/daf", command.format(1)]


def test_a_task_runs_where_the_command_was_written_and_takes_other_files_along(
    daf_call: DafCall, programs: Path, tmp_path: Path
) -> None:
    project, other = tmp_path / "project", tmp_path / "settings of mine.yaml"
    (project / "runs").mkdir(parents=True)
    (project / "uv.lock").write_text('[[package]]\nname = "daf"\n')
    (project / "runs" / "sweep.yaml").touch()
    other.touch()
    called = daf_call("cluster", "task", *OUTPUTS, "--json", "--dry-run", "--", "sweep", "run", "sweep.yaml",
                      cwd=project / "runs")  # fmt: skip
    task = json.loads(called.stdout)["task"]
    assert task["workdir"] == str(project)
    assert "\ncd runs\n" in task["run"]
    assert ran(task, programs) == "daf sweep run sweep.yaml --take-over"
    called = daf_call("cluster", "task", *OUTPUTS, "--json", "--dry-run", "--", "train", "--config", other, cwd=project)
    task = json.loads(called.stdout)["task"]
    assert task["file_mounts"]["~/daf_inputs/0/settings of mine.yaml"] == str(other)
    assert ran(task, programs, HOME="/home/sky").startswith(
        "daf train --config /home/sky/daf_inputs/0/settings of mine.yaml --run-dir /daf_output/daf"
    )


def test_launching_calls_the_users_own_sky(daf_call: DafCall, programs: Path, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    task = ("cluster", "task", *OUTPUTS, "--name", "mine", "--secret", "KEY", "--file", file, "--launch", "--")
    called = daf_call(*task, "evaluate", "-p", "starter", "-m", "arena", KEY="hidden-value")
    assert called.returncode == 0, called.stderr
    assert sky_here.calls(programs) == [["jobs", "launch", "--yes", "--detach-run", "--secret=KEY", str(file)]]
    assert "Launched mine" in called.stderr
    (programs / "broken").touch()
    called = daf_call(*task, "evaluate", "-p", "starter", "-m", "arena", KEY="hidden-value")
    assert called.returncode == 1
    assert "ended with exit code 1" in called.stderr
    assert daf_call(*task, "evaluate", "-p", "starter", "-m", "arena").returncode == 2  # KEY is not set


def test_without_sky_the_way_to_install_it_is_named(
    daf_call: DafCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    called = daf_call("cluster", "task", *OUTPUTS, "--file", tmp_path / "t.yaml", "--launch", "--", *ARENA)
    assert called.returncode == 1
    assert "no program `sky` on PATH" in called.stderr
    assert "uv tool install" in called.stderr
    assert not (tmp_path / "t.yaml").exists()


@pytest.mark.parametrize(("arguments", "says"), [
    ((*OUTPUTS, "--", "doctor"), 'no command for a task "doctor"'),
    ((*OUTPUTS, "--", "train", "--bogus"), "daf train: No such option: --bogus"),
    ((*OUTPUTS, "--", *ARENA, "--output-dir", "x"), "the task sets --output-dir itself"),
    ((*OUTPUTS, "--", *ARENA, "--nodes=2"), "the task sets --nodes itself"),
    ((*OUTPUTS, "--num-nodes", "2", "--", "evaluate", "-p", "noop", "-m", "arena"), "only train runs on several"),
    ((*OUTPUTS, "--num-nodes", "0", "--", *ARENA), "--num-nodes must be 1 or more, got 0"),
    ((*OUTPUTS, "--gpus", "A100:x", "--", *ARENA), '--gpus "A100:x" must be NAME or NAME:COUNT'),
    ((*OUTPUTS, "--env", "A", "--", *ARENA), '--env "A" must be NAME=VALUE'),
    ((*OUTPUTS, "--name", "a/b", "--", *ARENA), '--name "a/b" must be letters'),
    (("--outputs", "here", "--", *ARENA), '--outputs "here" must be the URL of storage'),
    ((*OUTPUTS, "--launch", "--dry-run", "--", *ARENA), "exclude each other"),
])  # fmt: skip
def test_tasks_that_cannot_work_are_refused(arguments: tuple[str, ...], says: str, daf_call: DafCall) -> None:
    called = daf_call("cluster", "task", *arguments)
    assert called.returncode == 2
    assert says in called.stderr


VALIDATE = """
import sys, yaml
import sky
from jsonschema import Draft7Validator
from sky.utils import schemas

for path in sys.argv[1:]:
    data = yaml.safe_load(open(path))
    Draft7Validator(schemas.get_task_schema()).validate(data)
    Draft7Validator(schemas.get_resources_schema()).validate(data.get("resources", {}))
    for mount in data["file_mounts"].values():
        if isinstance(mount, dict):
            Draft7Validator(schemas.get_storage_schema()).validate(mount)
    task = sky.Task.from_yaml_config(data, secrets_overrides=[("KEY", "x")] if "secrets" in data else None)
    print(task.name, task.num_nodes, [resources.use_spot for resources in task.resources])
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_skypilot_accepts_the_tasks(daf_call: DafCall, tmp_path: Path) -> None:
    uv = shutil.which("uv") or str(Path(__file__).parents[2] / ".tools" / "bin" / "uv")
    every = ("--infra", "aws/us-east-1", "--gpus", "A100:4", "--cpus", "8+", "--memory", "32", "--disk-size", "200",
             "--num-nodes", "2", "--spot", "--max-restarts", "2", "--env", "A=1", "--secret", "KEY")  # fmt: skip
    daf_call("cluster", "task", *OUTPUTS, "--file", tmp_path / "plain.yaml", "--", "evaluate", "-p", "a", "-m", "arena")
    daf_call("cluster", "task", *OUTPUTS, *every, "--name", "all", "--file", tmp_path / "all.yaml", "--", *ARENA)
    (tmp_path / "validate.py").write_text(VALIDATE)
    done = subprocess.run(
        [uv, "tool", "run", "--from", "skypilot==0.14.*", "python", str(tmp_path / "validate.py"),
         str(tmp_path / "plain.yaml"), str(tmp_path / "all.yaml")],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == ["daf 1 [False]", "all 2 [True]"]
