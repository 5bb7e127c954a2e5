"""Suites in separate processes, several at a time, each with a time limit.

A suite over its limit first gets a Ctrl-C, so that pytest says where it was and writes its JUnit XML, and is killed
after `GRACE_SECONDS` with its process group and every descendant. When this process dies, so do its suites.

Not guaranteed: a process that a test moves to another process group and whose parent has ended before the suite is over
its limit.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from daf.errors import DamagedFileError
from daf.processes import lifeline
from daf.storage.names import file_name
from daf.storage.reading import decode_json, read_bytes
from daf.test_runner.result import CaseResult, Outcome, Status, TestResult
from daf.test_runner.suites import Suite

GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_MOST_BYTES = 512 * 2**20
_EMPTY, _STOPPED = 5, 2
"""Exit codes of pytest: no tests, and interrupted (also by errors of collection)."""
_WITHOUT = ("-p", "no:cacheprovider", "-p", "no:importnb")
"""The cache would be written by several suites at once. CoGames installs importnb, whose plugin stops pytest 9."""


@dataclass(frozen=True)
class HowToRun:
    """timeout: seconds for each suite, None for no limit. coverage: packages or directories to measure."""

    jobs: int
    timeout: float | None
    pytest_args: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()


def run(
    suites: Sequence[Suite], folder: Path, how: HowToRun, on_result: Callable[[TestResult], None]
) -> Iterator[TestResult]:
    """Run `suites` and yield their results in the order of `suites`; files go into `folder`. on_result: as they end."""
    waiting = list(enumerate(suites))
    running: dict[int, _Running] = {}
    done: dict[int, TestResult] = {}
    names = _file_names(suites, folder)
    try:
        while waiting or running:
            while waiting and len(running) < how.jobs:
                place, suite = waiting.pop(0)
                running[place] = _Running(suite, folder, names[place], how)
            for place, one in list(running.items()):
                if one.over():
                    del running[place]
                    done[place] = one.result()
                    on_result(done[place])
            time.sleep(_POLL_SECONDS)
    finally:
        for one in running.values():
            one.kill()
    for place in range(len(suites)):
        yield done[place]


class _Running:
    """A suite that runs."""

    def __init__(self, suite: Suite, folder: Path, name: str, how: HowToRun) -> None:
        self._suite, self._folder, self._name, self._limit = suite, folder, name, how.timeout
        self._events = folder / f"{name}.jsonl"
        settings = {
            "coverage": str(folder / f"{name}.coverage") if how.coverage else None,
            "sources": list(how.coverage),
        }
        command = [
            *(sys.executable, "-m", "daf.test_runner._suite_process"),
            *(str(lifeline.descriptor()), str(self._events), json.dumps(settings)),
            *(suite.path, f"--junitxml={folder / f'{name}.xml'}", *_WITHOUT, *how.pytest_args),
        ]
        with (folder / f"{name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(lifeline.descriptor(),),
            )  # fmt: skip
        self._started = time.monotonic()
        self._stopped: float | None = None
        self._took = 0.0
        self._family: set[psutil.Process] = set()

    def over(self) -> bool:
        """Whether the suite has ended. Ends it where it is over its limit."""
        now = time.monotonic()
        self._took = now - self._started
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self.kill()  # what it left running; it is not reaped yet, so its group's id is not another's
            return True
        if self._stopped is None:
            if self._limit is not None and self._took > self._limit:
                self._stopped = now
                self._look_around()  # when pytest has ended, its children are no longer known as such
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGINT)
        elif now - self._stopped > GRACE_SECONDS:
            self.kill()
            return True
        return False

    def kill(self) -> None:
        """Kill the rest of the suite: its processes and their descendants."""
        self._look_around()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def _look_around(self) -> None:
        """Remember the suite's descendants, also those in other process groups."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._family.update(psutil.Process(self._process.pid).children(recursive=True))

    def result(self) -> TestResult:
        """The result of the suite, which has ended."""
        cases, facts = _read(self._events)
        status, error = self._status(cases, facts)
        outcome: Outcome = "timeout" if self._stopped is not None else "error"
        for running in facts["running"]:
            cases.append(CaseResult(running, outcome, 0.0, f"was running when {error}", str(facts.get("place", ""))))
        return TestResult(
            name=self._suite.name,
            category=self._suite.category,
            path=self._suite.path,
            status=status,
            duration=round(self._took, 3),
            returncode=self._process.returncode,
            cases=tuple(cases),
            error=error,
            log=self._kept(f"{self._name}.log"),
            junit=self._kept(f"{self._name}.xml"),
        )

    def _status(self, cases: Sequence[CaseResult], facts: Mapping[str, Any]) -> tuple[Status, str]:
        if self._stopped is not None:
            return "timeout", f"the suite exceeded its limit of {self._limit:g} s and was killed"
        code = self._process.returncode
        if "ended" not in facts:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            last = "" if facts["running"] else _last_line(self._folder / f"{self._name}.log")
            return "crashed", f"its process {how} before pytest finished{last}"
        if "broken" in facts:
            return "error", f"pytest failed: {str(facts['broken']).strip().splitlines()[-1]}"
        if code == 0:
            return "passed", ""
        if code == _EMPTY:
            return "empty", "no test was selected"
        if any(case.bad for case in cases):
            return "failed", ""
        stopped = "pytest was interrupted" if code == _STOPPED else f"pytest ended with exit code {code}"
        return "error", f"{stopped}{_last_line(self._folder / f'{self._name}.log')}"

    def _kept(self, name: str) -> str | None:
        path = self._folder / name
        return f"{self._folder.name}/{name}" if path.is_file() and path.stat().st_size > 0 else None


def _read(path: Path) -> tuple[list[CaseResult], dict[str, Any]]:
    """The tests that ended, and what else the plugin recorded; a last line that was cut off is ignored."""
    cases: list[CaseResult] = []
    facts: dict[str, Any] = {"running": {}}  # several with pytest-xdist
    lines = (read_bytes(path, limit=_MOST_BYTES) or b"").split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        event = decode_json(line, dict[str, Any], where=f"{path}:{number}")
        kind = event.pop("event", None)
        if kind == "started":
            facts["running"][str(event["id"])] = None
        elif kind == "finished":
            cases.append(decode_json(json.dumps(event), CaseResult, where=f"{path}:{number}"))
            facts["running"].pop(cases[-1].id, None)
        elif kind == "ended":
            facts["ended"] = event["exit"]
        elif kind == "stopped":
            facts["place"] = event["place"]
        elif kind == "broken":
            facts["broken"] = event["error"]
        else:
            raise DamagedFileError(path, f"line {number} has no known event")
    return cases, facts


def _last_line(log: Path) -> str:
    """What the suite printed last, as the end of a sentence."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {lines[-1].strip()[:300]}" if lines else ""


def _file_names(suites: Sequence[Suite], folder: Path) -> list[str]:
    """A file name for each suite, all different and none that an earlier batch took."""
    found: list[str] = []
    for suite in suites:
        name = base = file_name(f"{suite.category}-{suite.name}")
        number = 1
        while name in found or (folder / f"{name}.log").exists():
            number += 1
            name = f"{base}_{number}"
        found.append(name)
    return found


def remove_events(folder: Path) -> None:
    """Delete the files that `tests.json` holds the content of."""
    for path in [*folder.glob("*.jsonl"), *folder.glob("*.coverage")]:
        path.unlink(missing_ok=True)
