"""Commands killed, or refused by the file system, at any call that changes a file.

After a kill, the directory can be read, and the same command reaches the result of an uninterrupted run without working
out again what was committed. After an I/O error, the command ends with a message that names a file, or succeeds.
"""

import errno
import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.driving import Ran, Server, built_shim, fresh
from tests.faults.scenarios import SCENARIOS, Scenario

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]

KILLS, ERRORS = 5, 4
"""Points that are tried for each command without `-m slow`."""
ERROR_NUMBERS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.EROFS)


class Stage:
    """A scenario that was made once. want: its result; calls: the write-side calls of the uninterrupted run."""

    def __init__(self, scenario: Scenario, server: Server, folder: Path) -> None:
        self.scenario, self.server, self._folder = scenario, server, folder
        self.base = folder / "base"
        self.base.mkdir(parents=True)
        for name, text in scenario.files.items():
            (self.base / name).write_text(text)
        for argv in scenario.before:
            ran = server.run(argv, self.base, mode="off")
            assert ran.code == 0, ran.output
        work = self.work()
        ran = server.run(scenario.argv, work)
        assert ran.code == 0, ran.output
        self.calls = ran.calls
        self.want = scenario.result(work, ran)

    def work(self) -> Path:
        """The directory before the command, always under the same name, since results may contain it."""
        return fresh(self.base, self._folder / "work")

    def points(self, count: int, purpose: str) -> list[int]:
        """`count` calls of different kinds, at random. A kind is an operation on a file, without times and keys."""
        kinds: dict[str, list[int]] = {}
        for number, call in enumerate(self.calls, start=1):
            kinds.setdefault(re.sub(r"[0-9a-f]{8,}|\d+", "#", call), []).append(number)
        generator = random.Random(f"{purpose} {self.scenario.name} {len(self.calls)}")
        chosen = generator.sample(sorted(kinds), min(count, len(kinds)))
        return sorted(generator.choice(kinds[kind]) for kind in chosen)

    def check_repeats(self, work: Path, what: str) -> None:
        """Assert that the directory can be read, and that the same command reaches the wanted result."""
        scenario = self.scenario
        listed = self.server.run(["runs", "list", "--json"], work, mode="off")
        assert listed.code == 0, f"{what}: {listed.output}"
        committed = scenario.committed(work)
        again = self.server.run(scenario.argv, work, mode="off")
        assert again.code == 0 or scenario.ended(again), f"{what}: {again.output}"
        assert scenario.result(work, again) == self.want, f"{what}: {again.output}"
        if again.code == 0:
            assert scenario.reused(again) >= committed, f"{what}: {committed} were committed; {again.output}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shim")
    modules = sorted({module for scenario in SCENARIOS for module in scenario.modules})
    with Server(built_shim(folder), folder, modules) as started:
        yield started


@pytest.fixture(scope="module")
def stages(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"server": server, "folder": tmp_path_factory.mktemp("stages")}


@pytest.fixture
def stage(request: pytest.FixtureRequest, stages: dict[str, Any]) -> Stage:
    scenario: Scenario = request.param
    if scenario.name not in stages:
        stages[scenario.name] = Stage(scenario, stages["server"], stages["folder"] / scenario.name)
    found: Stage = stages[scenario.name]
    return found


EVERY = pytest.mark.parametrize("stage", SCENARIOS, ids=lambda scenario: scenario.name, indirect=True)


def check_kill(stage: Stage, point: int) -> None:
    work = stage.work()
    ran = stage.server.run(stage.scenario.argv, work, mode="kill", at=point)
    assert ran.code == -signal.SIGKILL, f"call {point}: {ran.output}"
    stage.check_repeats(work, f"killed before call {point}, {stage.calls[point - 1]}")


def check_error(stage: Stage, point: int, number: int, *, mode: str = "fail") -> None:
    work = stage.work()
    what = f"{errno.errorcode[number]} at call {point}, {stage.calls[point - 1]}"
    ran = stage.server.run(stage.scenario.argv, work, mode=mode, at=point, error=number)
    assert ran.code in (0, 1), f"{what}: {ran.output}"
    assert "Traceback" not in ran.stderr, f"{what}: {ran.output}"
    if ran.code == 0:
        assert stage.scenario.result(work, ran) == stage.want, f"{what}: {ran.output}"
    else:
        check_message(ran, what, number)
    stage.check_repeats(work, what)


def check_message(ran: Ran, what: str, number: int) -> None:
    """Assert that the error is one JSON object, and that it names a place and the reason."""
    error = ran.data()["error"]
    full = number in (errno.ENOSPC, errno.EDQUOT)
    reasons = ("no space left" if full else os.strerror(number).lower(), "the disk may be full or failing")
    assert any(reason in error["message"].lower() for reason in reasons), f"{what}: {error}"
    assert re.search(r"/|\w\.(zip|gz)\b", error["message"]), f"{what} names no file: {error}"


@EVERY
def test_a_killed_command_leaves_what_was_committed_and_its_repetition_the_whole_result(stage: Stage) -> None:
    for point in stage.points(KILLS, "kill"):
        check_kill(stage, point)


@EVERY
def test_an_error_of_the_file_system_is_reported_and_does_no_harm(stage: Stage) -> None:
    for place, point in enumerate(stage.points(ERRORS, "error")):
        check_error(stage, point, ERROR_NUMBERS[place % len(ERROR_NUMBERS)])


@EVERY
def test_a_full_disk_is_reported_and_the_command_resumes_once_there_is_room(stage: Stage) -> None:
    for point in stage.points(2, "full"):
        check_error(stage, point, errno.ENOSPC, mode="fail_from")


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@EVERY
def test_a_command_killed_at_every_single_call_is_completed_by_its_repetition(stage: Stage) -> None:
    for point in range(1, len(stage.calls) + 1):
        check_kill(stage, point)


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("number", ERROR_NUMBERS, ids=errno.errorcode.get)
@EVERY
def test_an_error_at_every_single_call_is_reported_and_does_no_harm(stage: Stage, number: int) -> None:
    for point in range(1, len(stage.calls) + 1):
        check_error(stage, point, number)
