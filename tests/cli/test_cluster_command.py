"""`daf cluster`, and commands that play on a Ray cluster."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import DafCall, RayNodes

DAF = [sys.executable, "-m", "daf"]
EVALUATE = ("evaluate", "-p", "starter", "-p", "random", "-m", "arena,max_steps=60", "--json", "--no-report")


def played(output: str) -> dict[str, object]:
    return {episode["key"]: (episode["rewards"], episode["steps"]) for episode in json.loads(output)["episodes"]}


@pytest.mark.thorough
def test_episodes_on_ray_equal_local_ones_and_nothing_else_is_printed(
    ray_cluster: RayNodes, daf_call: DafCall, tmp_path: Path
) -> None:
    on_ray = ("--executor", "ray", "--address", ray_cluster.address)
    there = daf_call(*EVALUATE, "-e", 4, *on_ray, "--output-dir", tmp_path / "ray", "--save-replays", "all")
    here = daf_call(*EVALUATE, "-e", 4, "--jobs", 1, "--output-dir", tmp_path / "local")
    assert (there.returncode, here.returncode) == (0, 0), there.stderr
    assert len(played(there.stdout)) == 8
    assert played(there.stdout) == played(here.stdout)
    assert len(list(tmp_path.glob("ray/evaluations/*/replays/*.json.z"))) == 8
    assert "ray" not in there.stderr.replace(str(tmp_path), "").lower()


@pytest.mark.thorough
def test_a_killed_command_leaves_nothing_running_and_resumes_from_the_cache(
    ray_cluster: RayNodes, daf_call: DafCall, tmp_path: Path
) -> None:
    command = [*EVALUATE, "-e", "8", "--executor", "ray", "--address", ray_cluster.address]
    command = [each.replace("max_steps=60", "max_steps=200") for each in command] + ["--output-dir", str(tmp_path)]
    killed = subprocess.Popen([*DAF, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("cache/episodes/*/*.json"))) < 3:
        assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    kept = len(list(tmp_path.glob("cache/episodes/*/*.json")))
    assert 3 <= kept < 16
    again = daf_call(*command)
    summary = json.loads(again.stdout)["summary"]
    assert (again.returncode, summary["cached"], summary["played"]) == (0, kept, 16 - kept)


@pytest.mark.thorough
@pytest.mark.parametrize("which", ["Dies", "Hangs"])
def test_an_episode_that_ends_its_worker_or_hangs_fails_alone(
    which: str, ray_cluster: RayNodes, daf_call: DafCall, tmp_path: Path, bad_policies: str
) -> None:
    called = daf_call(
        "evaluate", "-p", f"{bad_policies}.{which}", "-p", "noop", "-m", "memory_mystery_path_easy,max_steps=20",
        "-e", 1, "--json", "--no-report", "--executor", "ray", "--address", ray_cluster.address,
        "--episode-timeout", 5, "--output-dir", tmp_path,
    )  # fmt: skip
    episodes = json.loads(called.stdout)["episodes"]
    assert called.returncode == 1
    assert [episode["status"] for episode in episodes] == ["failed", "ok"]
    assert episodes[0]["failure"]["kind"] == {"Dies": "crash", "Hangs": "time-out"}[which]


@pytest.mark.thorough
def test_status_and_doctor_name_every_node(ray_cluster: RayNodes, daf_call: DafCall) -> None:
    status = daf_call("cluster", "status", "--address", ray_cluster.address, "--json")
    found = json.loads(status.stdout)
    living = [node for node in found["nodes"] if node["alive"]]
    assert (status.returncode, found["problems"], len(living)) == (0, [], 3)
    assert sum(node["resources"].get("CPU", 0) for node in living) == 2
    assert {node["versions"]["mettagrid"] for node in living} == {"0.25.5"}
    doctor = daf_call("doctor", "--executor", "ray", "--address", ray_cluster.address, "--json")
    (check,) = [check for check in json.loads(doctor.stdout)["checks"] if check["name"] == "ray"]
    assert (check["status"], check["found"]) == ("ok", f"3 nodes at {ray_cluster.address} with 2 CPUs, 0 GPUs")


@pytest.mark.thorough
def test_a_cluster_runs_from_up_to_down(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        environment.pop(name, None)

    def daf(*arguments: str) -> tuple[int, dict[str, object]]:
        done = subprocess.run(
            [*DAF, *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        return done.returncode, json.loads(done.stdout)

    code, up = daf("cluster", "up", "--local", "1", "--cpus-per-node", "2")
    try:
        assert (code, up["nodes"], up["cpus"]) == (0, 1, 2), up
        pids = [each["pid"] for each in json.loads((tmp_path / "daf" / "cluster.json").read_text())["processes"]]
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
        code, again = daf("cluster", "up", "--local", "1")
        assert (code, "Stop it with `daf cluster down`" in str(again["error"])) == (2, True)
        code, status = daf("cluster", "status")
        assert (code, status["address"], len(status["nodes"])) == (0, up["address"], 1)  # type: ignore[arg-type]
    finally:
        code, down = daf("cluster", "down")
    assert (code, down["stopped"]) == (0, up["address"])
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)
    code, none = daf("cluster", "status")
    assert (code, "no cluster is running" in str(none["error"])) == (2, True)


@pytest.mark.parametrize(("arguments", "says"), [
    (("cluster", "up", "--local", "0"), "--local must be 1 to 64 nodes, got 0"),
    (("cluster", "up", "--local", "2", "--cpus-per-node", "0"), "--cpus-per-node must be 1 to 1024, got 0"),
    (("evaluate", "-p", "noop", "-m", "arena", "--address", "10.0.0.1:6379"), "need --executor ray, got"),
    (("evaluate", "-p", "noop", "-m", "arena", "--executor", "ray", "--jobs", "0"), "--jobs must be 1 to 1024"),
    (("compare", "-p", "noop", "-p", "random", "-m", "arena", "--executor", "rays"), "Nearest: ray"),
])  # fmt: skip
def test_wrong_options_are_refused(arguments: tuple[str, ...], says: str, daf_call: DafCall) -> None:
    called = daf_call(*arguments)
    assert called.returncode == 2
    assert says in called.stderr
