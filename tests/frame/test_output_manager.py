"""Run folders: made when written to, one per session, and true about how the run ended."""

import errno
import json
import logging
import math
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daf.config import DAFConfig
from daf.errors import Interrupted, StorageError, UnsafePathError, UsageError
from daf.output_manager import OutputManager, find_run, get_output_manager, list_runs, reset_output_manager
from daf.output_manager.layout import OPERATIONS, claim_session
from daf.output_manager.runs import read_run
from daf.output_utils import cleanup_old_sessions
from daf.storage import atomic, journal


@pytest.fixture(autouse=True)
def _no_daf_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAF_OUTPUT_DIR", raising=False)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_manager_that_only_reads_leaves_nothing_behind(tmp_path: Path) -> None:
    base = tmp_path / "out"
    manager = OutputManager(base)
    assert re.fullmatch(r"\d{8}_\d{6}", manager.session_id)
    assert set(manager.dirs) == set(OPERATIONS)
    manager.get_output_structure_info()
    manager.print_output_info()
    assert manager.session_metadata["operations"] == {}
    assert manager.cleanup_temp_files() == []
    assert list_runs(base) == []
    assert not base.exists()


def test_a_run_folder_is_complete_before_the_work_and_true_after_it(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    config = {"episodes": 20, "spread": math.nan}
    with manager.operation("evaluation", {"jobs": 2}, title="starter on arena", config=config) as folder:
        assert folder == tmp_path / "evaluations" / manager.session_id
        assert {"README.md", "experiment_config.json", "execution_log.json"} <= files(folder)
        assert read(folder / "experiment_config.json") == {"episodes": 20, "spread": None}
        during = read(folder / "execution_log.json")
        assert (during["status"], during["ended_at"], during["pid"]) == ("running", None, os.getpid())
        manager.save_text_results("x", "evaluations", "a.txt", "stats")
    after = read(folder / "execution_log.json")
    assert (after["status"], after["error"], after["title"]) == ("completed", None, "starter on arena")
    assert after["duration_seconds"] == pytest.approx(
        (datetime.fromisoformat(after["ended_at"]) - datetime.fromisoformat(after["started_at"])).total_seconds()
    )
    assert after["details"] == {"jobs": 2}
    assert after["versions"]["cogames"] == "0.25.7"
    assert after["command"]
    page = (folder / "README.md").read_text()
    assert "| status | completed |" in page
    assert "`stats/`" in page
    assert "`replays/`" not in page


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("boom"), "failed", "ValueError: boom"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (Interrupted("stopped"), "interrupted", "Interrupted: stopped"),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
)
def test_an_exception_passes_and_is_logged(tmp_path: Path, error: BaseException, status: str, text: str) -> None:
    manager = OutputManager(tmp_path)
    with pytest.raises(type(error)), manager.operation("sweep") as folder:
        raise error
    log = read(folder / "execution_log.json")
    assert (log["status"], log["error"]) == (status, text)
    assert f"| status | {status} |" in (folder / "README.md").read_text()


