"""A run's plan and records in its folder, and back: what tables and reports are rebuilt from.

    plan.json      missions, contenders, and every episode with its place, its key, and its failure where it has one
    records/       the records of the others
    missions/      the missions' configs, by hash

A `RunResult` that is read back equals the one that was written, but for records that were not kept.
"""

import json
import re
from pathlib import Path
from typing import Any

from daf.episodes import record as records
from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.plan import Contender, Plan, PlannedEpisode
from daf.episodes.record import EpisodeFailure, EpisodeRecord
from daf.episodes.run import RunResult
from daf.episodes.spec import EpisodeSpec
from daf.errors import DamagedFileError, DataError, StorageError
from daf.game.missions import Mission, load_config
from daf.game.policy import Policy
from daf.storage.atomic import explain, write_json
from daf.storage.jsonable import jsonable

PLAN = "plan.json"
_HASH = re.compile(r"[0-9a-f]+")


def write_result(run_dir: Path, result: RunResult, cache: EpisodeCache, *, keep_records: bool = True) -> None:
    """Write `plan.json`, and link or write the records and the missions' configs beside it."""
    for record in result.records if keep_records else ():
        if record.ok:
            cache.link(record, run_dir / "records")
    for mission in result.plan.missions:
        link_or_copy(cache.put_config(mission), run_dir / "missions" / f"{mission.config_hash}.json")
    policies: dict[str, Policy] = {}
    for contender in result.plan.contenders:
        policies |= {f"{policy.name}@{policy.identity}": policy for policy in contender.policies}
    numbers = {name: number for number, name in enumerate(policies)}

    def numbered(players: tuple[Policy, ...]) -> list[int]:
        return [numbers[f"{policy.name}@{policy.identity}"] for policy in players]

    data = {
        "seed": result.plan.seed,
        "stopped": result.stopped,
        "missions": [
            {"name": m.name, "game": m.game, "config_hash": m.config_hash, "also": list(m.also)}
            for m in result.plan.missions
        ],
        "policies": [_policy_data(policy) for policy in policies.values()],
        "contenders": [
            {"name": c.name, "policies": numbered(c.policies), "counts": list(c.counts)} for c in result.plan.contenders
        ],
        "episodes": [
            {
                "index": planned.index,
                "contender": planned.contender,
                "mission": record.spec.mission,
                "config_hash": record.spec.config_hash,
                "policies": numbered(record.spec.policies),
                "assignment": list(record.spec.assignment),
                "seed": record.spec.seed,
                "max_steps": record.spec.max_steps,
                "device": record.spec.device,
                "threads": record.spec.threads,
                "batched": record.spec.batched,
                "key": record.spec.key,
                "cached": record.cached,
                "replay_hash": record.replay_hash,
                "failure": _failure_data(record.failure),
            }
            for planned, record in zip(result.planned, result.records, strict=True)
        ],
    }
    write_json(run_dir / PLAN, jsonable(data), indent=None)


def read_result(run_dir: Path) -> RunResult:
    """The `RunResult` in a run folder. Raises `DataError` where records were not kept, `StorageError`."""
    data = _read(run_dir / PLAN)
    missions = tuple(_mission(run_dir, entry) for entry in data["missions"])
    policies = [
        Policy(**{**entry, "import_roots": tuple(entry["import_roots"]), "also": tuple(entry.get("also", ()))})
        for entry in data["policies"]
    ]
    contenders = tuple(
        Contender(entry["name"], tuple(policies[n] for n in entry["policies"]), tuple(entry["counts"]))
        for entry in data["contenders"]
    )
    planned, found = [], []
    for entry in data["episodes"]:
        spec = EpisodeSpec(
            mission=entry["mission"],
            config_hash=entry["config_hash"],
            policies=tuple(policies[number] for number in entry["policies"]),
            assignment=tuple(entry["assignment"]),
            seed=entry["seed"],
            max_steps=entry["max_steps"],
            device=entry["device"],
            threads=entry["threads"],
            batched=entry["batched"],
            known_key=_hash(run_dir, entry["key"]),
        )
        planned.append(PlannedEpisode(entry["index"], entry["contender"], spec))
        found.append(_record(run_dir, spec, entry))
    plan = Plan(missions, contenders, tuple(planned), data["seed"])
    return RunResult(plan, tuple(planned), tuple(found), data["stopped"])


def _record(run_dir: Path, spec: EpisodeSpec, entry: dict[str, Any]) -> EpisodeRecord:
    if entry["failure"] is not None:
        return EpisodeRecord(spec, None, EpisodeFailure(**entry["failure"]))
    path = run_dir / "records" / f"{spec.key}.json"
    try:
        found = records.from_bytes(path.read_bytes(), spec)
    except FileNotFoundError:
        raise DataError(f"{run_dir} does not hold the record of {spec.name}, seed {spec.seed} ({path.name}).") from None
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    return EpisodeRecord(
        spec, found.outcome, None, found.measurement, replay_hash=entry["replay_hash"], cached=entry["cached"]
    )


def _mission(run_dir: Path, entry: dict[str, Any]) -> Mission:
    path = run_dir / "missions" / f"{_hash(run_dir, entry['config_hash'])}.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    also = tuple(entry.get("also", ()))
    return Mission(entry["name"], entry["game"], load_config(data), data, entry["config_hash"], also)


def _hash(run_dir: Path, text: Any) -> str:
    """A hash as the plan has it: files are named after it, here and in the cache."""
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise DamagedFileError(run_dir / PLAN, f"{text!r:.80} is not a hash")
    return text


def _policy_data(policy: Policy) -> dict[str, Any]:
    names = ("name", "class_path", "data_path", "kwargs", "import_roots", "network", "identity", "also")
    return {name: getattr(policy, name) for name in names}


def _failure_data(failure: EpisodeFailure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"kind": failure.kind, "message": failure.message, "traceback": failure.traceback}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path.parent} holds no {path.name}: it is no run that played episodes.") from None
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise DataError(f"{path} is damaged: it holds no object.")
    return data
