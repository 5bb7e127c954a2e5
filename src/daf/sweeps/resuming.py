"""Finding the sweep that a configuration continues.

Two configurations belong to the same sweep if their trials are the same. They may differ in the number of trials and in
what happens afterwards. If the code of the policy changes, it is another sweep.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from daf.config.sweep import DAFSweepConfig
from daf.errors import DamagedFileError, StorageError, UsageError
from daf.output_manager.runs import RunInfo, find_run, list_runs
from daf.storage.atomic import write_json
from daf.storage.hashing import hash_json
from daf.sweeps.preparing import Prepared
from daf.sweeps.reading import CONFIG, RESULT, read_facts

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)

FREE = (
    "num_trials",
    "description",
    "max_retries",
    "trial_timeout",
    "checkpoint_best_n",
    "train_seeds",
    "race",
    "significance_level",
)
"""Fields that may change when a sweep resumes; so may those of the held-out episodes."""
NO_EFFECT = ("eval_baselines",)
"""Settings of training that do not change a trial's result."""
START_LOCK = ".sweeps.lock"
"""Lock in the output directory, held while a sweep is looked up and started, so that none is started twice."""


def fingerprint(prepared: Prepared) -> str:
    """Equal for sweeps with the same trials: covers configuration, policy (code, weights), missions, simulator."""
    data = prepared.config.to_data()
    held_out = [name for name in data if name.startswith("held_out_")]
    kept = {name: value for name, value in data.items() if name not in (*FREE, *held_out)}
    if kept["constraints"] is None:  # earlier versions did not have it
        del kept["constraints"]
    if kept["training"] is not None:
        kept["training"] = {name: value for name, value in kept["training"].items() if name not in NO_EFFECT}
    return hash_json({"config": kept, "identity": list(prepared.identity)})


def config_of_run(run_dir: Path) -> DAFSweepConfig:
    """The configuration of the sweep in a run directory. Raises `DataError`, `ConfigError`."""
    return DAFSweepConfig(**read_facts(run_dir)["config"])


def same_sweep(identity: str, output: "OutputManager") -> RunInfo | None:
    """The newest run of the same sweep."""
    for run in list_runs(output.base_dir, "sweeps"):
        try:
            if (run.path / CONFIG).exists() and read_facts(run.path).get("fingerprint") == identity:
                return run
        except (DamagedFileError, StorageError) as error:  # damage in that sweep must not affect this one
            logger.warning("%s This sweep is skipped.", error)
    return None


def named_sweep(run: str, output: "OutputManager", identity: str) -> RunInfo:
    found = find_run(run, output.base_dir, "sweeps")
    if read_facts(found.path).get("fingerprint") != identity:
        raise UsageError(
            f"{found.path} can't be resumed: its configuration, its missions, or the code or weights of its policy "
            "have changed. `daf sweep run` starts a new sweep."
        )
    return found


def is_done(run_dir: Path, prepared: Prepared) -> bool:
    """Whether a sweep that ended is complete."""
    facts, config = read_facts(run_dir), prepared.config
    before = DAFSweepConfig(**facts["config"])
    names = [*FREE, *(name for name in DAFSweepConfig.model_fields if name.startswith("held_out_"))]
    same = all(getattr(before, name) == getattr(config, name) for name in names if name != "num_trials")
    return facts["planned"] == prepared.total and same and (run_dir / RESULT).is_file()


def write_facts(run_dir: Path, run_id: str, prepared: Prepared, identity: str) -> None:
    config = prepared.config
    write_json(
        run_dir / CONFIG,
        {
            "format": "daf-sweep-config-1",
            "run_id": run_id,
            "fingerprint": identity,
            "name": config.name,
            "strategy": config.strategy,
            "objectives": [objective.name for objective in prepared.objectives],
            "directions": prepared.directions,
            "planned": prepared.total,
            "best_n": config.checkpoint_best_n,
            "places": {name: f"{target.place}.{target.name}" for name, target in prepared.targets.items()},
            "config": config.model_dump(mode="json", exclude_unset=True),
        },
    )
