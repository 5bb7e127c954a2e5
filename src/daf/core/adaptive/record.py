"""An experiment's directory: its journal, its only writer, and a request to stop.

experiment.jsonl   the journal: the source of truth; everything else here can be derived from it
controller.lock    held by the controller, and released by the operating system when it dies
stop.json          written by `daf adaptive stop`, removed by the controller when it has stopped; ignored by a
                   controller that started after it
runs/ jobs/ parents/ scored/ evaluations/
"""

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from daf.core.adaptive._events import EVENTS
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.state import FORMAT, Experiment, after
from daf.errors import DataError, LockedError
from daf.storage import atomic, journal, locks
from daf.storage.reading import read_object

JOURNAL, LOCK, STOP = "experiment.jsonl", "controller.lock", "stop.json"
BEGINNING = ".adaptive.lock"
"""In the output directory: held while an experiment is looked up and created."""


def read(folder: Path) -> Experiment | None:
    """The committed experiment in `folder`; None if there is none. Raises `DataError`, `StorageError`."""
    return journal.fold(folder / JOURNAL, EVENTS, None, after)


def run_dir(folder: Path, run: str) -> Path:
    """The directory in which a run of the experiment in `folder` trains.

    Named after both, since trackers and `DAF_CHECKPOINT_DIR` identify a run by the name of its directory alone.
    """
    return folder / "runs" / f"{folder.name}-{run}"


def controlled(folder: Path) -> bool:
    """Whether a controller holds the experiment."""
    return locks.is_held(folder / LOCK)


def request_stop(folder: Path, reason: str) -> None:
    """Ask the controller to stop; it checks for this at every heartbeat."""
    atomic.write_json(folder / STOP, {"reason": reason, "pid": os.getpid(), "time": time.time()})


class Record:
    """The journal for its only writer, and the resulting experiment.

    Raises `AdaptiveControllerError` where another controller has it, `DataError` where the journal is damaged,
    `StorageError`. What a killed controller left unfinished in the folder is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._since = time.time()
        try:
            self._lock = locks.acquire(
                folder / LOCK,
                f"the experiment in {folder} already has a controller. `daf adaptive status` shows it, "
                "`daf adaptive stop` ends it.",
            )
        except LockedError as error:
            raise AdaptiveControllerError(str(error)) from None
        try:
            self._experiment = read(folder)
            atomic.sweep_below(folder)
        except BaseException:
            locks.release(self._lock)
            raise

    @property
    def started(self) -> bool:
        """Whether there is an experiment."""
        return self._experiment is not None

    @property
    def experiment(self) -> Experiment:
        """The committed state."""
        if self._experiment is None:
            raise AdaptiveControllerError(f"{self.folder} has no experiment yet.")
        return self._experiment

    def begin(self, experiment_id: str, config: Mapping[str, Any]) -> None:
        """Add the first event."""
        self.add("created", format=FORMAT, experiment_id=experiment_id, config=dict(config))

    def add(self, event: str, **values: Any) -> Experiment:
        """Commit one event: it is on disk when this returns."""
        line = {"event": event, "time": time.time(), **values}
        try:
            experiment = after(self._experiment, line)
        except ValueError as error:
            raise DataError(f"{self.folder / JOURNAL}: {event} does not fit: {error}.") from error
        journal.append(self.folder / JOURNAL, line)
        self._experiment = experiment
        return experiment

    def stop_reason(self) -> str | None:
        """Why a stop was requested; None if it wasn't, or the request was for an earlier controller."""
        document = _stop(self.folder / STOP)
        if document is None or document.get("time", self._since) < self._since:
            return None
        return str(document.get("reason") or "daf adaptive stop")

    def close(self) -> None:
        """Release the experiment."""
        locks.release(self._lock)


@contextlib.contextmanager
def beginning(base_dir: Path) -> Iterator[None]:
    """A block in which no other controller looks up or creates an experiment in the output directory."""
    with locks.exclusive_if_supported(base_dir / BEGINNING, "another experiment is being started.", patience=math.inf):
        yield


class _Stop(TypedDict, total=False):
    """A request to stop."""

    reason: str | None
    time: float


def _stop(path: Path) -> _Stop | None:
    return read_object(path, _Stop, limit=2**20)
