"""Finding, listing, cleaning and exporting runs touches runs of ours and nothing else."""

import io
import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from daf.errors import UsageError
from daf.output_manager import OutputManager, find_run, list_runs
from daf.output_utils import (
    cleanup_old_sessions,
    export_session,
    find_latest_session,
    list_sessions,
    print_output_summary,
    print_session_info,
)
from daf.storage import atomic


def run_of(base: Path, operation: str, title: str = "") -> Path:
    with OutputManager(base, track_experiments=False).operation(operation, title=title) as folder:
        (folder / "result.txt").write_text("42")
    return folder


def make_older(folder: Path, *, year: int) -> None:
    """Let the run have happened in `year`."""
    path = folder / "execution_log.json"
    log = json.loads(path.read_text())
    for field in ("started_at", "ended_at"):
        if log[field] is not None:
            log[field] = f"{year}{log[field][4:]}"
    path.write_text(json.dumps(log))
    long_ago = datetime(year, 6, 1, tzinfo=UTC).timestamp()
    os.utime(path, (long_ago, long_ago))


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_runs_are_listed_newest_first_with_what_people_ask_for(tmp_path: Path) -> None:
    old, new = run_of(tmp_path, "sweep", "first"), run_of(tmp_path, "comparison", "second")
    make_older(old, year=2020)
    runs = list_sessions(tmp_path)
    assert [run.title for run in runs] == ["second", "first"]
    assert [run.title for run in list_sessions(tmp_path, "sweeps")] == ["first"]
    assert runs[0].path == new
    assert runs[0].size_bytes == sum(path.stat().st_size for path in new.rglob("*") if path.is_file())
    latest = find_latest_session(tmp_path)
    assert latest == runs[0]
    assert Path(latest) == new
    assert find_latest_session(tmp_path, "training") is None


def test_a_run_is_found_by_prefix_latest_operation_and_path(tmp_path: Path) -> None:
    old, new = run_of(tmp_path, "sweep"), run_of(tmp_path, "comparison")
    make_older(old, year=2020)
    assert find_run("latest", tmp_path).path == new
    assert find_run("latest", tmp_path, "sweep").path == old
    assert find_run(f"sweep/{old.name}", tmp_path).path == old
    assert find_run(f"comparisons/{new.name[:8]}", tmp_path).path == new
    assert find_run(old.name, tmp_path, operation="sweep").path == old
    assert find_run(str(new), tmp_path / "nowhere").path == new


def test_an_ambiguous_or_unknown_id_is_an_error_that_lists_the_runs(tmp_path: Path) -> None:
    first, second = run_of(tmp_path, "sweep"), run_of(tmp_path, "comparison")
    with pytest.raises(UsageError) as raised:
        find_run("20", tmp_path)
    assert f"sweeps/{first.name}" in str(raised.value)
    assert f"comparisons/{second.name}" in str(raised.value)
    with pytest.raises(UsageError, match=f"Nearest: .*{first.name}"):
        find_run(f"{first.name}x"[1:], tmp_path)
    with pytest.raises(UsageError, match=r"there are no runs of training"):
        find_run("latest", tmp_path, "training")


def test_an_exact_id_wins_over_longer_ones(tmp_path: Path) -> None:
    for name in ("20200101_000000_2", "20200101_000000"):
        made = run_of(tmp_path, "sweep")
        folder = made.rename(made.with_name(name))
        log = json.loads((folder / "execution_log.json").read_text())
        (folder / "execution_log.json").write_text(json.dumps(log | {"run_id": name}))
    assert find_run("20200101_000000", tmp_path).path.name == "20200101_000000"
    with pytest.raises(UsageError, match=r"matches more than one run"):
        find_run("20200101_00000", tmp_path)


def test_cleaning_deletes_old_runs_and_nothing_else(tmp_path: Path) -> None:
    old, new, running = run_of(tmp_path, "sweep"), run_of(tmp_path, "sweep"), OutputManager(tmp_path)
    still = running.log_operation_start("training")
    make_older(old, year=2020)
    make_older(still, year=2020)
    foreign = tmp_path / "sweeps" / "20200101_000000"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_older(run_of(tmp_path / "other", "sweep"), year=2020)
    target = run_of(tmp_path / "other", "sweep")
    make_older(target, year=2020)
    (tmp_path / "sweeps" / "20200102_000000").symlink_to(target)

    assert [run.path for run in cleanup_old_sessions(30, base_dir=tmp_path)] == [old]
    assert old.exists()
    assert [run.path for run in cleanup_old_sessions(30, dry_run=False, base_dir=tmp_path)] == [old]
    assert not old.exists()
    assert (foreign / "thesis.txt").read_text() == "mine"
    assert new.exists()
    assert still.exists()
    assert (target / "result.txt").exists()
    assert not (tmp_path / ".sessions" / old.name).exists()
    assert sorted(path.name for path in (tmp_path / "sweeps").iterdir()) == sorted(
        [new.name, foreign.name, "20200102_000000"]
    )
    running.log_operation_complete("training")


