"""`training.json`: how a training run ended, as `daf train` wrote it.

`read_training(run_dir)` returns a checked object or raises an error that describes the problem. Reports and the
dashboard also show files that lack fields; code that continues a run requires its fields with `read_ended`.
"""

from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from daf.storage.containment import inside
from daf.storage.reading import read_object

FILE = "training.json"
MOST_BYTES = 16 * 2**20
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class TrainingFailure(TypedDict, total=False):
    """Why a training failed."""

    type: str
    message: str


class TrainingFile(TypedDict, total=False):
    """The fields that are read from `training.json`, and their types."""

    status: str
    steps: _Count
    updates: _Count
    total_timesteps: _Count
    final_checkpoint: str | None
    wall_seconds: Annotated[float, msgspec.Meta(ge=0)]
    metrics: dict[str, float | None]
    evaluation: dict[str, Any] | None
    learned: dict[str, Any]
    error: TrainingFailure | None
    machine: bool
    lost_trackers: dict[str, str]
    hyperparameters: dict[str, Any]
    mission: str
    policy: str
    seed: int


class TrainingEnd(TypedDict):
    """The fields without which a finished training run cannot be continued."""

    status: str
    steps: _Count
    updates: _Count
    final_checkpoint: str | None
    wall_seconds: Annotated[float, msgspec.Meta(ge=0)]
    metrics: dict[str, float | None]
    ranks: NotRequired[_Count]


def read_training(run_dir: Path) -> TrainingFile | None:
    """The file of `run_dir`, None if there is none. Raises `DamagedFileError`, `StorageError`."""
    return read_object(run_dir / FILE, TrainingFile, limit=MOST_BYTES)


def read_ended(run_dir: Path) -> TrainingEnd | None:
    """`read_training` with all fields of `TrainingEnd`. Raises `DamagedFileError`, `StorageError`."""
    return read_object(run_dir / FILE, TrainingEnd, limit=MOST_BYTES)


def own_checkpoint(run_dir: Path, name: str) -> Path:
    """The checkpoint `name` of a run whose checkpoints are in its directory. Raises `UnsafePathError` for another."""
    return inside(run_dir, name)
