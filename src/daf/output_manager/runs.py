"""Reading runs: list them, and find one by its id, its name, the start of its id, or "latest".

A run is a folder with an `execution_log.json` written by DAF, at a path where runs lie (`layout`); nothing else is
listed. Its path determines its id and operation, whatever its execution log says: a copied log never leads to another
folder. A run whose log cannot be read is listed with the status "damaged" and the reason, and hides no other.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from daf.errors import DAFError, DamagedFileError, StorageError, UsageError, nearest
from daf.output_manager import execution as execution_log
from daf.output_manager import labels
from daf.output_manager.labels import Labels
from daf.output_manager.layout import EXECUTION_LOG, OPERATIONS, SESSION_ID, base_folder, operation_folder, place_of
from daf.storage import atomic, remote
from daf.storage.atomic import explain
from daf.storage.reading import read_json

DAMAGED = "damaged"
_SEEN = ".daf-seen.json"
"""In a mirror: which publications of runs its directories are of."""
_LARGEST_LISTED = 16 * 2**20
NO_LABELS = Labels()


@dataclass(frozen=True)
class RunInfo:
    """A run as its execution log describes it; can be used as a path.

    status: "running" (also if this host cannot determine it), "completed", "failed", "interrupted" (also if the process
    was killed), "saved", "damaged" (the log cannot be read: `error` says why, and the path of the folder gives id,
    operation and time).
    started_at: of the first session. duration_seconds: over all sessions, interrupted ones as far as their files show;
    None while it runs, and if the process of the last session was killed. sessions: how often the run was started or
    resumed; resumed_at: when the last of several started. labels: its name, tags and note; none if their file cannot be
    read, and labels_error says why.
    """

    run_id: str
    operation: str
    path: Path
    status: str
    title: str
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    error: str | None
    command: str
    sessions: int = 1
    resumed_at: datetime | None = None
    labels: Labels = NO_LABELS
    labels_error: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def url(self) -> str | None:
        """Where the run is published, or will be; None without a URL."""
        place = remote.place_of(self.path)
        return None if place is None else place.shown

    @property
    def published(self) -> bool | None:
        """Whether everything of the run is published; None without a URL."""
        return None if remote.place_of(self.path) is None else not remote.is_pending(self.path)

    @property
    def size_bytes(self) -> int:
        """The size of its files, computed on each call; of a published run also of those that are not here."""
        there = remote.listed(self.path)
        return folder_size(self.path) if there is None else there.size

    def to_data(self) -> dict[str, Any]:
        """All fields, and the size, as JSON data."""
        return {
            "run_id": self.run_id,
            "operation": self.operation,
            "run_dir": str(self.path),
            "url": self.url,
            "published": self.published,
            "status": self.status,
            "title": self.title,
            "name": self.labels.name,
            "tags": list(self.labels.tags),
            "note": self.labels.note,
            "started_at": self.started_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "duration_seconds": self.duration_seconds,
            "sessions": self.sessions,
            "resumed_at": None if self.resumed_at is None else self.resumed_at.isoformat(),
            "error": self.error,
            "command": self.command,
            "size_bytes": self.size_bytes,
        }


def list_runs(base_dir: str | Path | None = None, operation: str | None = None) -> list[RunInfo]:
    """All runs below the output directory, or those of one operation; none without the folder.

    Runs that are published at a URL are listed from there, and their files are downloaded once `find_run` names one.

    The one that was started or resumed last comes first.

    Raises `UsageError` for an unknown operation, `StorageError` if the folder cannot be read.
    """
    wanted = None if operation is None else operation_folder(operation)
    base = base_folder(base_dir)
    refresh(base)
    found = [run for run in _runs(base) if wanted is None or run.operation == wanted]
    return sorted(found, key=lambda run: (run.resumed_at or run.started_at, run.run_id, run.operation), reverse=True)


def find_run(
    run_id: str | os.PathLike[str], base_dir: str | Path | None = None, operation: str | None = None
) -> RunInfo:
    """The run that `run_id` names: an id, a run's name, the start of an id, `OPERATION/ID`, "latest", a path or URL.

    A `Path` or `RunInfo` always names a folder. A published run is downloaded, and every file verified.

    operation: search only its runs. Raises `UsageError` if no run or more than one matches, with the candidates.
    """
    if not isinstance(run_id, str):
        run_id = str(Path(run_id).absolute())
    url = remote.url_in(run_id)
    if url is not None:
        run_id = str(remote.local(run_id))
    if os.sep in run_id:
        whole(Path(run_id))
        as_path = read_run(Path(run_id))
        if as_path is not None:
            return as_path
        if url is not None:
            raise UsageError(
                f"{url}: no published run is there. `daf runs list --output-dir URL` lists those of a URL."
            )
    if os.sep in run_id and Path(run_id).is_dir():
        raise UsageError(
            f"{run_id} is a directory, but not a run of an output directory: it has no {EXECUTION_LOG}, like those "
            "that --run-dir creates. `daf report`, `daf plot` and `daf logs` accept it."
        )
    if Path(run_id).is_absolute():
        raise UsageError(f"{run_id}: no such run directory. `daf runs` lists the runs.")
    base = base_folder(base_dir)
    head, slash, rest = run_id.partition("/")
    if slash:
        operation, run_id = head, rest
    runs = list_runs(base, operation)
    if not runs:
        kind = "" if operation is None else f" of {operation_folder(operation)}"
        raise UsageError(
            f'no run "{run_id}": there are no runs{kind} in {base}. Choose another output directory with --output-dir.'
        )
    if run_id == "latest":
        return _whole(runs[0])
    exact = [run for run in runs if run.run_id == run_id] or [run for run in runs if run.labels.name == run_id]
    meant = exact or [run for run in runs if run_id and run.run_id.startswith(run_id)]
    if not meant:
        known = [name for run in runs for name in (run.labels.name, run.run_id) if name]
        close = nearest(run_id, known) or list(dict.fromkeys(run.run_id for run in runs))[:3]
        raise UsageError(f'no run "{run_id}" in {base}. Nearest: {", ".join(close)}. `daf runs` lists all runs.')
    if len(meant) > 1:
        listed = ", ".join(f"{run.operation}/{run.run_id}" for run in meant[:8])
        more = f", … ({len(meant)} in all)" if len(meant) > 8 else ""
        raise UsageError(f'"{run_id}" matches more than one run: {listed}{more}. Use one of these.')
    return _whole(meant[0])


def stored_runs(base_dir: str | Path | None = None) -> list[RunInfo]:
    """The runs on this machine below the output directory, without asking a store at its URL."""
    return list(_runs(base_folder(base_dir)))


def whole(folder: Path) -> bool:
    """Download what a directory with a URL lacks of its published content; False if it has no URL.

    Raises `StorageError`, `DamagedFileError`.
    """
    place = remote.place_of(folder)
    if place is None or not place.name:
        return False
    return remote.fetch(folder)


def refresh(base: Path) -> None:
    """Download what a list shows of the runs that others published at the output directory's URL, if it has one."""
    place = remote.mirror_of(base)
    if place is None:
        return
    seen_file = base / _SEEN
    seen = read_json(seen_file, dict[str, str]) or {}
    there = {name: tag for name, tag in remote.published(place.url).items() if _is_run(name)}
    for name, tag in there.items():
        if seen.get(name) != tag or not (base / name / EXECUTION_LOG).is_file():
            remote.fetch(base / name, only=_is_listed)
    if there != seen:
        atomic.write_json(seen_file, there)


