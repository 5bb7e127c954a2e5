"""Checkpoints that runs branch from and that were scored, kept until no run needs them.

A parent trains on and deletes its old checkpoints, or its child starts much later; so the child's starting checkpoint
is copied to the experiment's directory, completely or not at all. A run's scored checkpoint is copied too, from when
the run trains on until it is scored again: if it fails before that, the score stays its last, and its policy can still
be played.
"""

import logging
import shutil
from pathlib import Path

from daf.core.adaptive.state import Experiment, Run
from daf.errors import StorageError
from daf.storage.atomic import remove, writing_folder

logger = logging.getLogger(__name__)

FOLDER, SCORED = "parents", "scored"


def place(folder: Path, parent: tuple[str, int]) -> Path:
    """The path, in the experiment's directory, for the checkpoint of a (run, steps) pair."""
    return folder / FOLDER / f"{parent[0]}-{parent[1]}"


def keep(folder: Path, experiment: Experiment, parent: tuple[str, int]) -> None:
    """Copy the current checkpoint of the parent, unless the copy exists. Raises `StorageError`."""
    source = experiment.runs[parent[0]].checkpoint
    if source is not None:
        _copy(folder, source, place(folder, parent))


def keep_scored(folder: Path, run: Run) -> None:
    """Copy the checkpoint of a run's last score, unless the copy exists. Raises `StorageError`."""
    if run.score is not None and run.score.checkpoint is not None:
        _copy(folder, run.score.checkpoint, folder / SCORED / f"{run.name}-{run.score.steps}")


def scored(folder: Path, run: Run) -> Path | None:
    """The checkpoint of a run's last score: the copy, else the original; None if the run has no score."""
    if run.score is None or run.score.checkpoint is None:
        return None
    copy = folder / SCORED / f"{run.name}-{run.score.steps}"
    return copy if copy.exists() else folder / run.score.checkpoint


def delete_scored(folder: Path, run: Run) -> None:
    """Delete the copies of a run that has been scored again."""
    for copy in (folder / SCORED).glob(f"{run.name}-*"):
        _remove(copy)


def delete_parent(folder: Path, experiment: Experiment, child: Run) -> None:
    """Delete the starting checkpoint of a child that has saved checkpoints, unless another child still needs it."""
    if child.parent is None:
        return
    others = [run for run in experiment.runs.values() if run.name != child.name and run.parent == child.parent]
    if all(run.steps > 0 or run.over for run in others):
        _remove(place(folder, child.parent))


def _copy(folder: Path, source: str, target: Path) -> None:
    """Copy the checkpoint `source`, relative to the experiment's directory, completely; does nothing if it exists."""
    if target.exists():
        return
    with writing_folder(target, doing=f"copying the checkpoint {source}") as unfinished:
        shutil.copytree(folder / source, unfinished)


def _remove(copy: Path) -> None:
    """Delete a copy; one that can't be deleted stays whole, which harms nothing."""
    try:
        remove(copy)
    except StorageError as error:
        logger.warning("%s", error)