@pytest.mark.parametrize("run_id", ["../../precious", "/{tmp}/precious", "", "../.sessions", "{kept}"])
def test_cleaning_goes_by_where_a_run_lies_never_by_what_its_log_says(tmp_path: Path, run_id: str) -> None:
    base = tmp_path / "out"
    kept = run_of(base, "evaluation")
    folder = run_of(base, "sweep")
    (tmp_path / "precious").mkdir()
    make_older(folder, year=2020)
    path = folder / "execution_log.json"
    named = run_id.format(tmp=tmp_path, kept=kept.name)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run_id": named}))
    cleaned = [run.run_id for run in cleanup_old_sessions(30, dry_run=False, base_dir=base)]
    assert cleaned == ([folder.name] if named == kept.name else [])  # others are damaged, and left alone
    assert folder.exists() == (not cleaned)
    assert kept.exists()
    assert (base / ".sessions" / kept.name).exists()
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("operation", ["../outside/evil", "evaluations"])
def test_an_export_is_named_after_where_the_run_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: bool, operation: str
) -> None:
    folder = run_of(tmp_path / "a" / "out", "sweep")
    path = folder / "execution_log.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"operation": operation, "run_id": "20200101_000000"}))
    (tmp_path / "a" / "outside").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    target = export_session(str(folder), compress=compress)
    assert target.name.startswith(f"sweeps_{folder.name}")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(["out", "outside", target.name])


def test_what_a_killed_cleaning_left_goes_with_the_next(tmp_path: Path) -> None:
    folder, other = run_of(tmp_path, "sweep"), run_of(tmp_path, "sweep")
    half = tmp_path / "sweeps" / ".20200101_000000.deleted-0123abcd"  # as before 0.1.0
    (half / "stats").mkdir(parents=True)
    mine = tmp_path / "sweeps" / ".20200101_000000.deleted-by-me"
    mine.mkdir()
    gone = atomic.temporary_name(tmp_path / "sweeps" / "20200102_000000")
    gone.mkdir()
    torn = atomic.temporary_name(folder / "stats" / "episodes.duckdb")
    torn.parent.mkdir()
    torn.write_text("half")
    with atomic.writing(other / "results.json") as living:
        living.write_text("whole")
        assert cleanup_old_sessions(30, dry_run=True, base_dir=tmp_path) == []
        assert half.exists()
        assert cleanup_old_sessions(30, dry_run=False, base_dir=tmp_path) == []
    assert not any(path.exists() for path in (half, gone, torn))
    assert mine.exists()
    assert (other / "results.json").read_text() == "whole"


def test_what_a_killed_cleaning_left_goes_when_the_next_run_begins(tmp_path: Path) -> None:
    half = atomic.temporary_name(tmp_path / "sweeps" / "20200102_000000")
    (half / "stats").mkdir(parents=True)
    run_of(tmp_path, "sweep")
    assert not half.exists()


def test_a_run_that_broke_off_long_ago_is_cleaned_too(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "sweep")
    path = folder / "execution_log.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running", "ended_at": None, "pid": 2**30}))
    assert cleanup_old_sessions(30, dry_run=False, base_dir=tmp_path) == []
    make_older(folder, year=2020)
    assert [run.status for run in cleanup_old_sessions(30, dry_run=False, base_dir=tmp_path)] == ["interrupted"]
    assert not folder.exists()


def test_cleaning_with_a_negative_age_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"days must be from 0 to 365,000, not -1"):
        cleanup_old_sessions(-1, base_dir=tmp_path)


def test_an_exported_archive_holds_the_whole_run(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "out", "sweep")
    archive = export_session(folder.name, tmp_path / "x.tar.gz", base_dir=tmp_path / "out")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    unpacked = tmp_path / "unpacked" / f"sweeps_{folder.name}"
    assert {p.name for p in unpacked.iterdir()} == {p.name for p in folder.iterdir()}
    assert (unpacked / "result.txt").read_text() == "42"


def test_an_exported_folder_is_a_copy_and_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_of(tmp_path / "out", "sweep")
    monkeypatch.chdir(tmp_path)
    target = export_session("latest", compress=False, base_dir=tmp_path / "out")
    assert target == Path(f"sweeps_{folder.name}")
    assert (target / "result.txt").read_text() == "42"
    with pytest.raises(UsageError, match=r"is there already"):
        export_session("latest", compress=False, base_dir=tmp_path / "out")
    with pytest.raises(UsageError, match=r"lies in the run itself"):
        export_session("latest", folder / "copy", compress=False, base_dir=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", target.name]


def test_printing_goes_to_the_console_that_is_given(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = run_of(tmp_path, "sweep", "a [bold]title[/bold]")
    console = Console(file=io.StringIO(), width=200)
    assert [run.path for run in print_output_summary(tmp_path, console)] == [folder]
    print_session_info("latest", console, base_dir=tmp_path)
    print_output_summary(tmp_path)
    assert folder.name in shown(console)
    assert "a [bold]title[/bold]" in shown(console)
    assert capfd.readouterr() == ("", "")


def test_folders_of_other_programs_are_no_runs(tmp_path: Path) -> None:
    for name, content in (("20200101_000002", '{"format": "x"}'), ("notes", "{}")):
        folder = tmp_path / "sweeps" / name
        folder.mkdir(parents=True)
        (folder / "execution_log.json").write_text(content)
    (tmp_path / "sweeps" / "20200101_000003").mkdir()
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "nowhere") == []
    assert os.listdir(tmp_path) == ["sweeps"]  # noqa: PTH208