def test_a_run_whose_process_was_killed_is_interrupted(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom daf.output_manager import OutputManager\n"
        "OutputManager(sys.argv[1]).log_operation_start('training')\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    run = find_run("latest", tmp_path)
    assert read(run.path / "execution_log.json")["status"] == "running"
    assert (run.status, run.ended_at, run.duration_seconds) == ("interrupted", None, None)


def test_a_run_of_this_process_is_running_until_it_ends(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    manager.log_operation_start("training")
    assert find_run("latest", tmp_path).status == "running"
    manager.log_operation_complete("training", "success", {"steps": 5})
    run = find_run("latest", tmp_path)
    assert run.status == "completed"
    assert read(run.path / "execution_log.json")["details"] == {"steps": 5}


def test_an_operation_ends_once_and_with_a_known_status(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    with pytest.raises(UsageError, match=r"is not running"):
        manager.log_operation_complete("training")
    manager.log_operation_start("training")
    with pytest.raises(UsageError, match=r"is already running"):
        manager.log_operation_start("training")
    with pytest.raises(UsageError, match=r'no status "complete". Nearest: completed'):
        manager.log_operation_complete("training", "complete")
    manager.log_operation_complete("training", "failed", error="out of memory")
    assert find_run("latest", tmp_path).error == "out of memory"


@pytest.mark.parametrize(("name", "folder"), [("sweep", "sweeps"), ("sweeps", "sweeps"), ("training", "training")])
def test_an_operation_has_two_names_and_one_folder(tmp_path: Path, name: str, folder: str) -> None:
    manager = OutputManager(tmp_path)
    assert manager.get_operation_dir(name, "stats/deep") == tmp_path / folder / manager.session_id / "stats" / "deep"


def test_an_unknown_operation_or_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path / "out")
    with pytest.raises(UsageError, match=r'no operation "swep". Nearest: sweeps'):
        manager.get_operation_dir("swep")
    for name in ("../x.json", "/etc/x.json", "a/../../x.json", ""):
        with pytest.raises(UsageError, match=r"lead out|Give a name"):
            manager.save_text_results("", "sweep", name)
    with pytest.raises(UsageError, match=r"lead out"):
        manager.get_operation_dir("sweep", "../training")
    assert not (tmp_path / "x.json").exists()


def _claim(base: str) -> str:
    return claim_session(Path(base), "20261120_101500")


def _session_with_folder(base: str) -> tuple[str, str]:
    manager = OutputManager(base)
    folder = manager.log_operation_start("evaluation")
    manager.log_operation_complete("evaluation")
    return manager.session_id, str(folder)


def test_many_processes_never_get_the_same_session(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        claimed = list(pool.map(_claim, [str(tmp_path)] * 24))
        sessions = list(pool.map(_session_with_folder, [str(tmp_path)] * 8))
    expected = {"20261120_101500", *(f"20261120_101500_{n}" for n in range(2, 25))}
    assert set(claimed) == expected
    assert len({session for session, _ in sessions}) == len({folder for _, folder in sessions}) == 8
    assert len(list_runs(tmp_path)) == 8
    assert len(list(journal.read(tmp_path / "experiments.jsonl"))) == 16


def test_a_folder_that_is_there_takes_the_session_id(tmp_path: Path) -> None:
    (tmp_path / "sweeps" / "20261120_101500").mkdir(parents=True)
    assert claim_session(tmp_path, "20261120_101500") == "20261120_101500_2"


def test_a_place_where_nothing_can_be_written_fails_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    worked = False
    with (
        pytest.raises(StorageError, match=r"Choose another place with --output-dir"),
        OutputManager(tmp_path / "file" / "out").operation("sweep"),
    ):
        worked = True
    assert not worked
    assert files(tmp_path) == {"file"}


def test_a_full_disk_fails_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daf.output_manager._folders.MIN_FREE_BYTES", 10**24)  # more than any disk has
    with pytest.raises(StorageError, match=r"not enough space for a run: \d+ MB free in .*DAF_OUTPUT_DIR"):
        OutputManager(tmp_path).log_operation_start("sweep")
    assert list_runs(tmp_path) == []


def test_the_space_for_the_last_words_is_kept_while_an_operation_runs(tmp_path: Path) -> None:
    with OutputManager(tmp_path).operation("sweep") as folder:
        assert (folder / ".reserved").stat().st_size == 65536
    assert not (folder / ".reserved").exists()


def test_a_log_that_cannot_be_written_leaves_no_operation_running(tmp_path: Path) -> None:
    (tmp_path / "in_the_way").mkdir()
    manager = OutputManager(tmp_path, experiments_log_path="in_the_way")
    handlers = list(logging.getLogger("daf").handlers)
    with pytest.raises(StorageError, match=r"Is a directory"):
        manager.log_operation_start("sweep")
    assert logging.getLogger("daf").handlers == handlers
    assert find_run("latest", tmp_path).status == "failed"
    assert not list(tmp_path.rglob(".reserved"))


def test_resuming_continues_in_the_same_folder_and_keeps_the_history(tmp_path: Path) -> None:
    first = OutputManager(tmp_path)
    with pytest.raises(ValueError), first.operation("training", title="try"):
        raise ValueError("power cut")
    second = OutputManager(tmp_path)
    assert second.resume(first.session_id).operation == "training"
    with second.operation("training", title="try again") as folder:
        pass
    log = read(folder / "execution_log.json")
    assert folder == tmp_path / "training" / first.session_id
    assert (log["status"], log["title"]) == ("completed", "try again")
    assert [(past["status"], past["error"]) for past in log["previous"]] == [("failed", "ValueError: power cut")]
    third = OutputManager(tmp_path)
    third.resume("latest", "training")
    with third.operation("training", title="once more") as folder:
        pass
    log = read(folder / "execution_log.json")
    assert [past["title"] for past in log["previous"]] == ["try", "try again"]


def test_a_running_run_cannot_be_resumed(tmp_path: Path) -> None:
    first = OutputManager(tmp_path)
    with first.operation("training"), pytest.raises(UsageError, match=r"is still running"):
        OutputManager(tmp_path).resume(first.session_id)


def test_results_saved_without_an_operation_are_a_run_too(tmp_path: Path) -> None:
    path = OutputManager(tmp_path).save_json_results({"a": 1}, "reports", "table")
    assert path.name == "table.json"
    assert find_run("latest", tmp_path).status == "saved"


@dataclass
class _Point:
    x: float
    where: Path


def test_json_results_take_what_people_compute_with(tmp_path: Path) -> None:
    data = {
        "array": np.array([1.0, np.nan]),
        "count": np.int64(3),
        ("a", "b"): _Point(math.inf, Path("/x")),
        "config": DAFConfig(output_dir="/o").output_dir,
        "set": {3, 1, 2},
    }
    path = OutputManager(tmp_path).save_json_results(data, "reports", "r.json")
    assert read(path) == {
        "array": [1.0, None],
        "count": 3,
        "a|b": {"x": None, "where": "/x"},
        "config": "/o",
        "set": [1, 2, 3],
    }
    with pytest.raises(TypeError, match=r"object"):
        OutputManager(tmp_path).save_json_results({"x": object()}, "reports", "bad.json")


def test_a_summary_report_is_markdown_and_json(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    path = manager.save_summary_report({"mean": 1.25, "pairs": {"a|b": None}}, "comparison")
    assert read(path.with_suffix(".json")) == {"mean": 1.25, "pairs": {"a|b": None}}
    page = path.read_text()
    assert "| mean | 1.25 |" in page
    assert "## pairs" in page
    assert "| a\\|b | n/a |" in page


def test_session_metadata_reports_the_operations(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    with manager.operation("sweep"):
        pass
    saved = read(manager.save_session_metadata())
    assert saved["session_id"] == manager.session_id
    assert saved["operations"]["sweeps"]["status"] == "completed"


def test_config_fields_have_their_effects(tmp_path: Path) -> None:
    config = DAFConfig(
        output_dir=tmp_path,
        organize_by_operation=False,
        log_to_file=False,
        monitor_system_stats=False,
        track_experiments=False,
        checkpoint_dir="nets",
    )
    manager = OutputManager.from_config(config)
    with manager.operation("training") as folder:
        logging.getLogger("daf.somewhere").warning("unheard")
        assert manager.get_checkpoint_dir() == tmp_path / "nets" / manager.session_id
    assert folder == tmp_path / manager.session_id / "training"
    assert files(folder) == {"README.md", "experiment_config.json", "execution_log.json"}
    assert not (tmp_path / "experiments.jsonl").exists()
    assert find_run(manager.session_id, tmp_path).path == folder


def test_with_the_default_config_a_run_is_logged_sampled_and_tracked(tmp_path: Path) -> None:
    manager = OutputManager.from_config(DAFConfig(output_dir=tmp_path))
    with manager.operation("evaluation", title="t") as folder:
        logging.getLogger("daf.somewhere").info("episode %d done", 3)
        assert manager.get_checkpoint_dir("evaluation") == folder / "checkpoints"
    lines = [json.loads(line) for line in (folder / "logs" / "evaluations.jsonl").read_text().splitlines()]
    assert "episode 3 done" in [line["event"] for line in lines]
    samples = list(journal.read(folder / "stats" / "system.jsonl"))
    assert len(samples) == 2
    assert all(sample["processes_memory_mb"] > 1 for sample in samples)
    events = list(journal.read(tmp_path / "experiments.jsonl"))
    assert [(event["event"], event["status"]) for event in events] == [("started", "running"), ("ended", "completed")]
    logging.getLogger("daf.somewhere").info("after the run")
    assert "after the run" not in (folder / "logs" / "evaluations.jsonl").read_text()


def test_nothing_is_printed_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with OutputManager(tmp_path).operation("sweep"):
        pass
    assert capfd.readouterr() == ("", "")
    with OutputManager(tmp_path, verbose=True).operation("sweep", title="aloud"):
        pass
    out, err = capfd.readouterr()
    assert out == ""
    assert "sweeps started: aloud" in err


def test_leftovers_of_dead_writers_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    manager = OutputManager(tmp_path)
    manager.get_operation_dir("sweep", "logs")
    folder = manager.get_operation_dir("sweep", "stats")
    dead = atomic.temporary_name(folder.parent / "logs" / "a.json")
    dead.write_text("half")
    with atomic.writing(folder / "b.json") as living:
        living.write_text("half")
        assert manager.cleanup_temp_files() == [dead]
    assert (folder / "b.json").read_text() == "half"


_HOLD = """
import sys
from daf.output_manager import OutputManager
manager = OutputManager(sys.argv[1])
manager.log_operation_start("training")
print("started", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(base: Path, *, host: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that trains, as the execution log tells it on another host."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(base)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        if host is not None:
            change_log(find_run("latest", base).path, host=host, pid=1)
        yield process
    finally:
        process.kill()
        process.communicate()


def change_log(folder: Path, **fields: Any) -> None:
    path = folder / "execution_log.json"
    path.write_text(json.dumps(read(path) | fields))


def test_the_lock_on_its_folder_decides_whether_a_run_is_running_whatever_host_its_log_names(tmp_path: Path) -> None:
    with another_process(tmp_path, host="some-container") as process:
        run = find_run("latest", tmp_path)
        assert run.status == "running"
        for take_over in (False, True):
            with pytest.raises(UsageError, match=r"is still running"):
                OutputManager(tmp_path).resume("latest", take_over=take_over)
        assert cleanup_old_sessions(0, dry_run=False, base_dir=tmp_path) == []
        process.kill()
        process.wait()
        assert find_run("latest", tmp_path).status == "interrupted"
        resumed = OutputManager(tmp_path)
        resumed.resume("latest")
        with pytest.raises(UsageError, match=r"is still running"):  # from here on it is that one's
            OutputManager(tmp_path).resume("latest")
        with resumed.operation("training") as folder:
            assert folder == run.path
            assert find_run("latest", tmp_path).status == "running"
        assert find_run("latest", tmp_path).status == "completed"
        assert not (folder / ".lock").exists()


def test_a_run_of_another_host_without_a_lock_is_resumed_only_by_taking_it_over(tmp_path: Path) -> None:
    with OutputManager(tmp_path).operation("training") as folder:
        pass
    change_log(folder, status="running", ended_at=None, host="another-host", locked=False)
    assert find_run("latest", tmp_path).status == "running"
    with pytest.raises(UsageError, match=r"was started on host another-host.*--take-over"):
        OutputManager(tmp_path).resume("latest")
    taken = OutputManager(tmp_path)
    taken.resume("latest", take_over=True)
    with taken.operation("training"):
        pass
    assert find_run("latest", tmp_path).status == "completed"


def test_where_the_file_system_has_no_locks_runs_are_known_by_host_and_pid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with OutputManager(tmp_path).operation("training") as folder:
        assert read(folder / "execution_log.json")["locked"] is False
        assert find_run("latest", tmp_path).status == "running"
        with pytest.raises(UsageError, match=r"is still running"):
            OutputManager(tmp_path).resume("latest")
    again = OutputManager(tmp_path)
    again.resume("latest")
    with again.operation("training"):
        pass
    assert [line["event"] for line in journal.read(tmp_path / "experiments.jsonl")] == ["started", "ended"] * 2
    assert len(cleanup_old_sessions(0, dry_run=False, base_dir=tmp_path)) == 1


def test_a_run_with_a_link_that_leads_out_of_it_is_not_resumed(tmp_path: Path) -> None:
    with OutputManager(tmp_path / "out").operation("training") as folder:
        (folder / "latest").symlink_to("stats")  # stays inside
    OutputManager(tmp_path / "out").resume("latest")
    (tmp_path / "precious").mkdir()
    (folder / "checkpoints").symlink_to(tmp_path / "precious")
    with pytest.raises(UnsafePathError, match=r"checkpoints is a link that leads out of"):
        OutputManager(tmp_path / "out").resume("latest")


def test_a_run_is_resumed_where_it_lies(tmp_path: Path) -> None:
    with OutputManager(tmp_path / "there").operation("training") as folder:
        pass
    change_log(folder, run_id="20200101_000000", operation="sweeps")
    manager = OutputManager(tmp_path / "here")
    manager.resume(str(folder))
    with manager.operation("training") as again:
        assert again == folder
    copy = folder.rename(tmp_path / "copy")
    manager = OutputManager(tmp_path / "here")
    manager.resume(str(copy))
    with manager.operation("training") as again:
        assert again == copy
    assert not folder.exists()


def test_secrets_in_the_command_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["daf", "submit", "--token", "s3cret", "--api-key=k3y", "--seed", "1"])
    with OutputManager(tmp_path).operation("deployment") as folder:
        pass
    assert read(folder / "execution_log.json")["command"] == "daf submit --token MASKED --api-key=MASKED --seed 1"


def test_one_manager_per_process_until_it_is_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path / "redirected"))
    reset_output_manager()
    try:
        manager = get_output_manager()
        assert manager.base_dir == tmp_path / "redirected"
        assert get_output_manager() is manager
        with pytest.raises(UsageError, match=r"reset_output_manager"):
            get_output_manager(tmp_path / "other")
        reset_output_manager()
        assert get_output_manager(tmp_path / "other").base_dir == tmp_path / "other"
    finally:
        reset_output_manager()


def test_a_torn_tail_of_a_journal_is_left_out_and_cut(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal.append(path, {"n": 1})
    with path.open("ab") as file:
        file.write(b'{"n": 2, "half')
    assert list(journal.read(path)) == [{"n": 1}]
    journal.append(path, {"n": 3})
    assert list(journal.read(path)) == [{"n": 1}, {"n": 3}]


def test_a_resumed_run_shows_its_first_start_all_its_time_and_its_sessions(tmp_path: Path) -> None:
    with OutputManager(tmp_path).operation("training") as folder:
        pass
    change_log(
        folder, started_at="2026-01-01T10:00:00+00:00", ended_at="2026-01-01T10:01:00+00:00", duration_seconds=60
    )
    assert find_run("latest", tmp_path).sessions == 1
    second = OutputManager(tmp_path)
    second.resume("latest")
    with second.operation("training"):
        pass
    change_log(folder, status="running", started_at="2026-01-02T10:00:00+00:00", ended_at=None, duration_seconds=None)
    for path in folder.rglob("*"):
        os.utime(path, (0, datetime.fromisoformat("2026-01-02T09:00:00+00:00").timestamp()))
    os.utime(folder / "logs" / "training.jsonl", (0, datetime.fromisoformat("2026-01-02T10:05:00+00:00").timestamp()))
    killed = find_run("latest", tmp_path)
    assert (killed.status, killed.sessions, killed.duration_seconds) == ("interrupted", 2, None)
    third = OutputManager(tmp_path)
    third.resume("latest")
    with third.operation("training"):
        pass
    run = find_run("latest", tmp_path)
    assert run.started_at == datetime.fromisoformat("2026-01-01T10:00:00+00:00")
    assert (run.status, run.sessions) == ("completed", 3)
    assert run.duration_seconds == pytest.approx(60 + 300, abs=20)  # and what the third took
    assert "| sessions | 3 |" in (folder / "README.md").read_text()
    with OutputManager(tmp_path).operation("evaluation"):
        pass
    assert find_run("latest", tmp_path).operation == "evaluations"
    fourth = OutputManager(tmp_path)
    fourth.resume(folder.name, "training")
    with fourth.operation("training"):
        pass
    assert find_run("latest", tmp_path).path == folder  # worked on last


def test_another_session_has_the_settings_and_labels_of_the_first(tmp_path):
    first = OutputManager(tmp_path, log_to_file=False, name="study", tags=["lr"], note="why")
    second = first.another_session()
    with first.operation("training", title="a") as one, second.operation("training", title="b") as two:
        assert one != two
    assert read_run(two).labels == read_run(one).labels
    assert read_run(two).labels.name == "study"
    assert not second.log_to_file
