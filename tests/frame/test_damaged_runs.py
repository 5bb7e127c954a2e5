"""One damaged run is reported with its reason and harms no other run or command."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daf.dashboard.run_index import RunIndex
from daf.errors import DamagedFileError
from daf.output_manager import OutputManager, find_run, list_runs
from daf.output_utils import cleanup_old_sessions

Daf = Callable[..., str]
NAME = "20200102_030405"


@pytest.fixture
def daf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Daf:
    """The command line in this process; returns its stdout, and fails where it exits with another code than 0."""

    def run(*arguments: str, code: int = 0) -> str:
        from daf.cli import main

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path))
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["daf", *arguments])
        ended: object = 0
        try:
            main()
        except SystemExit as end:
            ended = end.code or 0
        said = capfd.readouterr()
        assert ended == code, said
        return said.out

    return run


def good_log(base: Path) -> dict[str, Any]:
    """A finished run in `base`, and what its execution log holds."""
    with OutputManager(base, track_experiments=False).operation("evaluations", title="good") as folder:
        pass
    log: dict[str, Any] = json.loads((folder / "execution_log.json").read_text())
    return log


def damaged_run(base: Path, content: bytes) -> Path:
    folder = base / "evaluations" / NAME
    folder.mkdir(parents=True)
    (folder / "execution_log.json").write_bytes(content)
    return folder


WRONG: dict[str, Any] = {
    "run_id": ["", "../../precious", "/etc", 3, None],
    "operation": ["../outside", "trainings", None, ["training"]],
    "title": [None, 5, {}],
    "status": ["done", None, 1],
    "started_at": [
        "yesterday", None, 0, "2020-01-01", "2020-01-01T00:00:00", "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
    ],
    "ended_at": ["tomorrow", 5, "2020-01-01T00:00:00"],
    "duration_seconds": ["5", -1.0, 1e300],
    "error": [5, ["x"]],
    "command": [None, ["daf"]],
    "host": [None, 1],
    "pid": [-1, 2**31, 1.5, "12", None],
    "process_started": ["now", -5],
    "previous": [None, {}, ["x"], [{"duration_seconds": "long"}], [{"status": 5}]],
    "versions": [[], {"python": 3}],
    "details": [[], "x"],
    "format": ["daf-run-2", None, 1],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_log_with_a_wrong_field_is_listed_as_damaged_and_names_the_field(
    tmp_path: Path, field: str, value: Any
) -> None:
    log = good_log(tmp_path) | {"run_id": NAME}
    damaged_run(tmp_path, json.dumps(log | {field: value}).encode())
    runs = {run.run_id: run for run in list_runs(tmp_path)}
    assert {run.status for run in runs.values()} == {"completed", "damaged"}
    assert field in str(runs[NAME].error)
    assert runs[NAME].operation == "evaluations"
    assert runs[NAME].started_at.strftime("%Y%m%d_%H%M%S") == NAME


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": "daf-run-1"}', b"NaN", b'{"a": "\\ud800"}'],
)
def test_a_log_that_is_not_an_execution_log_is_listed_as_damaged(tmp_path: Path, content: bytes) -> None:
    good_log(tmp_path)
    damaged_run(tmp_path, content)
    assert sorted(run.status for run in list_runs(tmp_path)) == ["completed", "damaged"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "zero", "too large"])
def test_a_log_that_is_not_a_file_of_bounded_size_is_never_waited_for(tmp_path: Path, kind: str) -> None:
    good_log(tmp_path)
    log = damaged_run(tmp_path, b"{}") / "execution_log.json"
    if kind == "too large":
        os.truncate(log, 2**40)
    else:
        log.unlink()
        match kind:
            case "pipe":
                os.mkfifo(log)
            case "folder":
                log.mkdir()
            case "zero":
                log.symlink_to("/dev/zero")
    assert sorted(run.status for run in list_runs(tmp_path)) == ["completed", "damaged"]
    index = RunIndex(tmp_path)
    index.refresh()
    assert sorted(row.run.status for row in index.since(0)[0]) == ["completed", "damaged"]


def test_fields_of_a_newer_minor_version_are_kept_and_do_no_harm(tmp_path: Path) -> None:
    damaged_run(tmp_path, json.dumps(good_log(tmp_path) | {"run_id": NAME, "lease": {"until": 5}}).encode())
    assert [run.status for run in list_runs(tmp_path)] == ["completed", "completed"]


def test_a_damaged_run_is_not_resumed_and_not_cleaned(tmp_path: Path) -> None:
    good_log(tmp_path)
    folder = damaged_run(tmp_path, b"{")
    with pytest.raises(DamagedFileError, match=r"execution_log\.json"):
        OutputManager(tmp_path).resume(NAME)
    assert [run.status for run in cleanup_old_sessions(0, dry_run=False, base_dir=tmp_path)] == ["completed"]
    assert folder.is_dir()
    assert find_run("latest", tmp_path).status == "damaged"


def test_commands_show_a_damaged_run_and_work_for_the_others(tmp_path: Path, daf: Daf) -> None:
    name = good_log(tmp_path)["run_id"]
    damaged_run(tmp_path, b"[1]")
    listed = json.loads(daf("runs", "list", "--json"))["runs"]
    assert {run["run_id"]: run["status"] for run in listed} == {name: "completed", NAME: "damaged"}
    assert "execution_log.json: Expected `object`" in daf("runs", "list")
    daf("runs", "show", name)
    assert json.loads(daf("runs", "show", NAME, "--json"))["status"] == "damaged"
    daf("report", name)
    daf("report", NAME)
    assert "The run is damaged" in (tmp_path / "evaluations" / NAME / "report.html").read_text()
