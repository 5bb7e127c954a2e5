"""Read a sweep from its run directory: while it runs, after it ended, or after its process died.

The trials come from the journal, so the result is authoritative even if `result.json` was never written. The held-out
record is included as long as its trials are still the best ones.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.config.sweep import DAFSweepConfig
from daf.errors import DamagedFileError, DataError
from daf.output_manager.runs import read_run as read_run_info
from daf.storage.reading import read_object
from daf.sweeps import journal
from daf.sweeps._scale_words import told
from daf.sweeps.files import ResultFile, SweepFacts
from daf.sweeps.keeping import candidates
from daf.sweeps.result import SweepResult, SweepTrialResult

CONFIG = "sweep.json"
RESULT = "result.json"


def read_run(run_dir: str | Path) -> SweepResult:
    """The sweep in a run directory. Raises `DataError` if it holds none, `StorageError`."""
    folder = Path(run_dir)
    facts = read_facts(folder)
    history = journal.read(folder)
    config = facts.get("config", {})
    normalise, missions = config.get("normalise", "auto"), len(config.get("missions", ()))
    result = SweepResult(
        name=facts["name"],
        objectives=tuple(told(name, normalise, missions) for name in facts["objectives"]),
        directions=tuple(facts["directions"]),
        strategy=facts["strategy"],
        trials=history.trials(),
        run_id=facts["run_id"],
        run_dir=folder,
        planned=facts["planned"],
        best_n=facts["best_n"],
    )
    most = config.get("held_out_best", DAFSweepConfig.model_fields["held_out_best"].default)
    if history.held_out is not None and _holds(history.held_out, result, most):
        result.held_out = history.held_out
    ended = folder / RESULT
    if ended.is_file():
        written = _result(ended)
        result.notes = list(written["notes"])
        if len(written["trials"]) == len(result.trials):
            return result.finalize(written["status"])
    run = read_run_info(folder)
    return result.finalize("interrupted" if run is not None and run.status != "running" else "running")


def read_result(path: str | Path) -> SweepResult:
    """The sweep that `SweepResult.save_json` wrote. Raises `DataError`, `StorageError`."""
    data = _result(Path(path))
    return SweepResult(
        name=data["name"],
        objectives=tuple(data["objectives"]),
        directions=tuple(data["directions"]),
        strategy=data["strategy"],
        trials=[SweepTrialResult.from_data(trial) for trial in data["trials"]],
        status=data["status"],
        run_id=data["run_id"],
        run_dir=None if data["run_dir"] is None else Path(data["run_dir"]),
        planned=data["planned"],
        held_out=None if data["held_out"] is None else {**data["held_out"]},
        notes=list(data["notes"]),
        best_n=data["best_n"],
    )


def read_facts(run_dir: Path) -> SweepFacts:
    """`sweep.json`: the definition of the sweep. Raises `DataError` if the directory has none, `DamagedFileError`."""
    facts = read_object(run_dir / CONFIG, SweepFacts)
    if facts is None:
        raise DataError(f"{run_dir} is no sweep: it has no {CONFIG}. `daf runs` lists what there is.")
    if len(facts["directions"]) != len(facts["objectives"]):
        raise DamagedFileError(run_dir / CONFIG, "it has not one direction for each objective")
    return facts


def _result(path: Path) -> ResultFile:
    data = read_object(path, ResultFile)
    if data is None:
        raise DataError(f"there is no result of a sweep at {path}.")
    return data


def _holds(record: Mapping[str, Any], result: SweepResult, most: int) -> bool:
    """Whether the trials that were played on held-out seeds are still the best of all that have ended."""
    asked = record.get("asked")
    return asked is None or asked[0] == [trial.trial_id for trial in candidates(result, most)]
