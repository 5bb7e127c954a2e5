"""What a run's page shows, as JSON data: what the run's own files say, nothing worked out anew.

What a kind of run does not have is None or empty. Lists that could be endless (episodes, files) are cut, and say so.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.dashboard.json_files import JsonFiles
from daf.dashboard.progress import folder_progress
from daf.dashboard.run_files import list_files
from daf.dashboard.run_index import CHILD_FOLDERS, RunIndex, children
from daf.dashboard.signatures import Signature, signature
from daf.output_manager.layout import EXECUTION_LOG, EXPERIMENT_CONFIG
from daf.output_manager.runs import read_run

MOST_EPISODES = 5000
WATCHED = (
    "",
    EXECUTION_LOG,
    "training.json",
    "results.json",
    "result.json",
    "trials.jsonl",
    "replays",
    "visualizations",
    "checkpoints",
    *CHILD_FOLDERS,
)
"""The folder itself, and the files and folders in it with which a run's page changes; curves and logs have streams of their own."""
EXECUTION_FACTS = (
    "host", "pid", "working_directory", "platform", "git_commit", "versions", "details", "previous", "command",
)  # fmt: skip


def page_signature(folder: Path) -> tuple[Signature | None, ...]:
    """Changes when the run's page does."""
    return tuple(signature(folder / name) for name in WATCHED)


def run_page(index: RunIndex, files: JsonFiles, key: str) -> dict[str, Any]:
    """The page of the run, or the part of a run, with this key. Raises `UsageError`."""
    folder = index.folder(key)
    head, part = index.split(key)
    row = index.row(head)
    own = read_run(folder) if part is not None else row.run
    execution = files.read_object(folder / EXECUTION_LOG) or {}
    progress = folder_progress(folder)
    listed, all_listed = list_files(folder, without=CHILD_FOLDERS)
    return {
        "key": key,
        "parent": None if part is None else {"key": head, "title": row.run.title},
        "run_id": key.rpartition("/")[2] if own is None else own.run_id,
        "operation": "training" if own is None else own.operation,
        "title": "" if own is None else own.title,
        "status": None if own is None else own.status,
        "started": None if own is None else own.started_at.timestamp(),
        "ended": None if own is None or own.ended_at is None else own.ended_at.timestamp(),
        "seconds": None if own is None else own.duration_seconds,
        "error": None if own is None else own.error,
        "path": str(folder),
        "execution": {name: execution.get(name) for name in EXECUTION_FACTS},
        "config": files.read(folder / EXPERIMENT_CONFIG),
        "progress": None if progress is None else progress.to_data(),
        "curves": (folder / "metrics.jsonl").is_file(),
        "training": files.read_object(folder / "training.json"),
        "results": _results(files.read_object(folder / "results.json")),
        "sweep": (folder / "trials.jsonl").is_file(),
        "parts": _parts(key, folder, files),
        "files": [file.to_data() for file in listed],
        "all_files": all_listed,
    }


def _results(results: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if results is None:
        return None
    episodes = results.get("episodes")
    if not isinstance(episodes, list):
        return {**results, "episode_count": None}
    failed = [episode for episode in episodes if episode.get("status") != "ok"]
    fine = [episode for episode in episodes if episode.get("status") == "ok"]
    return {**results, "episodes": (failed + fine)[:MOST_EPISODES], "episode_count": len(episodes)}


def _parts(key: str, folder: Path, files: JsonFiles) -> list[dict[str, Any]]:
    found = []
    for place in CHILD_FOLDERS:
        for child in children(folder / place):
            progress = folder_progress(child)
            training = files.read_object(child / "training.json")
            run = read_run(child)
            if progress is None and training is None and run is None:
                continue
            status = training.get("status") if training is not None else None if run is None else run.status
            found.append(
                {
                    "key": f"{key}/{place}/{child.name}",
                    "name": f"{place}/{child.name}",
                    "status": status,
                    "progress": None if progress is None else progress.to_data(),
                }
            )
    return found
