"""The journal of a submission: the steps that it has taken, in its run directory.

A step is written when it is done, and "completing" before the one request whose effect is unknown if its answer is
lost. The presigned address of the upload is not in it.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from daf.errors import DAFError
from daf.output_manager import RunInfo, list_runs
from daf.storage import journal

FILE = "submission.jsonl"
_logger = logging.getLogger(__name__)
Step = Literal["planned", "uploaded", "completing", "completed", "entered"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The bundle of a submission, by its SHA-256, its name, and the season to enter."""

    server: str
    season: str
    name: str
    sha256: str

    def same_policy(self, other: "Plan") -> bool:
        """Whether it is the same bundle under the same name on the same server, in whatever season."""
        return (self.server, self.name, self.sha256) == (other.server, other.name, other.sha256)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a submission has come.

    upload_id: of the bundle that lies in the server's storage. known: the versions of the policy before the upload was
    completed. version_id, version: of the policy that the upload became. pools: where it plays.
    """

    plan: Plan
    step: Step = "planned"
    upload_id: str | None = None
    known: tuple[str, ...] = ()
    version_id: str | None = None
    version: int | None = None
    pools: tuple[str, ...] = ()


class _Planned(TypedDict):
    server: str
    season: str
    name: str
    sha256: str


class _Uploaded(TypedDict):
    upload_id: str


class _Completing(TypedDict):
    known: list[str]


class _Completed(TypedDict):
    version_id: str
    version: int


class _Entered(TypedDict):
    pools: list[str]


class _Restarted(TypedDict):
    reason: str


_KINDS: dict[str, type[Any]] = {
    "planned": _Planned,
    "uploaded": _Uploaded,
    "completing": _Completing,
    "completed": _Completed,
    "entered": _Entered,
    "restarted": _Restarted,
}


def record(folder: Path, event: str, **fields: Any) -> None:
    """Add an event to the journal in `folder`. Raises `StorageError`."""
    journal.append(folder / FILE, {"event": event, **fields})


def read(folder: Path) -> Progress | None:
    """The progress that the journal in `folder` leads to; None without one. Raises `DamagedFileError`."""
    return journal.fold(folder / FILE, _KINDS, None, after)


def earlier(base_dir: Path, plan: Plan) -> Iterator[tuple[RunInfo, Progress]]:
    """The submissions of the same policy to the same server, the latest first.

    A damaged journal is left out, with a warning in the log.
    """
    for run in list_runs(base_dir, "deployment"):
        try:
            found = read(run.path)
        except DAFError as error:
            _logger.warning("%s It is not considered for resuming.", error)
            continue
        if found is not None and found.plan.same_policy(plan):
            yield run, found


def after(progress: Progress | None, event: Mapping[str, Any]) -> Progress:
    """The progress after one more event. Raises `ValueError` if it can't follow."""
    kind = event["event"]
    if kind == "planned":
        return Progress(Plan(event["server"], event["season"], event["name"], event["sha256"]))
    if progress is None:
        raise ValueError(f"{kind} without a plan")
    if kind == "restarted":
        return Progress(progress.plan)
    if kind == "uploaded":
        return replace(progress, step="uploaded", upload_id=event["upload_id"])
    if kind == "completing":
        return replace(progress, step="completing", known=tuple(event["known"]))
    if kind == "completed":
        return replace(progress, step="completed", version_id=event["version_id"], version=event["version"])
    return replace(progress, step="entered", pools=tuple(event["pools"]))
