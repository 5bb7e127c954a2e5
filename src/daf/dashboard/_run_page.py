"""The contents of a run's page, as JSON data: read from the run's files, nothing recomputed.

What a kind of run does not have is None or empty. Lists without a bound (episodes, files) are cut and marked as such.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.dashboard._json_files import JsonFiles
from daf.dashboard._parts import Parts, parts_signature
from daf.dashboard._progress import folder_progress
from daf.dashboard._run_files import list_files
from daf.dashboard._settings_files import asked
from daf.dashboard._signatures import signature
from daf.dashboard.run_index import RunIndex, run_in
from daf.errors import DamagedFileError, StorageError
from daf.output_manager import execution as execution_log
from daf.output_manager.kinds import kind_of
from daf.output_manager.labels import Labels
from daf.output_manager.layout import CHILD_FOLDERS, EXECUTION_LOG, EXPERIMENT_CONFIG

LIVE_REPORTS = ("adaptive", "sweep", "pipeline")
"""Kinds of runs whose report is worth a look while they run."""
WATCHED = (
    "",
    EXECUTION_LOG,
    "training.json",
    "results.json",
    "result.json",
    "trials.jsonl",
    "experiment.jsonl",
    "labels.json",
    "replays",
    "visualizations",
    "checkpoints",
    *CHILD_FOLDERS,
)
"""The directory itself and the entries in it that change a run's page; curves and logs have separate streams."""
RESULTS = ("results.json", "result.json")
PARSED = ("training.json", "results.json", EXPERIMENT_CONFIG)
EXECUTION_FACTS = (
    "host", "pid", "working_directory", "platform", "git_commit", "versions", "details", "previous", "command",
)  # fmt: skip


def page_signature(folder: Path) -> tuple[object, ...]:
    """A value that changes when the run's page does."""
    return (*(signature(folder / name) for name in WATCHED), parts_signature(folder))


def run_page(index: RunIndex, files: JsonFiles, parts: Parts, key: str) -> dict[str, Any]:
    """The page of the run, or the part of a run, with this key. Raises `UsageError`."""
    folder = index.folder(key)
    head, part = index.split(key)
    row = index.row(head)
    own = row.run if part is None else run_in(folder)
    execution = _execution(folder)
    progress = folder_progress(folder)
    sweep = (folder / "trials.jsonl").is_file()
    listed, all_listed = list_files(folder, shallow=CHILD_FOLDERS)
    kind, labels = kind_of(folder), Labels() if own is None else own.labels
    training = files.read_object(folder / "training.json")
    status = (training or {}).get("status") if own is None else own.status
    return {
        "key": key,
        "parent": None if part is None else {"key": head, "title": row.run.title},
        "run_id": key.rpartition("/")[2] if own is None else own.run_id,
        "kind": kind,
        "operation": "training" if own is None else own.operation,
        "name": labels.name,
        "tags": list(labels.tags),
        "note": labels.note,
        "title": "" if own is None else own.title,
        "status": None if own is None else own.status,
        "started": None if own is None else own.started_at.timestamp(),
        "ended": None if own is None or own.ended_at is None else own.ended_at.timestamp(),
        "seconds": None if own is None else own.duration_seconds,
        "error": None if own is None else own.error,
        "path": str(folder),
        "execution": {name: execution.get(name) for name in EXECUTION_FACTS},
        "config": asked(folder, files),
        "progress": None if progress is None else progress.to_data(),
        "curves": (folder / "metrics.jsonl").is_file(),
        "training": training,
        "report": _has_report(folder, kind, running=status == "running"),
        "sweep": sweep,
        "parts": parts.of(key, folder),
        "files": [file.to_data() for file in listed],
        "all_files": all_listed,
        "unread": [name for name in PARSED if (folder / name).is_file() and files.read(folder / name) is None],
    }


def _execution(folder: Path) -> Mapping[str, Any]:
    """The execution log; empty if it is missing, or damaged, which the run's status and error show."""
    try:
        return execution_log.read(folder) or {}
    except (DamagedFileError, StorageError):
        return {}


def _has_report(folder: Path, kind: str, *, running: bool) -> bool:
    """Whether `daf report` has something to say about the run."""
    if running:
        return kind in LIVE_REPORTS
    return kind != "run" or any((folder / name).is_file() for name in RESULTS)
