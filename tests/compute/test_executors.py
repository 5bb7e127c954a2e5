"""The conformance suite of `Executor`: every implementation runs it."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from daf.compute.executor import job_count, make_executor
from daf.compute.interface import ClusterOptions, Executor
from daf.errors import UsageError


def square(x: int) -> int:
    return x * x


def odd_one_out(x: int) -> int:
    if x == 3:
        raise ValueError("three")
    if x == 4:
        raise TimeoutError("the task's own")
    if x == 5:
        raise SystemExit(5)
    return x


def deadly(x: int) -> int:
    if x == 2:
        os._exit(7)
    if x == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return x


def slow(x: int) -> int:
    if x == 1:
        time.sleep(600)
    return x


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("cannot travel")
        self.hook = lambda: None


def unpicklable(x: int) -> object:
    if x == 0:
        raise Unpicklable
    return lambda: x


def process_id(_: int) -> int:
    return os.getpid()


def says_something(x: int) -> int:
    print("chatter")
    return x


RAY = pytest.param("ray", marks=pytest.mark.thorough)


@pytest.fixture(params=["serial", "local", RAY])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    yield from made(request)


@pytest.fixture(params=["local", RAY])
def isolated(request: pytest.FixtureRequest) -> Iterator[Executor]:
    yield from made(request)


def made(request: pytest.FixtureRequest) -> Iterator[Executor]:
    options = ClusterOptions()
    if request.param == "ray":
        options = ClusterOptions(request.getfixturevalue("ray_cluster").address)
    one = make_executor(request.param, jobs=1 if request.param == "serial" else 2, cluster=options)
    yield one
    one.close()


def test_every_task_is_done_once(executor: Executor) -> None:
    done = sorted(executor.run(square, range(20)), key=lambda d: d.position)
    assert [d.position for d in done] == list(range(20))
    assert [d.value for d in done] == [x * x for x in range(20)]


def test_no_tasks_give_nothing(executor: Executor) -> None:
    assert list(executor.run(square, [])) == []


def test_what_a_task_raises_costs_that_task_only(executor: Executor) -> None:
    done = {d.position: d for d in executor.run(odd_one_out, range(8))}
    assert [x for x in range(8) if done[x].failure is None] == [0, 1, 2, 6, 7]
    failures = {x: done[x].failure for x in (3, 4, 5)}
    assert all(failure is not None and failure.kind == "error" for failure in failures.values()), failures
    assert "ValueError: three" in failures[3].message
    assert "odd_one_out" in failures[3].traceback
    assert isinstance(failures[3].error, ValueError)


def test_an_executor_can_be_used_again(executor: Executor) -> None:
    assert len(list(executor.run(square, range(3)))) == 3
    assert len(list(executor.run(square, range(4)))) == 4
    executor.close()
    assert len(list(executor.run(square, range(2)))) == 2


def test_leaving_early_stops_the_rest(executor: Executor) -> None:
    started = executor.run(square, range(1_000))
    assert next(started).failure is None
    started.close()
    assert len(list(executor.run(square, range(2)))) == 2


def test_a_dead_worker_costs_its_task(isolated: Executor) -> None:
    done = {d.position: d for d in isolated.run(deadly, range(8))}
    assert [x for x in range(8) if done[x].failure is None] == [0, 1, 4, 5, 6, 7]
    assert done[2].failure.kind == "crash"
    assert "exit code 7" in done[2].failure.message
    assert "signal 11" in done[3].failure.message


def test_a_task_that_hangs_is_ended(isolated: Executor) -> None:
    done = {d.position: d for d in isolated.run(slow, range(6), timeout=3.0)}
    assert [x for x in range(6) if done[x].failure is None] == [0, 2, 3, 4, 5]
    assert done[1].failure.kind == "time-out"
    assert "3 s" in done[1].failure.message


def test_what_cannot_travel_back_is_a_failure_with_its_message(isolated: Executor) -> None:
    done = {d.position: d for d in isolated.run(unpicklable, range(2))}
    assert "cannot travel" in done[0].failure.message
    assert done[1].failure is not None


def test_workers_are_other_processes(isolated: Executor) -> None:
    assert os.getpid() not in {d.value for d in isolated.run(process_id, range(6))}


def test_what_a_task_prints_never_reaches_stdout(isolated: Executor, capfd: pytest.CaptureFixture[str]) -> None:
    assert [d.value for d in isolated.run(says_something, [1])] == [1]
    assert "chatter" not in capfd.readouterr().out


def test_serial_refuses_a_time_out_that_it_could_not_keep() -> None:
    with pytest.raises(UsageError, match="cannot end an episode"):
        make_executor("serial").run(square, [1], timeout=1.0)


@pytest.mark.parametrize(("name", "jobs", "says"), [
    ("locale", "auto", "Nearest: local"), ("local", "many", "must be a number"), ("local", "0", "must be 1 to 1024"),
    ("serial", "4", "one episode at a time"),
])  # fmt: skip
def test_a_wrong_executor_or_number_of_jobs_is_refused(name: str, jobs: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_executor(name, jobs=jobs)


def test_auto_means_every_core_that_this_process_may_use() -> None:
    assert job_count("auto") == len(os.sched_getaffinity(0))
