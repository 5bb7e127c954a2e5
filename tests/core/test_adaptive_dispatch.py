"""What every dispatcher promises; so far there is one."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daf.core.adaptive.dispatch import Dispatcher, Job, Look
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.local import LocalProcesses
from daf.core.adaptive.process import alive, identity, marked

DISPATCHERS: dict[str, Callable[[], Dispatcher]] = {"local": LocalProcesses}
FOREVER = "import os; os.read(os.pipe()[0], 1)"


@pytest.fixture(params=DISPATCHERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Dispatcher]:
    return DISPATCHERS[request.param]


@pytest.fixture
def job(tmp_path: Path, make: Callable[[], Dispatcher]) -> Iterator[Callable[[str], Job]]:
    made: list[Job] = []

    def build(code: str) -> Job:
        folder = tmp_path / f"job{len(made)}"
        made.append(Job(folder.name, (sys.executable, "-S", "-E", "-c", code), folder, cwd=tmp_path))
        return made[-1]

    yield build
    for one in made:
        make().kill(one)


def until(dispatcher: Dispatcher, job: Job, *states: str) -> Look:
    deadline = time.monotonic() + 30
    while (look := dispatcher.look(job)).state not in states:
        assert time.monotonic() < deadline, look
        dispatcher.wait([job], 0.5)
    return look


def running(dispatcher: Dispatcher, job: Job) -> int:
    """The job's pid, once it is there and its command runs."""
    deadline = time.monotonic() + 30
    while (pid := dispatcher.look(job).pid) is None or not (job.folder / "stderr").exists():
        assert time.monotonic() < deadline
        dispatcher.wait([job], 0.02)
    return pid


def test_a_job_ends_with_its_exit_code_and_what_it_printed(
    make: Callable[[], Dispatcher], job: Callable[[str], Job]
) -> None:
    dispatcher, one = make(), job("import sys; print('out'); sys.exit(7)")
    assert dispatcher.look(one).state == "absent"
    dispatcher.launch(one)
    assert until(dispatcher, one, "ended").exit_code == 7
    assert (one.folder / "stdout").read_text() == "out\n"


def test_a_command_that_is_not_there_ends_with_127(make: Callable[[], Dispatcher], tmp_path: Path) -> None:
    dispatcher, one = make(), Job("none", ("/nowhere/program",), tmp_path / "job")
    dispatcher.launch(one)
    assert until(dispatcher, one, "ended").exit_code == 127
    assert "/nowhere/program" in (one.folder / "stderr").read_text()


def test_a_job_launched_twice_runs_once(
    make: Callable[[], Dispatcher], job: Callable[[str], Job], tmp_path: Path
) -> None:
    one = job(f"open({str(tmp_path / 'ledger')!r}, 'a').write('x')")
    first, second = make(), make()
    first.launch(one)
    second.launch(one)
    until(first, one, "ended")
    second.wait([one], 0.2)
    until(make(), one, "ended")
    assert (tmp_path / "ledger").read_text() == "x"


def test_another_dispatcher_finds_a_running_job_and_learns_its_end(
    make: Callable[[], Dispatcher], job: Callable[[str], Job]
) -> None:
    one = job("import sys; sys.exit(5)")
    make().launch(one)
    later = make()
    assert until(later, one, "ended").exit_code == 5


def test_a_forgotten_job_never_starts(
    make: Callable[[], Dispatcher], job: Callable[[str], Job], tmp_path: Path
) -> None:
    one = job(f"open({str(tmp_path / 'ledger')!r}, 'a').write('x')")
    dispatcher = make()
    assert dispatcher.forget(one)
    dispatcher.launch(one)
    until(dispatcher, one, "gone")
    assert not (tmp_path / "ledger").exists()


def test_a_job_that_has_started_is_not_forgotten(make: Callable[[], Dispatcher], job: Callable[[str], Job]) -> None:
    dispatcher, one = make(), job(FOREVER)
    dispatcher.launch(one)
    running(dispatcher, one)
    assert not make().forget(one)
    assert make().look(one).state == "running"