def _whole(run: RunInfo) -> RunInfo:
    return (read_run(run.path) or run) if whole(run.path) else run


def _is_run(name: str) -> bool:
    place = place_of(Path("/", name))
    return place is not None and name.count("/") == 1


def _is_listed(name: str, size: int) -> bool:
    """Whether a list of runs shows something of this file of a run."""
    return "/" not in name and size <= _LARGEST_LISTED and name.endswith((".json", ".jsonl", ".md"))


def read_run(folder: Path) -> RunInfo | None:
    """The run in `folder`; None if DAF did not write it. One whose log cannot be read has the status "damaged"."""
    try:
        execution = execution_log.read(folder)
    except (DamagedFileError, StorageError) as error:
        return _damaged(folder, error)
    if execution is None:
        return None
    place = place_of(folder)
    operation, run_id = place[1:] if place is not None else (execution["operation"], execution["run_id"])
    status = execution["status"]
    if status == "running" and execution_log.is_running(folder, execution) is False:
        status = "interrupted"
    ended_at, seconds = execution["ended_at"], execution["duration_seconds"]
    began, earlier = datetime.fromisoformat(execution["started_at"]), execution["previous"]
    if seconds is not None:
        seconds += sum(attempt.get("duration_seconds") or 0.0 for attempt in earlier)
    found, labels_error = _labels(folder)
    return RunInfo(
        run_id=run_id,
        operation=operation,
        path=folder,
        status=status,
        title=execution["title"],
        started_at=began if not earlier else datetime.fromisoformat(earlier[0].get("started_at", began.isoformat())),
        ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
        duration_seconds=seconds,
        error=execution["error"],
        command=execution["command"],
        sessions=len(earlier) + 1,
        resumed_at=began if earlier else None,
        labels=found,
        labels_error=labels_error,
    )


