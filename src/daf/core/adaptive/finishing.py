"""The results of an experiment when its controller ends: `result.json`, and a copy of the best run's policy."""

import shutil

from daf.core.adaptive import _parents as parents
from daf.core.adaptive.status import ExperimentStatus
from daf.storage.atomic import write_json, writing_folder
from daf.storage.jsonable import jsonable


def write(status: ExperimentStatus) -> None:
    """Write the result; what scored best of a done experiment becomes `checkpoints/final`, which `run:ID` plays.

    Raises `StorageError`.
    """
    write_json(status.run_dir / "result.json", jsonable(status.to_data()))
    best = status.experiment.best
    scored = None if best is None else parents.scored(status.run_dir, best)
    if status.status == "done" and scored is not None:
        final = status.run_dir / "checkpoints" / "final"
        with writing_folder(final, doing=f"copying the best checkpoint {scored}") as unfinished:
            shutil.copytree(scored, unfinished)
