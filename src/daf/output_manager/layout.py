"""The layout below the output directory: names of operations, sessions and the parts of a run directory.

OUTPUT/OPERATION/SESSION/…      or, not organised by operation,      OUTPUT/SESSION/OPERATION/…
OUTPUT/.sessions/SESSION/       which process claimed the session's id
OUTPUT/experiments.jsonl        every run's start and end
"""

import os
import re
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from daf.config.settings import default_output_dir
from daf.errors import StorageError, UsageError, unknown
from daf.storage import remote
from daf.storage.atomic import explain

Operation = Literal[
    "sweeps",
    "comparisons",
    "training",
    "deployment",
    "evaluations",
    "visualizations",
    "logs",
    "reports",
    "artifacts",
]
OPERATIONS: tuple[str, ...] = get_args(Operation)
"""The folders of operations."""
PARTS = {
    "checkpoints": "networks and everything needed to resume training",
    "replays": "episodes to watch",
    "stats": "tables of the episodes, and measurements of the machine",
    "visualizations": "figures and reports",
    "logs": "JSON lines",
}
"""The optional parts of a run directory, in addition to its three files."""
CHILD_FOLDERS = ("trials", "runs")
"""Where the run directory of a sweep or an experiment has the run directories of its parts."""
README = "README.md"
EXPERIMENT_CONFIG = "experiment_config.json"
EXECUTION_LOG = "execution_log.json"
LOCK = ".lock"
"""Held by the process that works in a run directory, so that others know whether it is still running."""
SESSIONS = ".sessions"
SESSION_ID = re.compile(r"\d{8}_\d{6}(?:_[1-9]\d*)?")

_ALIASES = {
    **{folder: folder for folder in OPERATIONS},
    **{folder.removesuffix("s"): folder for folder in OPERATIONS if folder.endswith("s")},
    "trainings": "training",
    "deployments": "deployment",
}


def base_folder(base_dir: str | Path | None) -> Path:
    """The output directory: `base_dir`, a path or a URL, else `DAF_OUTPUT_DIR`, else ./daf_output."""
    return default_output_dir() if base_dir is None else remote.local(base_dir)


def default_base_dir() -> Path:
    """The default output directory: `DAF_OUTPUT_DIR`, else ./daf_output."""
    return default_output_dir()


def operation_folder(operation: str) -> str:
    """An operation's folder by either of its names (`sweep`, `sweeps`). Raises `UsageError`."""
    if operation not in _ALIASES:
        raise UsageError(unknown("operation", operation, OPERATIONS))
    return _ALIASES[operation]


def place_of(folder: Path) -> tuple[Path, str, str] | None:
    """The output directory, operation and session of a run directory, from its path; None if no run has such a path."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow a link to another place)
    for operation, session in ((path.parent.name, path.name), (path.name, path.parent.name)):
        if operation in OPERATIONS and SESSION_ID.fullmatch(session):
            return path.parent.parent, operation, session
    return None


def run_folders(base: Path) -> list[Path]:
    """The folders that contain run directories and claims on sessions."""
    sessions = sorted(path for path in base.glob("*_*") if SESSION_ID.fullmatch(path.name))
    return [base, base / SESSIONS, *(base / operation for operation in OPERATIONS), *sessions]


def relative(name: str | Path, what: str) -> Path:
    """`name` as a path that stays inside its folder. Raises `UsageError`."""
    name = str(name)
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or path == PurePosixPath("."):
        raise UsageError(f'{what} "{name}" would lead out of the run directory. Give a name inside it.')
    return Path(path)


def session_name(when: datetime) -> str:
    """The id of a session that starts at `when` (local time)."""
    return when.strftime("%Y%m%d_%H%M%S")


def claim_session(base: Path, wanted: str) -> str:
    """Take the id `wanted`, or with the first free suffix (`_2`, `_3`, …), for this session alone.

    Race-safe among processes of one file system: the process that creates the folder in `.sessions` has the id. Raises
    `StorageError`.
    """
    taken = base / SESSIONS
    number = 1
    try:
        taken.mkdir(parents=True, exist_ok=True)
        while True:
            session = wanted if number == 1 else f"{wanted}_{number}"
            number += 1
            if any((base / folder / session).exists() for folder in OPERATIONS) or (base / session).exists():
                continue
            try:
                (taken / session).mkdir()
            except FileExistsError:
                continue
            return session
    except OSError as error:
        raise StorageError(cannot_begin(error, base)) from error


def cannot_begin(error: OSError, base: Path) -> str:
    """The sentence for an output directory in which no run can start."""
    sentence = explain(error, f"creating a run directory in {base}")
    way_out = "Choose another place with --output-dir or DAF_OUTPUT_DIR."
    return sentence if "another place" in sentence else f"{sentence} {way_out}"
