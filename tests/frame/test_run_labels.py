"""Names, tags and notes of runs, and lists of runs by them."""

import json
import threading
from pathlib import Path

import pytest

from daf.errors import DamagedFileError, UsageError
from daf.output_manager import OutputManager, find_run, labels, list_runs
from daf.output_manager.labels import Labels
from daf.reporting.catalog import selected


def a_run(base: Path, **given: object) -> Path:
    output = OutputManager(base, track_experiments=False, **given)  # type: ignore[arg-type]
    with output.operation("evaluations", title="a title") as folder:
        pass
    return folder


def test_a_run_carries_the_labels_it_was_started_with(tmp_path: Path) -> None:
    a_run(tmp_path, name="first look", tags=["arena", "baseline"], note="two\nlines")
    (run,) = list_runs(tmp_path)
    assert run.labels == Labels("first look", ("arena", "baseline"), "two\nlines")
    assert run.to_data()["tags"] == ["arena", "baseline"]


def test_a_run_without_labels_has_no_file_for_them(tmp_path: Path) -> None:
    assert not (a_run(tmp_path) / labels.FILE).exists()


def test_a_name_stands_for_the_id_of_its_run(tmp_path: Path) -> None:
    folder = a_run(tmp_path, name="first look")
    a_run(tmp_path)
    assert find_run("first look", tmp_path).path == folder
    with pytest.raises(UsageError, match="Nearest: first look"):
        find_run("frist look", tmp_path)


def test_a_name_of_two_runs_is_ambiguous(tmp_path: Path) -> None:
    a_run(tmp_path, name="twice")
    a_run(tmp_path, name="twice")
    with pytest.raises(UsageError, match="matches more than one run"):
        find_run("twice", tmp_path)


def test_resuming_keeps_earlier_labels_and_adds_new_ones(tmp_path: Path) -> None:
    folder = a_run(tmp_path, name="old", tags=["a"], note="why")
    again = OutputManager(tmp_path, track_experiments=False, name="new", tags=["b", "a"])
    again.resume(folder)
    with again.operation("evaluations"):
        pass
    assert labels.read(folder) == Labels("new", ("a", "b"), "why")


def test_two_edits_at_the_same_time_are_both_kept(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    tags = [f"t{number}" for number in range(12)]
    threads = [threading.Thread(target=labels.edit, args=(folder, lambda old, t=t: old.tagged([t]))) for t in tags]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(labels.read(folder).tags) == sorted(tags)


def test_editing_labels_does_not_move_the_end_of_a_killed_run(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    log = json.loads((folder / "execution_log.json").read_text())
    (folder / "execution_log.json").write_text(json.dumps(log | {"status": "running", "ended_at": None, "pid": 1}))
    import os

    from daf.output_manager.execution import broken_off, read

    old = (folder / "execution_log.json").stat().st_mtime - 1000
    for path in folder.rglob("*"):
        os.utime(path, (old, old))
    labels.edit(folder, lambda before: before.tagged(["late"]))
    execution = read(folder)
    assert execution is not None
    assert broken_off(folder, execution)["duration_seconds"] == 0


@pytest.mark.parametrize("name", ["", " padded ", "a/b", "latest", "20261120_101500", "two\nlines", "x" * 101])
def test_a_name_that_could_be_taken_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        Labels(name)


@pytest.mark.parametrize("tag", ["", "two words", "-minus", "a/b", "x" * 61])
def test_a_tag_that_is_hard_to_type_is_refused(tag: str) -> None:
    with pytest.raises(UsageError, match="a tag must"):
        Labels(tags=(tag,))


def test_damaged_labels_are_reported_and_hide_no_run(tmp_path: Path) -> None:
    folder = a_run(tmp_path, name="x")
    (folder / labels.FILE).write_text('{"tags": 3}')
    (run,) = list_runs(tmp_path)
    assert run.status == "completed"
    assert run.labels == Labels()
    assert labels.FILE in str(run.labels_error)
    with pytest.raises(DamagedFileError):
        labels.edit(folder, lambda old: old.tagged(["a"]))


def test_runs_are_filtered_by_tags_and_text_and_sorted_by_name(tmp_path: Path) -> None:
    for name, tags in (("b", ["x"]), ("a", ["x", "y"]), ("c", ["y"])):
        a_run(tmp_path, name=name, tags=tags, note=f"note {name}")
    runs = list_runs(tmp_path)

    def names(**given: object) -> list[str | None]:
        return [entry.run.labels.name for entry in selected(runs, **given)]  # type: ignore[arg-type]

    assert names(tags=["x"], sort="name") == ["a", "b"]
    assert names(tags=["x", "y"]) == ["a"]
    assert names(search="NOTE C") == ["c"]
    assert names(sort="name", reverse=True) == ["c", "b", "a"]
    assert names(status="failed") == []
    with pytest.raises(UsageError, match="order"):
        names(sort="naem")
    with pytest.raises(UsageError, match="kind"):
        names(kind="trainig")
