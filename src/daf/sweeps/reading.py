"""Read a sweep from its run directory: while it runs, after it ended, or after its process died.

The trials come from the journal, so the result is authoritative even if `result.json` was never written. The held-out
record is included as long as its trials are still the best ones.
"""

from pathlib import Path
from typing import Any, TypedDict

from daf.config.sweep import DAFSweepConfig
from daf.errors import DamagedFileError, DataError
from daf.output_manager.runs import read_run
from daf.storage.reading import read_object
from daf.sweeps import journal
from daf.sweeps._scale_names import scaled_name
from daf.sweeps.files import ResultFile, SweepFacts
from daf.sweeps.trial_result import SweepTrialResult, best_configurations

CONFIG = "sweep.json"
RESULT = "result.json"


class StoredSweep(TypedDict):
    """The fields of a `SweepResult`."""

    name: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    strategy: str
    trials: list[SweepTrialResult]
    status: str
    run_id: str | None
    run_dir: Path | None
    planned: int | None
    held_out: dict[str, Any] | None
    notes: list[str]
    best_n: int


def stored_run(folder: Path) -> StoredSweep:
    """The sweep in a run directory. Raises `DataError` if it holds none, `StorageError`."""
    facts = read_facts(folder)
    history = journal.read(folder)
    trials = history.trials()
    config = facts.get("config", {})
    normalise, missions = config.get("normalise", "auto"), len(config.get("missions", ()))
    most = config.get("held_out_best", DAFSweepConfig.model_fields["held_out_best"].default)
    best = [trial.trial_id for trial in best_configurations(trials, facts["directions"][0], most)]
    held_out = history.held_out
    if held_out is not None and held_out.get("asked") is not None and held_out["asked"][0] != best:
        held_out = None  # of trials that are no longer the best
    written = _result(folder / RESULT) if (folder / RESULT).is_file() else None
    if written is not None and len(written["trials"]) == len(trials):
        status = written["status"]
    else:
        run = read_run(folder)
        status = "interrupted" if run is not None and run.status != "running" else "running"
    return StoredSweep(
        name=facts["name"],
        objectives=tuple(scaled_name(name, normalise, missions) for name in facts["objectives"]),
        directions=tuple(facts["directions"]),
        strategy=facts["strategy"],
        trials=trials,
        status=status,
        run_id=facts["run_id"],
        run_dir=folder,
        planned=facts["planned"],
        held_out=held_out,
        notes=[] if written is None else list(written["notes"]),
        best_n=facts["best_n"],
    )


def stored_result(path: Path) -> StoredSweep:
    """The sweep that `SweepResult.save_json` wrote. Raises `DataError`, `StorageError`."""
    data = _result(path)
    return StoredSweep(
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
        raise DataError(f"{run_dir} is not a sweep: it has no {CONFIG}. `daf runs` lists all runs.")
    if len(facts["directions"]) != len(facts["objectives"]):
        raise DamagedFileError(run_dir / CONFIG, "its numbers of objectives and directions differ")
    return facts


def _result(path: Path) -> ResultFile:
    data = read_object(path, ResultFile)
    if data is None:
        raise DataError(f"{path}: no such sweep result.")
    return data
