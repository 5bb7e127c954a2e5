"""What the ranks of a training run need to know, and whether their machines fit together.

Machine 0 stores the job in the rendezvous; the others take it from there.

Importing this module does not import torch.
"""

import json
import pickle
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config.training import DAFTrainingConfig
from daf.errors import UsageError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

    from daf.core.curriculum import Curriculum
    from daf.game.mission import Mission
    from daf.game.policy import Policy

COMPARED = ("daf", "torch", "mettagrid", "cogames")
"""Packages that must have the same version on all machines."""
OWN = frozenset({"device", "num_workers", "threads", "workers_per_node", "memory_budget_mb"})
"""Settings that may differ between machines."""
_JOB, _VERSIONS, _SETTINGS = "job", "versions", "settings"


@dataclass(frozen=True, slots=True)
class Job:
    """One training run.

    checkpoint_dir: None for that in the run directory. runs: the output directory that holds `run:ID`.
    curriculum_followed: whether the process that started the run follows its curriculum after every update, and may
    change it.
    """

    config: DAFTrainingConfig
    policy: "Policy"
    missions: "Sequence[Mission]"
    curriculum: "Curriculum"
    run_dir: Path
    run_id: str
    checkpoint_dir: Path | None
    cache_dir: Path
    runs: Path | None
    branch_from: Path | None
    stop_at: int | None
    gpu_allowed: bool
    gpu_memory_fraction: float
    curriculum_followed: bool = False


def publish(store: "Store", job: Job) -> None:
    """Store `job` for the other machines."""
    store.set(_VERSIONS, json.dumps(versions()))
    store.set(_SETTINGS, json.dumps(job.config.to_data()))
    store.set(_JOB, pickle.dumps(job))  # type: ignore[arg-type]  # the stub does not know that it takes bytes


def fetch(store: "Store", given: Mapping[str, Any]) -> Job:
    """The job that machine 0 stored. given: settings of this machine's command.

    Raises `UsageError` if versions or given settings differ from machine 0's.
    """
    store.wait([_JOB])
    theirs = json.loads(store.get(_VERSIONS))
    differ = [f"{name} {theirs.get(name)} → {own}" for name, own in versions().items() if theirs.get(name) != own]
    if differ:
        raise UsageError(
            f"this machine has other versions than the machine with --node-rank 0: {', '.join(differ)}. Install the "
            "same environment on all machines."
        )
    settings = json.loads(store.get(_SETTINGS))
    own = json.loads(json.dumps(dict(given)))
    wrong = [
        f"{name} {settings.get(name)!r} → {value!r}"
        for name, value in own.items()
        if name not in OWN and settings.get(name) != value
    ]
    if wrong:
        raise UsageError(
            f"this machine's settings differ from those of the machine with --node-rank 0: {', '.join(wrong)}. Start "
            "the same command on all machines, except for --node-rank, or leave the settings out here."
        )
    job: Job = pickle.loads(store.get(_JOB))
    return job


def versions() -> dict[str, str]:
    """The versions of this machine's environment that must agree."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in COMPARED}}
