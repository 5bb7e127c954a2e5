"""Detection of the kind of a run from its files, and lookup of the run that a name or path refers to."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from daf.errors import DamagedFileError, StorageError, UsageError
from daf.output_manager.layout import EXECUTION_LOG
from daf.output_manager.runs import RunInfo, find_run, has_file, read_run
from daf.storage import remote
from daf.storage.reading import read_json as storage_json

Kind = Literal[
    "evaluation", "comparison", "score", "crossplay", "ablation", "benchmark", "analysis", "metrics", "power",
    "gate", "training", "adaptive", "sweep", "variants", "pipeline", "logs", "replays", "tests",
    "submission", "run",
]  # fmt: skip
RANKED: tuple[Kind, ...] = ("evaluation", "comparison", "metrics", "power")
"""The kinds whose results rank policies on the episodes that all of them played."""
PICTURES = ("*.json.z", "*.gif", "*.png", "*.mp4", "*-frames", "[!.r]*.html")
PIPELINE_FILES = ("pipeline.json", "experiment.json", "result.json", "results.json")
PIPELINE_LISTS = ("stages", "jobs", "steps")
TRAINING = ("training.json", "metrics.jsonl")
_FILES: tuple[tuple[str, Kind], ...] = (
    ("sweep.json", "sweep"),
    ("variants.json", "variants"),
    ("experiment.jsonl", "adaptive"),
    ("ablation.json", "ablation"),
    ("benchmark.json", "benchmark"),
    ("analysis.json", "analysis"),
    ("metrics.json", "metrics"),
    ("power.json", "power"),
    ("tests.json", "tests"),
    ("submission.jsonl", "submission"),
)


def kind_of(folder: Path) -> Kind:
    """The kind of the run in `folder`; "run" if no specialised page exists for it."""
    for name, kind in _FILES:
        if (folder / name).is_file():
            return kind
    results = read_json(folder / "results.json") or {}
    if "vor" in results and "candidate" in results:
        return "score"
    if "matrix" in results and "mixes" in results:
        return "crossplay"
    if isinstance(results.get("gate"), dict) and "rows" in results["gate"]:
        return "gate"
    if "ranking" in results and "settings" in results:
        operation = (read_json(folder / EXECUTION_LOG) or {}).get("operation")
        return "comparison" if operation == "comparisons" else "evaluation"
    if any((folder / name).is_file() for name in TRAINING):
        return "training"
    if pipeline_of(folder) is not None:
        return "pipeline"
    if (folder / "json_logs").is_dir() or any(has_file(folder, name) for name in ("json_logs/*", "*_summary.json")):
        return "logs"
    if any(has_file(folder, name) for name in ("replays/*.json.*", *PICTURES)):
        return "replays"
    return "run"


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None if there is no file or it holds none."""
    try:
        return storage_json(path, dict[str, Any])
    except (DamagedFileError, StorageError):
        return None


def pipeline_of(folder: Path) -> dict[str, object] | None:
    """The record of a pipeline; None if there is none."""
    for name in PIPELINE_FILES:
        data = read_json(folder / name)
        if data is not None and (
            any(isinstance(data.get(key), list) for key in PIPELINE_LISTS) or "stages_completed" in data
        ):
            return data
    return None


def run_of(run: str | Path, base_dir: str | Path | None = None) -> RunInfo:
    """The run that `run` refers to: as in `find_run`, or a directory with results but without a run's metadata files.

    Raises `UsageError`.
    """
    if isinstance(run, RunInfo):
        return run
    if remote.url_in(run) is not None:
        run = remote.here(run)
    path = Path(run).expanduser()
    if path.is_dir() and (isinstance(run, Path) or os.sep in str(run) or not _looks_like_id(str(run))):
        found = read_run(path)
        if found is not None:
            return found
        if kind_of(path) == "run":
            raise UsageError(
                f"{path} is not a run directory: it has neither execution_log.json nor results for a report."
            )
        return _undescribed(path)
    return find_run(str(run), base_dir)


def _looks_like_id(text: str) -> bool:
    return text == "latest" or text[:8].isdecimal()


def _undescribed(path: Path) -> RunInfo:
    """A directory of results without an execution log, such as a trial of a sweep or logs from elsewhere."""
    changed = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    return RunInfo(
        run_id=path.name,
        operation=path.parent.name or "folder",
        path=path,
        status="saved",
        title=path.name,
        started_at=changed,
        ended_at=None,
        duration_seconds=None,
        error=None,
        command="",
    )
