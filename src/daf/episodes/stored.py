"""A run's plan and records in its folder, and back: the source of tables and reports.

    plan.json      missions, contenders, and every episode with its place, its key, and its failure if it has one
    records/       the records of the others
    missions/      the missions' configs, by hash

A `RunResult` that is read back equals the one that was written, except for records that were not kept.
"""

from pathlib import Path
from typing import Any

import msgspec

from daf.episodes import record as records
from daf.episodes._packed import RecordStore
from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.plan import Contender, Plan, PlannedEpisode
from daf.episodes.plan_file import PLAN, PlannedEntry, PlannedMission, read_plan
from daf.episodes.record import EpisodeFailure, EpisodeRecord
from daf.episodes.run import RunResult
from daf.episodes.spec import EpisodeSpec
from daf.errors import DamagedFileError, DataError
from daf.game.mission import Mission, mission_of
from daf.game.policy import Policy
from daf.storage.atomic import write_json
from daf.storage.hashing import hash_bytes
from daf.storage.jsonable import jsonable
from daf.storage.reading import read_bytes

__all__ = ["PLAN", "read_result", "write_result"]


def write_result(run_dir: Path, result: RunResult, cache: EpisodeCache, *, keep_records: bool = True) -> None:
    """Write `plan.json`, and link or write the records and the missions' configs next to it."""
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
    """The `RunResult` in a run directory.

    Raises `DataError` if records were not kept, `DamagedFileError` for the first damaged file, `StorageError`.
    """
    data = read_plan(run_dir)
    if data is None:
        raise DataError(f"{run_dir} contains no {PLAN}: it is not a run directory with episodes.")
    missions = tuple(_mission(run_dir, entry) for entry in data.missions)
    policies = [Policy(**msgspec.structs.asdict(entry)) for entry in data.policies]
    contenders = tuple(
        Contender(entry.name, tuple(policies[n] for n in entry.policies), entry.counts) for entry in data.contenders
    )
    planned, found = [], RecordStore()
    for position, entry in enumerate(data.episodes):
        spec = EpisodeSpec(
            mission=entry.mission,
            config_hash=entry.config_hash,
            policies=tuple(policies[number] for number in entry.policies),
            assignment=entry.assignment,
            seed=entry.seed,
            max_steps=entry.max_steps,
            device=entry.device,
            threads=entry.threads,
            batched=entry.batched,
            known_key=entry.key,
        )
        planned.append(PlannedEpisode(entry.index, entry.contender, spec))
        found[position] = _record(run_dir, spec, entry)
    plan = Plan(missions, contenders, tuple(planned), data.seed)
    return RunResult(plan, tuple(planned), found.records(), data.stopped)


def _record(run_dir: Path, spec: EpisodeSpec, entry: PlannedEntry) -> EpisodeRecord:
    if entry.failure is not None:
        return EpisodeRecord(spec, None, EpisodeFailure(**msgspec.structs.asdict(entry.failure)))
    path = run_dir / "records" / f"{spec.key}.json"
    content = read_bytes(path)
    if content is None:
        raise DataError(f"{run_dir} does not contain the record of {spec.name}, seed {spec.seed} ({path.name}).")
    try:
        found = records.from_bytes(content, spec)
    except records.DamagedRecord as error:
        raise DamagedFileError(path, str(error)) from error
    return EpisodeRecord(
        spec, found.outcome, None, found.measurement, replay_hash=entry.replay_hash, cached=entry.cached
    )


def _mission(run_dir: Path, entry: PlannedMission) -> Mission:
    path = run_dir / "missions" / f"{entry.config_hash}.json"
    data = read_bytes(path)
    if data is None:
        raise DataError(f"{run_dir} does not contain the config of the mission {entry.name} ({path.name}).")
    if hash_bytes(data) != entry.config_hash:
        raise DamagedFileError(path, "its content does not match the hash that is its name")
    return mission_of(entry.name, entry.game, data, also=entry.also)


def _policy_data(policy: Policy) -> dict[str, Any]:
    names = ("name", "class_path", "data_path", "kwargs", "import_roots", "network", "identity", "also")
    return {name: getattr(policy, name) for name in names}


def _failure_data(failure: EpisodeFailure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"kind": failure.kind, "message": failure.message, "traceback": failure.traceback}