def _labels(folder: Path) -> tuple[Labels, str | None]:
    try:
        return labels.read(folder), None
    except (DamagedFileError, StorageError) as error:
        return NO_LABELS, str(error)


def require_intact(run: RunInfo) -> None:
    """Raise `DamagedFileError` for a run whose execution log cannot be read: such a run cannot be resumed."""
    if run.status == DAMAGED:
        raise DamagedFileError(run.path, run.error or f"{EXECUTION_LOG} cannot be read")


def _damaged(folder: Path, error: DAFError) -> RunInfo:
    names = (folder.name, folder.absolute().parent.name)
    session = next((name for name in names if SESSION_ID.fullmatch(name)), folder.name)
    operation = next((name for name in names if name in OPERATIONS), names[1])
    return RunInfo(
        run_id=session,
        operation=operation,
        path=folder,
        status=DAMAGED,
        title="",
        started_at=_begun_at(folder, session),
        ended_at=None,
        duration_seconds=None,
        error=f"{EXECUTION_LOG}: {error.reason}" if isinstance(error, DamagedFileError) else str(error),
        command="",
    )


def _begun_at(folder: Path, session: str) -> datetime:
    """When the session started, from its id; from the folder's last change if the id is not a time."""
    with contextlib.suppress(ValueError, OverflowError):
        when = datetime.strptime("_".join(session.split("_")[:2]), "%Y%m%d_%H%M%S").astimezone()
        if 1970 < when.year < 9999:
            return when
    try:
        changed = folder.stat().st_mtime
    except OSError:
        changed = 0.0
    return datetime.fromtimestamp(changed).astimezone()


def has_file(folder: Path, pattern: str) -> bool:
    """Whether a file of a run matches `pattern` ("replays/*.json.z"), also one that is published and not here yet."""
    there = remote.listed(folder)
    return any(folder.glob(pattern)) or (there is not None and any(_matches(name, pattern) for name in there.files))


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and PurePosixPath(name).match(pattern)


def folder_size(folder: Path) -> int:
    """Bytes of all files below `folder`; links are not followed, files that vanish meanwhile are not counted."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(root) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def _runs(base: Path) -> Iterator[RunInfo]:
    for operation in OPERATIONS:
        for folder in _sessions(base / operation):
            run = read_run(folder)
            if run is not None:
                yield run
    for session in _sessions(base):
        for operation in OPERATIONS:
            run = None if (session / operation).is_symlink() else read_run(session / operation)
            if run is not None:
                yield run


def _sessions(folder: Path) -> list[Path]:
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(explain(error, f"listing {folder}")) from error
    return [
        entry for entry in entries if SESSION_ID.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink()
    ]
