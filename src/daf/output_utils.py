"""Sessions that are there: find, list, print, export and clean up.

Only folders that are runs of ours count (see `daf.output_manager.runs`); whatever else lies in the output directory is
neither listed nor touched. A run that is running is never deleted, nor one whose execution log is damaged.
"""

import os
import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import LockedError, NoLocksError, StorageError, UsageError
from daf.output_manager import layout
from daf.output_manager.runs import DAMAGED, RunInfo, find_run, list_runs
from daf.storage import atomic, locks, remote
from daf.storage.atomic import explain, writing
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "cleanup_old_sessions",
    "export_session",
    "find_latest_session",
    "find_run",
    "list_runs",
    "list_sessions",
    "print_output_summary",
    "print_session_info",
]


def list_sessions(base_dir: str | Path | None = None, operation: str | None = None) -> list[RunInfo]:
    """Every session's runs, newest first; `list_runs` under its other name."""
    return list_runs(base_dir, operation)


def find_latest_session(base_dir: str | Path | None = None, operation: str | None = None) -> RunInfo | None:
    """The newest run, or None where there is none."""
    return next(iter(list_runs(base_dir, operation)), None)


MOST_DAYS = 365_000
"""A thousand years; dates before the year 1 do not exist."""


def cleanup_old_sessions(
    days: float = 30, dry_run: bool = True, *, base_dir: str | Path | None = None
) -> list[RunInfo]:
    """Delete the runs that ended (or broke off) more than `days` days ago; with `dry_run` only return them.

    Damaged runs are left alone: nothing says when they ended, nor that they did. What earlier cleanings and killed
    writers left half-deleted or unfinished is deleted too.

    Raises `UsageError` for days outside 0 to `MOST_DAYS`, `StorageError` where one cannot be deleted.
    """
    if not 0 <= days <= MOST_DAYS:
        raise UsageError(f"days must be from 0 to {MOST_DAYS:,}, not {days:g}.")
    base = layout.base_folder(base_dir)
    place = remote.mirror_of(base)
    if place is not None:
        raise UsageError(
            f"DAF deletes no published runs. Delete those of {place.shown} with the tools of the store: the folder "
            f"OPERATION/ID of the run, and then its copy in {base}."
        )
    limit = datetime.now(UTC) - timedelta(days=days)
    ended = [run for run in list_runs(base) if run.status not in ("running", DAMAGED)]
    old = [run for run in ended if (run.ended_at or _last_change(run)) < limit]
    if dry_run:
        return old
    old = [run for run in old if _removed(run)]
    sweep_up(base)
    kept = {run.run_id for run in list_runs(base)}
    for session in {run.run_id for run in old} - kept:
        claim = base / layout.SESSIONS / session
        if claim.is_dir():
            atomic.remove(claim)
        together = base / session
        if together.is_dir() and not any(together.iterdir()):
            atomic.remove(together)
    return old


def sweep_up(base_dir: str | Path | None = None) -> list[Path]:
    """Delete what killed processes left half-deleted or unfinished in the output directory's runs; returns the paths.

    What a live process is writing is left alone. Raises `StorageError`.
    """
    base = layout.base_folder(base_dir)
    runs = [run.path for run in list_runs(base)]
    found = [path for folder in layout.run_folders(base) for path in atomic.sweep(folder)]
    return found + [path for run in runs for path in atomic.sweep_below(run)]


def export_session(
    session: str | os.PathLike[str],
    output_path: str | Path | None = None,
    compress: bool = True,
    *,
    base_dir: str | Path | None = None,
) -> Path:
    """Copy a run (see `find_run`) as `OPERATION_ID.tar.gz`, or without `compress` as a folder, and return its place.

    output_path: the archive or folder to make; default: in the working directory. It appears whole or not at all.
    Raises `UsageError` where there is no such run or something lies at `output_path`; `StorageError`.
    """
    run = find_run(session, base_dir)
    name = f"{run.operation}_{run.run_id}"
    target = Path(output_path) if output_path is not None else Path(f"{name}.tar.gz" if compress else name)
    if target.exists():
        raise UsageError(f"{target} is there already. Choose another name.")
    if target.absolute().is_relative_to(run.path.absolute()):
        raise UsageError(f"{target} lies in the run itself. Choose another place.")
    if compress:
        with writing(target) as temporary, tarfile.open(temporary, "w:gz") as archive:
            archive.add(run.path, arcname=name)
        return target
    unfinished = atomic.temporary_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic.announced(target.parent):
            shutil.copytree(run.path, unfinished, symlinks=True)
            unfinished.rename(target)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        cause = error if not isinstance(error, shutil.Error) else OSError(str(error))
        raise StorageError(explain(cause, f"exporting {run.path} to {target}")) from error
    return target


def print_session_info(
    session: str | os.PathLike[str], console: "Console | None" = None, *, base_dir: str | Path | None = None
) -> RunInfo:
    """Print one run's facts on `console`, nothing without one; returns the run. Raises `UsageError`."""
    run = find_run(session, base_dir)
    if console is not None:
        from rich.table import Table

        table = Table("", "", title=terminal_text(run.title), show_header=False)
        for name, value in run.to_data().items():
            if value is not None:
                table.add_row(name, terminal_text(_size(run.size_bytes) if name == "size_bytes" else str(value)))
        console.print(table)
    return run


def print_output_summary(base_dir: str | Path | None = None, console: "Console | None" = None) -> list[RunInfo]:
    """Print all runs as a table on `console`, nothing without one; returns them, newest first."""
    runs = list_runs(base_dir)
    if console is not None:
        from rich.table import Table

        table = Table(title=f"{len(runs)} runs")
        for name in ("run", "operation", "status", "started"):
            table.add_column(name, no_wrap=True)
        table.add_column("seconds", justify="right")
        table.add_column("size", justify="right")
        table.add_column("title")
        for run in runs:
            seconds = "" if run.duration_seconds is None else f"{run.duration_seconds:.1f}"
            started = run.started_at.strftime("%Y-%m-%d %H:%M")
            cells = (run.run_id, run.operation, run.status, started, seconds, _size(run.size_bytes), run.title)
            table.add_row(*map(terminal_text, cells))
        console.print(table)
    return runs


def _removed(run: RunInfo) -> bool:
    """Delete the run, unless a process works in it: one that is resumed meanwhile stays."""
    try:
        with locks.exclusive(run.path / layout.LOCK, f"{run.path} is in use."):
            atomic.remove(run.path)
    except LockedError:
        return False
    except NoLocksError:
        atomic.remove(run.path)
    return True


def _last_change(run: RunInfo) -> datetime:
    """When a run that broke off last wrote its log: the best there is for its end."""
    try:
        return datetime.fromtimestamp((run.path / layout.EXECUTION_LOG).stat().st_mtime, UTC)
    except OSError:
        return run.started_at


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
