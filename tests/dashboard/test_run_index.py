"""What runs there are, as they come, change, die and go."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from runs_made import append, running, training

from daf.dashboard.run_index import RunIndex
from daf.errors import UsageError


def titles(index: RunIndex, since: int = 0) -> list[str]:
    rows, _ = index.since(since)
    return sorted(row.run.title for row in rows)


def test_runs_appear_change_and_disappear_and_only_changes_are_sent(base):
    index = RunIndex(base)
    assert index.refresh() == 0
    first = training(base, "first", 3)
    seen = index.refresh()
    assert titles(index) == ["first"]
    with running(base, "second"):
        later = index.refresh()
        assert titles(index, seen) == ["second"]
    ended = index.refresh()
    assert [row.run.status for row in index.since(later)[0]] == ["completed"]
    assert index.refresh() == ended
    shutil.rmtree(first)
    gone = index.refresh()
    assert index.since(ended) == ([], [f"training/{first.name}"])
    assert index.refresh() == gone


def test_a_run_in_progress_changes_with_its_metrics(base):
    index = RunIndex(base)
    with running(base, "it", config={"run": {"total_timesteps": {"value": 9000, "source": "flag"}}}) as folder:
        version = index.refresh()
        assert index.since(0)[0][0].progress is None
        append(folder, range(4))
        index.refresh()
        (row,), _ = index.since(version)
        assert row.progress is not None
        assert row.progress.to_data() == {"step": 4000, "total": 9000, "return": 0.4, "sps": 500.0}


def test_an_execution_log_that_did_not_change_is_not_read_again(base):
    folder = training(base, "before", 1)
    index = RunIndex(base)
    index.refresh()
    log = folder / "execution_log.json"
    at = log.stat()
    with log.open("r+b") as file:
        text = file.read().replace(b'"before"', b'"behind"')
        file.seek(0)
        file.write(text)
    os.utime(log, ns=(at.st_atime_ns, at.st_mtime_ns))
    index.refresh()
    assert titles(index) == ["before"]
    os.utime(log)
    index.refresh()
    assert titles(index) == ["behind"]


def test_a_run_whose_process_was_killed_is_shown_as_interrupted(base):
    code = "import os, sys; from daf.output_manager import OutputManager as O;"
    code += (
        "m = O(sys.argv[1]); m.log_operation_start('training', title='t'); print('there', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(base)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    index = RunIndex(base)
    version = index.refresh()
    assert [row.run.status for row in index.running()] == ["running"]
    child.kill()
    child.communicate()
    index.refresh()
    assert [row.run.status for row in index.since(version)[0]] == ["interrupted"]
    assert index.running() == []


def test_only_run_folders_of_ours_are_listed_and_damaged_ones_as_damaged(base):
    training(base, "ours", 1)
    damaged = ("{", '{"format": "daf-run-1"}', '{"format": "daf-run-1", "status": 3}', "[]")
    named = [(f"20260101_{number:06d}", text) for number, text in enumerate(damaged, 10)]
    for name, text in (*named, ("20260101_000009", '{"format": "other"}'), ("notes", "{}")):
        (base / "training" / name).mkdir()
        (base / "training" / name / "execution_log.json").write_text(text)
    (base / "training" / "20260101_000002").symlink_to(base)
    (base / "evaluations").write_text("a file")
    index = RunIndex(base)
    version = index.refresh()
    rows = {row.key: row.run for row in index.since(0)[0]}
    assert {key: run.status for key, run in rows.items() if run.title != "ours"} == {
        f"training/{name}": "damaged" for name, _ in named
    }
    assert [run.status for run in rows.values() if run.title == "ours"] == ["completed"]
    assert index.refresh() == version


def test_keys_are_looked_up_and_never_joined(base):
    folder = training(base, "sweep", 1)
    (folder / "trials" / "0003").mkdir(parents=True)
    (base / "training" / "secret").mkdir()
    index = RunIndex(base)
    index.refresh()
    key = f"training/{folder.name}"
    assert index.folder(key) == folder
    assert index.folder(f"{key}/trials/0003") == folder / "trials" / "0003"
    for wrong in ("", "training", "training/secret", f"{key}/..", f"{key}/trials/..", f"{key}/trials/0003/..",
                  f"{key}/trials", f"../{base.name}/{key}", f"{base}/{key}", f"{key}/trials/\0"):  # fmt: skip
        with pytest.raises(UsageError):
            index.folder(wrong)


def test_runs_organised_by_session_are_found_too(base):
    folder = training(base, "it", 1)
    session = base / folder.name / "training"
    session.parent.mkdir()
    folder.rename(session)
    index = RunIndex(base)
    index.refresh()
    assert index.folder(f"{session.parent.name}/training") == session


def test_a_thousand_runs_are_looked_at_for_a_fraction_of_a_second_of_processor_time(base):
    from time import process_time

    model = json.loads((training(base, "model", 1) / "execution_log.json").read_text())
    for number in range(1000):
        folder = base / "evaluations" / f"20260101_{number:06d}"
        folder.mkdir(parents=True)
        (folder / "execution_log.json").write_text(
            json.dumps(model | {"operation": "evaluations", "title": str(number)})
        )
    index = RunIndex(base)
    began = process_time()
    index.refresh()
    first = process_time() - began
    assert len(index.since(0)[0]) == 1001
    began = process_time()
    index.refresh()
    assert first < 1
    assert process_time() - began < 0.3
