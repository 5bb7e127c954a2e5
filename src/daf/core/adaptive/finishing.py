"""What an experiment leaves when its controller ends: `result.json`, and the best run's policy as its own."""

import shutil
from pathlib import Path

from daf.core.adaptive import _parents as parents
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.status import ExperimentStatus
from daf.storage.atomic import explain, write_json
from daf.storage.jsonable import jsonable


def write(status: ExperimentStatus) -> None:
    """Write the result; what scored best of a done experiment becomes `checkpoints/final`, which `run:ID` plays."""
    write_json(status.run_dir / "result.json", jsonable(status.to_data()))
    best = status.experiment.best
    scored = None if best is None else parents.scored(status.run_dir, best)
    if status.status == "done" and scored is not None:
        try:
            _copy(scored, status.run_dir / "checkpoints" / "final")
        except OSError as error:
            raise AdaptiveControllerError(explain(error, f"copying the best checkpoint {scored}")) from error


def _copy(source: Path, target: Path) -> None:
    """A copy that appears whole."""
    part = target.with_name(".final.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
