"""The existing runs, kept up to date by checking what changed.

`refresh` lists the output directory and reads an execution log only if its file changed since the last check, so a
thousand runs cost a thousand `stat` calls and no more. Every change gets a higher `version`; `since(version)` returns
the changes. A run is identified by its `key`, its directory relative to the output directory
("training/20261120_101500"); keys from a browser are looked up among these and never joined to a path unchecked.

Not guaranteed: a change within one clock tick of the file system that leaves both size and inode unchanged is noticed
only with the next change.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daf.dashboard._progress import Progress, progress_of
from daf.dashboard._signatures import Signature, signature
from daf.errors import UsageError
from daf.output_manager import RunInfo, labels
from daf.output_manager.kinds import Kind, kind_of
from daf.output_manager.layout import CHILD_FOLDERS, EXECUTION_LOG, OPERATIONS, SESSION_ID
from daf.output_manager.runs import read_run
from daf.reporting.outcomes import Outcome, outcome_of

ELSEWHERE = "elsewhere"
"""The first part of the keys of run directories that are not in the output directory."""


def is_run_key(key: str) -> bool:
    """Whether a run directory can have this name in an output directory."""
    first, _, second = key.partition("/")
    return (first in OPERATIONS and bool(SESSION_ID.fullmatch(second))) or (
        second in OPERATIONS and bool(SESSION_ID.fullmatch(first))
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the list shows it. outcome: empty while it runs."""

    key: str
    version: int
    run: RunInfo
    kind: Kind
    outcome: Outcome
    progress: Progress | None

    def to_data(self) -> dict[str, Any]:
        """As JSON data; without the size, which would require a look at every file."""
        run = self.run
        return {
            "key": self.key,
            "run_id": run.run_id,
            "kind": self.kind,
            "operation": run.operation,
            "result": {"text": self.outcome.text, "value": self.outcome.value},
            "status": run.status,
            "title": run.title,
            "name": run.labels.name,
            "tags": list(run.labels.tags),
            "note": run.labels.note,
            "started": run.started_at.timestamp(),
            "ended": None if run.ended_at is None else run.ended_at.timestamp(),
            "seconds": run.duration_seconds,
            "error": run.error,
            "command": run.command,
            "progress": None if self.progress is None else self.progress.to_data(),
        }


@dataclass(slots=True)
class _Seen:
    log: tuple[Signature, Signature | None]
    row: Row | None


class RunIndex:
    """The runs below `base`, and the run directories in `also`, wherever these are."""

    def __init__(self, base: Path, also: tuple[Path, ...] = ()) -> None:
        self.base = base
        self.version = 0
        self._also = {f"{ELSEWHERE}/{folder.name}": folder for folder in also}
        self._seen: dict[str, _Seen] = {}
        self._removed: dict[str, int] = {}
        self._lock = threading.Lock()

    def refresh(self) -> int:
        """Check again; returns the version after it."""
        with self._lock:
            version = self.version + 1
            changed = False
            found: dict[str, _Seen] = {}
            for key, folder in self._folders():
                log = signature(folder / EXECUTION_LOG, special=True)
                if log is None:
                    continue
                before = self._seen.get(key)
                written = (log, signature(folder / labels.FILE, special=True))
                found[key] = _looked_at(key, folder, written, version, before)
                changed = changed or found[key] is not before
            for key in self._seen.keys() - found.keys():
                self._removed[key] = version
                changed = True
            self._seen = found
            if changed:
                self.version = version
            return self.version

    def since(self, version: int) -> tuple[list[Row], list[str]]:
        """The rows that changed after `version` and the keys that have disappeared since; all rows if it is 0."""
        with self._lock:
            rows = [seen.row for seen in self._seen.values() if seen.row is not None and seen.row.version > version]
            gone = [key for key, at in self._removed.items() if at > version and key not in self._seen]
        return rows, gone

    def row(self, key: str) -> Row:
        """The run with this key. Raises `UsageError`."""
        with self._lock:
            seen = self._seen.get(key)
        if seen is None or seen.row is None:
            raise UsageError(f'no run "{key}".')
        return seen.row

    def folder(self, key: str) -> Path:
        """The directory of a run, or of a part of one ("sweeps/ID/trials/0003"). Raises `UsageError` for other keys."""
        head, part = self.split(key)
        folder = self.row(head).run.path
        if part is None:
            return folder
        for place in CHILD_FOLDERS:
            for child in children(folder / place):
                if f"{place}/{child.name}" == part:
                    return child
        raise UsageError(f'no run "{key}".')

    def split(self, key: str) -> tuple[str, str | None]:
        """A key split into the run's key and, for a part of a run, "trials/0003"."""
        parts = key.split("/")
        return ("/".join(parts[:2]), "/".join(parts[2:]) if len(parts) > 2 else None)

    def running(self) -> list[Row]:
        """The rows of runs in progress."""
        with self._lock:
            return [
                seen.row for seen in self._seen.values() if seen.row is not None and seen.row.run.status == "running"
            ]

    def _folders(self) -> Iterator[tuple[str, Path]]:
        for operation in OPERATIONS:
            for session in _sessions(self.base / operation):
                yield f"{operation}/{session}", self.base / operation / session
        for session in _sessions(self.base):
            for operation in OPERATIONS:
                folder = self.base / session / operation
                if folder.is_dir() and not folder.is_symlink():
                    yield f"{session}/{operation}", folder
        yield from self._also.items()


def children(folder: Path) -> list[Path]:
    """The run directories directly in `folder`, by name; links are left out."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."]
    except OSError:  # it may not exist
        return []
    return [folder / name for name in sorted(names)]


def run_in(folder: Path) -> RunInfo | None:
    """The run in a directory, with the status "damaged" if its log is; None if it is not a run directory of DAF."""
    return None if signature(folder / EXECUTION_LOG, special=True) is None else read_run(folder)


def _looked_at(
    key: str, folder: Path, log: tuple[Signature, Signature | None], version: int, before: _Seen | None
) -> _Seen:
    """The current state; `before` itself if nothing changed. A run in progress may have died silently."""
    if before is None or before.log != log:
        run = run_in(folder)
        return _Seen(log, None if run is None else _row(key, version, run))
    if before.row is None:
        return before
    known = before.row
    running = known.run.status == "running"
    run = run_in(folder) if running else known.run
    if run is None:
        return _Seen(log, None)
    if running:
        row = _row(key, version, run, known)
    else:
        row = replace(known, version=version, progress=progress_of(run, known.progress))
    same = (row.run, row.kind, row.progress) == (known.run, known.kind, known.progress)
    return before if same else _Seen(log, row)


def _row(key: str, version: int, run: RunInfo, known: Row | None = None) -> Row:
    kind = kind_of(run.path)
    outcome = Outcome() if run.status == "running" else outcome_of(run.path, kind)
    return Row(key, version, run, kind, outcome, progress_of(run, None if known is None else known.progress))


def _sessions(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if SESSION_ID.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:  # it may not exist, or may not be readable
        return []
