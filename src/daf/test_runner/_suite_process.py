"""The process of one suite: pytest with a plugin that records every test as it ends.

    python -m daf.test_runner._suite_process DESCRIPTOR EVENTS SETTINGS PYTEST-ARGUMENT…

EVENTS gets one JSON object per line, flushed at once, so that a killed suite leaves what it finished and the name of
the test that was running. SETTINGS is a JSON object: `coverage` (where to store data, None without) and `sources`. The
process and all of its group end with the process that holds the other end of DESCRIPTOR.
"""

import json
import sys
from pathlib import Path
from typing import Any

LONGEST = 20_000
"""Characters of a traceback or of captured output that are kept, half from each end."""
_BAD = ("failed", "error")


class Recorder:
    """The plugin. With pytest-xdist it hears of all workers' tests."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._open: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write({"event": "started", "id": nodeid})
        self._open[nodeid] = {"id": nodeid, "outcome": "passed", "seconds": 0.0, "reruns": 0}

    def pytest_runtest_logreport(self, report: Any) -> None:
        case = self._open.setdefault(report.nodeid, {"id": report.nodeid, "outcome": "passed", "seconds": 0.0})
        case["seconds"] += report.duration
        outcome = _outcome(report)
        if report.outcome == "rerun":  # pytest-rerunfailures: another attempt follows
            case["reruns"] = case.get("reruns", 0) + 1
        elif outcome != "passed" and case["outcome"] not in _BAD:
            case.update(outcome=outcome, message=_message(report), output=_output(report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        case = self._open.pop(nodeid, None)
        if case is not None:
            self._write({"event": "finished", **case})

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            case = {"id": report.nodeid, "outcome": "error", "seconds": 0.0, "message": _message(report)}
            self._write({"event": "finished", **case, "output": _output(report)})

    def pytest_internalerror(self, excrepr: object) -> None:
        self._write({"event": "broken", "error": _cut(str(excrepr))})

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        self._write({"event": "stopped", "place": _cut(str(excinfo.getrepr(style="short")))})

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._write({"event": "ended", "exit": int(exitstatus)})

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()


def _outcome(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return {"skipped": "xfailed", "passed": "xpassed"}.get(report.outcome, "failed")
    if report.outcome == "failed" and report.when != "call":
        return "error"
    return str(report.outcome)


def _message(report: Any) -> str:
    """One line that says why."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        text = str(crash.message)
    elif isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        text = str(report.longrepr[2])
    else:
        text = str(getattr(report, "wasxfail", "") or report.longrepr or "")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ")]  # of a failed collection
    return (errors or lines or [""])[-1 if errors else 0][:500]


def _output(report: Any) -> str:
    if report.outcome != "failed":
        return ""
    return _cut("\n".join([str(report.longrepr), *(f"{title}\n{text}" for title, text in report.sections)]))


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - LONGEST:,} characters left out …\n{text[-half:]}"


def _run(events: Path, settings: dict[str, Any], arguments: list[str]) -> int:
    import pytest

    coverage = None
    if settings["coverage"] is not None:
        from coverage import Coverage

        coverage = Coverage(data_file=settings["coverage"], source=settings["sources"], messages=False)
        coverage.start()
    try:
        return int(pytest.main(arguments, plugins=[Recorder(events)]))
    finally:
        if coverage is not None:
            coverage.stop()
            coverage.save()


if __name__ == "__main__":
    from daf.processes.lifeline import end_group_with

    end_group_with(int(sys.argv[1]))
    sys.exit(_run(Path(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]))