def test_an_interrupted_job_gets_ctrl_c(
    make: Callable[[], Dispatcher], job: Callable[[str], Job], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    one = job(
        f"import sys, os\ntry:\n  open({str(ready)!r}, 'w').close()\n  os.read(os.pipe()[0], 1)\n"
        "except KeyboardInterrupt:\n  print('saved'); sys.exit(130)"
    )
    dispatcher = make()
    dispatcher.launch(one)
    while not ready.exists():
        dispatcher.wait([one], 0.02)
    dispatcher.interrupt(one)
    assert until(dispatcher, one, "ended").exit_code == 130
    assert (one.folder / "stdout").read_text() == "saved\n"


def test_kill_ends_everything_that_a_job_started(make: Callable[[], Dispatcher], job: Callable[[str], Job]) -> None:
    child_code = f"[sys.executable, '-c', {FOREVER!r}], start_new_session=True"
    code = f"import subprocess, sys; print(subprocess.Popen({child_code}).pid, flush=True); {FOREVER}"
    dispatcher, one = make(), job(code)
    dispatcher.launch(one)
    running(dispatcher, one)
    while not (one.folder / "stdout").read_text().endswith("\n"):
        dispatcher.wait([one], 0.02)
    child = int((one.folder / "stdout").read_text())
    known = identity(child)
    assert known is not None
    assert len(marked(str(one.folder))) == 3
    dispatcher.kill(one)
    until(dispatcher, one, "gone")
    deadline = time.monotonic() + 10
    while marked(str(one.folder)) and time.monotonic() < deadline:
        dispatcher.wait([], 0.02)
    assert not alive(child, known)
    assert marked(str(one.folder)) == []


def test_a_job_whose_supervisor_is_killed_is_gone_and_its_command_with_it(
    make: Callable[[], Dispatcher], job: Callable[[str], Job]
) -> None:
    dispatcher, one = make(), job(FOREVER)
    dispatcher.launch(one)
    os.kill(running(dispatcher, one), signal.SIGKILL)
    until(dispatcher, one, "gone")
    deadline = time.monotonic() + 10
    while marked(str(one.folder)) and time.monotonic() < deadline:
        dispatcher.wait([], 0.02)
    assert marked(str(one.folder)) == []


def test_a_process_that_has_the_pid_of_an_old_job_is_left_alone(
    make: Callable[[], Dispatcher], job: Callable[[str], Job], tmp_path: Path
) -> None:
    stranger, old = job(FOREVER), Job("old", (), tmp_path / "old")
    dispatcher = make()
    dispatcher.launch(stranger)
    pid = running(dispatcher, stranger)
    old.folder.mkdir()
    record = {"pid": pid, "identity": "another boot:12345", "claimed": 0.0}
    (old.folder / "process.json").write_text(json.dumps(record))
    assert dispatcher.look(old).state == "gone"
    dispatcher.interrupt(old)
    dispatcher.kill(old)
    assert dispatcher.look(stranger).state == "running"


def test_a_change_of_a_sign_is_a_sign_of_life(
    make: Callable[[], Dispatcher], job: Callable[[str], Job], tmp_path: Path
) -> None:
    from dataclasses import replace

    sign = tmp_path / "metrics.jsonl"
    dispatcher, one = make(), replace(job(FOREVER), signs=(sign,))
    dispatcher.launch(one)
    running(dispatcher, one)
    sign.write_text("{}")
    later = time.time() + 1000
    os.utime(sign, (later, later))
    assert dispatcher.look(one).last_sign == pytest.approx(later)


def test_waiting_ends_when_a_job_ends(make: Callable[[], Dispatcher], job: Callable[[str], Job]) -> None:
    dispatcher, quick, slow = make(), job("pass"), job(FOREVER)
    dispatcher.launch(slow)
    running(dispatcher, slow)
    dispatcher.launch(quick)
    began = time.monotonic()
    dispatcher.wait([quick, slow], 60)
    assert time.monotonic() - began < 30


def test_a_job_of_another_machine_is_not_judged(make: Callable[[], Dispatcher], job: Callable[[str], Job]) -> None:
    dispatcher, one = make(), job("pass")
    one.folder.mkdir()
    record = {"host": "elsewhere", "pid": 1, "identity": "boot:1", "claimed": 0.0}
    (one.folder / "process.json").write_text(json.dumps(record))
    with pytest.raises(AdaptiveControllerError, match=r"was started on elsewhere.*Go on there.*remove .*process\.json"):
        dispatcher.look(one)
    (one.folder / "process.json").unlink()


def test_an_interrupt_is_heard_however_early_it_comes(
    make: Callable[[], Dispatcher], job: Callable[[str], Job]
) -> None:
    dispatcher = make()
    for _ in range(5):
        one = job(FOREVER)
        dispatcher.launch(one)
        while not (one.folder / "process.json").exists():
            dispatcher.wait([], 0.001)
        dispatcher.interrupt(one)
        assert until(dispatcher, one, "ended").exit_code in (-signal.SIGINT, 130, 1)
