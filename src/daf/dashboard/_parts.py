"""The runs inside a run (a sweep's trials, an experiment's runs), each reread only when its files change."""

import threading
from pathlib import Path
from typing import Any

from daf.core.training_file import read_training
from daf.dashboard._progress import folder_progress
from daf.dashboard._signatures import Signature, signature
from daf.dashboard.run_index import children, run_in
from daf.errors import DamagedFileError, StorageError
from daf.output_manager.layout import CHILD_FOLDERS, EXECUTION_LOG

Signatures = tuple[Signature | None, ...]

SOURCES = ("metrics.jsonl", "training.json", EXECUTION_LOG)


class Parts:
    """A cache of the known parts of runs, by directory."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Signatures, dict[str, Any] | None]] = {}
        self._lock = threading.Lock()

    def of(self, key: str, folder: Path) -> list[dict[str, Any]]:
        """The parts of the run with this key, by name, as JSON data."""
        found = []
        for place, child in _places(folder):
            part = self._part(child)
            if part is not None:
                name = f"{place}/{child.name}"
                found.append({"key": f"{key}/{name}", "name": name, **part})
        return found

    def _part(self, folder: Path) -> dict[str, Any] | None:
        now = _signatures(folder)
        with self._lock:
            known = self._kept.get(folder)
        if known is not None and known[0] == now and (known[1] is None or known[1]["status"] != "running"):
            return known[1]
        part = _read(folder)
        with self._lock:
            self._kept[folder] = (now, part)
        return part


def parts_signature(folder: Path) -> tuple[Signatures, ...]:
    """A value that changes when one of the run's parts does."""
    return tuple(_signatures(child) for _, child in _places(folder))


def _places(folder: Path) -> list[tuple[str, Path]]:
    return [(place, child) for place in CHILD_FOLDERS for child in children(folder / place)]


def _signatures(folder: Path) -> Signatures:
    return tuple(signature(folder / name) for name in SOURCES)


def _read(folder: Path) -> dict[str, Any] | None:
    progress, run, status = folder_progress(folder), run_in(folder), _status(folder)
    if progress is None and run is None and status is None:
        return None
    if run is not None and (status is None or run.status == "running"):
        status = run.status
    return {"status": status, "progress": None if progress is None else progress.to_data()}


def _status(folder: Path) -> str | None:
    try:
        return (read_training(folder) or {}).get("status")
    except (DamagedFileError, StorageError):
        return "damaged"
