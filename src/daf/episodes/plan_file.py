"""`plan.json` as a checked object: every field has its type, and every number that points into a list points inside it.

Raises `DamagedFileError` for anything else, so that nothing that reads a plan trusts its shape.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from daf.errors import DamagedFileError
from daf.storage.reading import read_json

PLAN = "plan.json"
_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{1,128}\Z")]
"""Becomes part of a file name."""
_Index = Annotated[int, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""Fits into the tables' 64-bit columns."""


class PlannedMission(msgspec.Struct):
    """A mission of the plan; its config lies under its hash."""

    name: str
    game: str | None
    config_hash: _Hash
    also: tuple[str, ...] = ()


class PlannedPolicy(msgspec.Struct):
    """A policy of the plan, as `Policy`."""

    name: str
    class_path: str
    data_path: str | None
    kwargs: dict[str, Any]
    import_roots: tuple[str, ...]
    network: bool
    identity: str
    also: tuple[str, ...] = ()


class PlannedContender(msgspec.Struct):
    """A contender. policies: positions among the plan's policies."""

    name: str
    policies: tuple[_Index, ...]
    counts: tuple[int | float, ...]


class PlannedFailure(msgspec.Struct):
    """Why an episode has no record."""

    kind: str
    message: str
    traceback: str = ""


class PlannedEntry(msgspec.Struct):
    """An episode. contender, policies: positions in the plan's lists. assignment: positions in `policies` by agent."""

    index: _Number
    contender: _Index
    mission: str
    config_hash: _Hash
    policies: tuple[_Index, ...]
    assignment: tuple[_Index, ...]
    seed: _Number
    max_steps: _Number
    device: str
    threads: _Number
    batched: bool
    key: _Hash
    cached: bool
    replay_hash: str | None
    failure: PlannedFailure | None


class PlanFile(msgspec.Struct):
    """The whole file."""

    seed: _Number
    stopped: str | None
    missions: tuple[PlannedMission, ...]
    policies: tuple[PlannedPolicy, ...]
    contenders: tuple[PlannedContender, ...]
    episodes: tuple[PlannedEntry, ...]


def read_plan(run_dir: Path) -> PlanFile | None:
    """The plan of a run directory, None where there is none. Raises `DamagedFileError`, `StorageError`."""
    path = run_dir / PLAN
    plan = read_json(path, PlanFile)
    if plan is not None:
        for contender in plan.contenders:
            _check(path, contender.policies, len(plan.policies), "policy")
            if len(contender.counts) != len(contender.policies):
                raise DamagedFileError(path, f"{contender.name:.80} must have one count for each of its policies")
        for episode in plan.episodes:
            _check(path, (episode.contender,), len(plan.contenders), "contender")
            _check(path, episode.policies, len(plan.policies), "policy")
            _check(path, episode.assignment, len(episode.policies), "position in a team")
    return plan


def _check(path: Path, numbers: Iterable[int], count: int, what: str) -> None:
    for number in numbers:
        if number >= count:
            raise DamagedFileError(path, f"it refers to {what} {number}, but has only {count}")
