"""Checkpoints that runs branch from and that were scored, kept until nobody needs them any more.

A parent goes on training and deletes its old checkpoints, or its child starts much later; so the child's beginning is a
copy in the experiment's folder, whole or not at all. So is what a run was scored by, from when it trains on until it is
scored again: where it fails before, that score is its last, and its policy can still be played.
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
    """Where the checkpoint of a run at so many steps is kept, in the experiment's folder."""
    return folder / FOLDER / f"{parent[0]}-{parent[1]}"


def keep(folder: Path, experiment: Experiment, parent: tuple[str, int]) -> None:
    """Copy the present checkpoint of the parent; nothing where it is there. Raises `StorageError`."""
    source = experiment.runs[parent[0]].checkpoint
    if source is not None:
        _copy(folder, source, place(folder, parent))


def keep_scored(folder: Path, run: Run) -> None:
    """Copy the checkpoint of a run's last score; nothing where it is there. Raises `StorageError`."""
    if run.score is not None and run.score.checkpoint is not None:
        _copy(folder, run.score.checkpoint, folder / SCORED / f"{run.name}-{run.score.steps}")


def scored(folder: Path, run: Run) -> Path | None:
    """The checkpoint of a run's last score: the copy, else where it was trained; None where it has no score."""
    if run.score is None or run.score.checkpoint is None:
        return None
    copy = folder / SCORED / f"{run.name}-{run.score.steps}"
    return copy if copy.exists() else folder / run.score.checkpoint


def let_go_scored(folder: Path, run: Run) -> None:
    """Delete the copies of a run that has been scored again."""
    for copy in (folder / SCORED).glob(f"{run.name}-*"):
        _remove(copy)


def let_go(folder: Path, experiment: Experiment, child: Run) -> None:
    """Delete the beginning of a child that has checkpoints of its own, unless another child still needs it."""
    if child.parent is None:
        return
    others = [run for run in experiment.runs.values() if run.name != child.name and run.parent == child.parent]
    if all(run.steps > 0 or run.over for run in others):
        _remove(place(folder, child.parent))


def _copy(folder: Path, source: str, target: Path) -> None:
    """A whole copy of the checkpoint `source`, given from the experiment's folder; nothing where it is there."""
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
