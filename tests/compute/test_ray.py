"""Tasks on a Ray cluster: what is lost when a worker, a node or the program is lost, and what is refused."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daf.compute._ray import Pace
from daf.compute.carried import path_here
from daf.compute.executor import make_executor
from daf.compute.interface import ClusterOptions, Executor
from daf.errors import ExecutorError, UsageError
from tests.conftest import RayNodes


def on(cluster: RayNodes, jobs: int | str = "auto", **options: object) -> Executor:
    return make_executor("ray", jobs=jobs, cluster=ClusterOptions(cluster.address, **options))


def noted(task: tuple[Path, int, float]) -> int:
    """Write a line about the attempt, and take a while."""
    ledger, number, seconds = task
    with ledger.open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    time.sleep(seconds)
    return number


def kills_its_worker(task: tuple[Path, int]) -> int:
    ledger, number = task
    noted((ledger, number, 0.0))
    if number == 1:
        os.kill(ray_worker(), signal.SIGKILL)
        time.sleep(60)
    return number


def ray_worker() -> int:
    """The worker of Ray that holds this process: the parent of its fork server."""
    import psutil

    return next(each.pid for each in psutil.Process().parents() if each.name().startswith("ray::"))


def attempts(ledger: Path) -> list[int]:
    return [int(line.split()[0]) for line in ledger.read_text().splitlines()]


def content(path: Path) -> tuple[str, str]:
    return str(path_here(path)), path_here(path).read_text()


def imported(name: str) -> int:
    module = __import__(name)
    return int(module.NUMBER)


def test_batches_grow_until_they_take_two_seconds_and_shrink_at_the_end() -> None:
    pace = Pace()
    assert pace.batch(1_000, 2) == 1
    pace.learn([0.02])
    assert pace.batch(1_000, 2) == 100
    assert pace.batch(40, 2) == 10
    pace.learn([5.0])
    assert pace.batch(1_000, 2) == 1


@pytest.mark.thorough
def test_a_task_that_kills_its_worker_is_tried_three_times_and_costs_no_other(
    ray_cluster: RayNodes, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    done = {d.position: d for d in on(ray_cluster).run(kills_its_worker, [(ledger, number) for number in range(6)])}
    assert [x for x in range(6) if done[x].failure is None] == [0, 2, 3, 4, 5]
    assert done[1].failure is not None
    assert (done[1].failure.kind, done[1].failure.message) == ("crash", "its worker process was killed 3 times")
    assert 3 <= attempts(ledger).count(1) <= 4  # the first time, it may have been in a batch with others


@pytest.mark.thorough
def test_a_lost_node_costs_only_what_it_was_playing(ray_cluster: RayNodes, tmp_path: Path) -> None:
    ledger, extra = tmp_path / "ledger", ray_cluster.add()
    executor = on(ray_cluster)
    assert executor.jobs == 3
    seen = []
    for done in executor.run(noted, [(ledger, number, 0.5) for number in range(24)]):
        assert done.failure is None
        seen.append(done.value)
        if len(seen) == 6:
            ray_cluster.kill(extra)
    assert sorted(seen) == list(range(24))
    again = len(attempts(ledger)) - 24
    assert 0 <= again <= 8, "no more than two batches of two seconds"
    ray_cluster.forget_killed()


@pytest.mark.thorough
def test_jobs_limits_what_runs_at_a_time(ray_cluster: RayNodes, tmp_path: Path) -> None:
    executor = on(ray_cluster, jobs=1)
    done = list(executor.run(noted, [(tmp_path / "ledger", number, 0.0) for number in range(20)]))
    assert len(done) == 20
    assert len({line.split()[1] for line in (tmp_path / "ledger").read_text().splitlines()}) <= 2
    with pytest.raises(ExecutorError, match="room for 2 of 5 episodes at a time: each reserves 1 CPU"):
        list(on(ray_cluster, jobs=5).run(abs, [1]))
    with pytest.raises(ExecutorError, match=r"room for 0 of 1 .* each reserves 2 CPU"):
        list(on(ray_cluster, cpus_per_episode=2.0).run(abs, [1]))


@pytest.mark.thorough
def test_files_reach_workers_that_do_not_have_them(
    ray_cluster: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, module = tmp_path / "here" / "table.txt", tmp_path / "here" / "carried_module.py"
    table.parent.mkdir()
    table.write_text("as on the driver's machine")
    module.write_text("NUMBER = 7")
    monkeypatch.syspath_prepend(str(table.parent))
    executor = on(ray_cluster)
    (same,) = executor.run(content, [table], files=lambda: [table.parent])
    assert same.value == (str(table), table.read_text()), "a machine that has the file uses it"
    reading = executor.run(content, [table], files=lambda: [table])
    importing = on(ray_cluster).run(imported, ["carried_module"], files=lambda: [module])
    table.write_text("changed since")
    module.unlink()
    (copy,) = reading
    assert copy.value is not None
    assert copy.value[0] != str(table)
    assert copy.value[1] == "as on the driver's machine"
    (number,) = importing
    assert number.value == 7, number.failure


@pytest.mark.thorough
def test_stopping_from_another_thread_ends_the_run(ray_cluster: RayNodes, tmp_path: Path) -> None:
    executor = on(ray_cluster)
    running = executor.run(noted, [(tmp_path / "ledger", number, 60.0) for number in range(4)])
    threading.Timer(1.0, executor.close).start()
    with pytest.raises(ExecutorError, match="were stopped"):
        next(running)


@pytest.mark.thorough
def test_a_node_with_other_versions_is_refused_by_name_unless_allowed(ray_cluster: RayNodes, tmp_path: Path) -> None:
    fake = tmp_path / "torch-1.2.3.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.2.3\n")
    other = ray_cluster.add(env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        with pytest.raises(ExecutorError, match=r"torch 1\.2\.3 \(here 2\.9\.0\).*--allow-version-mismatch"):
            list(on(ray_cluster).run(abs, [1]))
        allowed = on(ray_cluster, allow_version_mismatch=True)
        assert sorted(done.value for done in allowed.run(abs, range(-9, 0))) == list(range(1, 10))
    finally:
        ray_cluster.kill(other)
        ray_cluster.forget_killed()


@pytest.mark.thorough
def test_another_address_than_the_connected_one_is_refused(ray_cluster: RayNodes) -> None:
    with pytest.raises(UsageError, match=f"connected to the Ray cluster at {ray_cluster.address}"):
        list(make_executor("ray", cluster=ClusterOptions("127.0.0.1:1")).run(abs, [1]))


@pytest.mark.parametrize(("options", "says"), [
    (ClusterOptions(cpus_per_episode=-1), "must be at least 0, got -1"),
    (ClusterOptions(cpus_per_episode=1.5), "must be a whole number, got 1.5"),
    (ClusterOptions(cpus_per_episode=0), "must be above 0 for episodes that use no GPU"),
    (ClusterOptions(gpus_per_episode=float("nan")), "must be at least 0"),
])  # fmt: skip
def test_impossible_reservations_are_refused_before_a_cluster_starts(options: ClusterOptions, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_executor("ray", cluster=options)


def refusal(address: str) -> str:
    """Connecting in another process: this one may be connected."""
    code = (
        "from daf.compute.executor import make_executor\nfrom daf.compute.interface import ClusterOptions\n"
        f"list(make_executor('ray', cluster=ClusterOptions({address!r})).run(abs, [1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.thorough
def test_an_address_that_is_not_a_ray_cluster_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "does not answer as a Ray cluster does" in refusal(f"127.0.0.1:{port}")
    assert f"no Ray cluster answers at 127.0.0.1:{port}: Connection refused" in refusal(f"127.0.0.1:{port}")


@pytest.mark.parametrize("wrong", ["ray://head:10001", "head", "head:port", "head:99999"])
def test_an_address_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--address"):
        list(make_executor("ray", cluster=ClusterOptions(wrong)).run(abs, [1]))
