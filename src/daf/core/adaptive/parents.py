"""Checkpoints that runs branch from, kept from when that is decided until nobody needs them any more.

A parent goes on training and deletes its old checkpoints, or its child starts much later; so the child's beginning is a
copy in the experiment's folder, whole or not at all.
"""

import shutil
from pathlib import Path

from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.state import Experiment, Run
from daf.storage.atomic import explain, sync

FOLDER = "parents"


def place(folder: Path, parent: tuple[str, int]) -> Path:
    """Where the checkpoint of a run at so many steps is kept, in the experiment's folder."""
    return folder / FOLDER / f"{parent[0]}-{parent[1]}"


def keep(folder: Path, experiment: Experiment, parent: tuple[str, int]) -> None:
    """Copy the present checkpoint of the parent; nothing where it is there. Raises `AdaptiveControllerError`."""
    target, source = place(folder, parent), experiment.runs[parent[0]].checkpoint
    if target.exists() or source is None:
        return
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder / source, part)
        for path in (*part.rglob("*"), part):
            sync(path)
        part.rename(target)
        sync(target.parent)
    except OSError as error:
        raise AdaptiveControllerError(explain(error, f"copying the checkpoint {source}")) from error


def let_go(folder: Path, experiment: Experiment, child: Run) -> None:
    """Delete the beginning of a child that has checkpoints of its own, unless another child still needs it."""
    if child.parent is None:
        return
    others = [run for run in experiment.runs.values() if run.name != child.name and run.parent == child.parent]
    if all(run.steps > 0 or run.over for run in others):
        shutil.rmtree(place(folder, child.parent), ignore_errors=True)
