"""Results of stages, kept under their keys so that an unchanged stage is not run again.

OUTPUT/cache/stages/KEY.json is written when a stage is done. It counts as long as its run directory and the files
among its outputs are there and unchanged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from daf.config.stage import DAFStageConfig
from daf.errors import ConfigError, DamagedFileError, DataError, StorageError
from daf.orchestrators._references import Reference
from daf.output_manager.kinds import read_json
from daf.storage import atomic
from daf.storage.hashing import hash_file
from daf.storage.jsonable import jsonable
from daf.storage.reading import read_object

_MOST_BYTES = 512 * 2**20


class StageResult(TypedDict):
    """What a stage left. result: the object that its command printed. files: hashes of the outputs that are files."""

    key: str
    use: str
    run_dir: str | None
    outputs: dict[str, Any]
    files: dict[str, str]
    result: dict[str, Any]
    seconds: float


def stored(base: Path, key: str) -> StageResult | None:
    """The result under `key`, if it still counts; a damaged file counts as absent, because the stage can run again."""
    try:
        found = read_object(_place(base, key), StageResult, limit=_MOST_BYTES)
        if found is None or (found["run_dir"] is not None and not Path(found["run_dir"]).is_dir()):
            return None
        unchanged = all(Path(path).is_file() and hash_file(path) == known for path, known in found["files"].items())
    except (DamagedFileError, StorageError):
        return None
    return found if unchanged else None


def store(base: Path, result: StageResult) -> None:
    """Keep a result. Raises `StorageError`."""
    atomic.write_json(_place(base, result["key"]), jsonable(dict(result)))


def result_of(stage: DAFStageConfig, key: str, printed: Mapping[str, Any], stdout: Path, seconds: float) -> StageResult:
    """The result of a stage that ended well. Raises `DataError` if its run lacks an output."""
    run_dir = printed.get("run_dir")
    place = None if run_dir is None else Path(str(run_dir))
    outputs: dict[str, Any] = {"run_id": printed.get("run_id"), "run_dir": run_dir, "report": _report(printed, place)}
    match stage.use:
        case "train" | "clone":
            outputs |= {"policy": run_dir, "checkpoint": printed.get("final_checkpoint")}
        case "sweep" if place is not None:
            outputs |= _best_of_sweep(place)
        case "evaluate" | "compare" if place is not None:
            outputs["best"] = _best_of_evaluation(place, printed)
        case "package":
            outputs["bundle"] = printed["package"]["path"]
        case "deploy":
            outputs["release"] = _release(printed)
        case "command":
            outputs["stdout"] = str(stdout)
    files = {
        str(value): hash_file(value)
        for name, value in outputs.items()
        if name in ("bundle", "stdout") and value is not None and Path(str(value)).is_file()
    }
    return {
        "key": key,
        "use": stage.use,
        "run_dir": None if run_dir is None else str(run_dir),
        "outputs": outputs,
        "files": files,
        "result": dict(printed),
        "seconds": seconds,
    }


def output_of(reference: Reference, result: StageResult) -> Any:
    """The value that a reference names. Raises `ConfigError` if the stage has no such result."""
    if reference.output in result["outputs"]:
        found = result["outputs"][reference.output]
        if found is None:
            raise ConfigError(f"{reference}: the stage {reference.stage} has no {reference.output}.")
        return found
    value: Any = result["result"]
    for part in reference.output.split(".")[1:]:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            known = ", ".join(map(str, value)) if isinstance(value, Mapping) else "nothing below it"
            raise ConfigError(
                f'{reference}: the result of {reference.stage} has no "{part}" there; it has {known:.300}.'
            )
    return value


def _place(base: Path, key: str) -> Path:
    return base / "cache" / "stages" / f"{key}.json"


def _report(printed: Mapping[str, Any], place: Path | None) -> str | None:
    named = printed.get("report")
    if isinstance(named, str):
        return named
    return (
        next((str(place / name) for name in ("report.html", "sweep.html") if (place / name).is_file()), None)
        if place
        else None
    )


def _best_of_sweep(folder: Path) -> dict[str, Any]:
    from daf.sweeps.library import daf_sweep_best_config
    from daf.sweeps.result import SweepResult

    sweep = SweepResult.load(folder)
    best = daf_sweep_best_config(sweep)
    trial = next(trial for trial in sweep.trials if trial.trial_id == best.trial)
    return {"best": trial.policy, "hyperparameters": dict(best)}


def _best_of_evaluation(folder: Path, printed: Mapping[str, Any]) -> str:
    """The policy string of the first in the ranking: as it was given, or by its class. Raises `DataError`."""
    first = printed["ranking"][0]["policy"]
    plan = read_json(folder / "plan.json") or {}
    given = (read_json(folder / "experiment_config.json") or {}).get("policies", [])
    contenders = plan.get("contenders", [])
    index = next((place for place, one in enumerate(contenders) if one["name"] == first), None)
    if index is None or len(contenders[index]["policies"]) != 1:
        raise DataError(f"{first} leads {folder}, and is not a single policy that other stages can use.")
    if len(given) == len(contenders):
        return str(given[index])
    policy = plan["policies"][contenders[index]["policies"][0]]
    parts = [f"class={policy['class_path']}"]
    parts += [f"data={policy['data_path']}"] if policy["data_path"] else []
    return ",".join([*parts, *(f"kw.{name}={value}" for name, value in policy["kwargs"].items())])


def _release(printed: Mapping[str, Any]) -> str:
    deployment = printed["deployment"]
    return f"release:{deployment['policy_name']}@{deployment['version']}"
