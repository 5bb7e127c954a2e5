"""What was sent to a service that cannot remove points, recorded in the run directory: the run's id and last steps.

Written after each request, completely or not at all. A process that is killed in between sends one step again, with the
same values; after a power cut the file may be an older one, and some steps are sent again.
"""

import json
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from daf.errors import DamagedFileError, StorageError
from daf.storage.atomic import explain
from daf.storage.reading import read_json

FOLDER = "tracking"


class _State(msgspec.Struct):
    """The file. id: the run's id in the service, which names the service's files in the run directory."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
    metrics: int
    evaluations: int


class SentSteps:
    """The record of the tracker `name` in `run_dir`; empty if `resumed_at` is None. id: the run's id in the service."""

    def __init__(self, run_dir: Path, name: str, resumed_at: int | None) -> None:
        self._path = run_dir / FOLDER / f"{name}.json"
        self.id = secrets.token_hex(6)
        self.metrics = -1
        self.evaluations = -1
        self.resumed = False
        if resumed_at is not None:
            self._read()

    def new_id(self) -> None:
        """Use a new run id in the service, to which nothing was sent."""
        self.id, self.metrics, self.evaluations = secrets.token_hex(6), -1, -1

    def metrics_to(self, step: int) -> None:
        """Record that metrics up to `step` were sent."""
        self.metrics = step
        self.write()

    def evaluations_to(self, step: int) -> None:
        """Record that evaluations up to `step` were sent."""
        self.evaluations = step
        self.write()

    def write(self) -> None:
        """Write the file. Raises `StorageError`."""
        temporary = self._path.with_suffix(".tmp")
        data = {"id": self.id, "metrics": self.metrics, "evaluations": self.evaluations}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(data))
            temporary.replace(self._path)
        except OSError as error:
            raise StorageError(explain(error, f"writing {self._path}")) from error

    def _read(self) -> None:
        try:
            data = read_json(self._path, _State, limit=2**20)
        except (DamagedFileError, StorageError) as error:
            raise StorageError(
                f"{error} What was sent before is therefore unknown: delete the file to send the run again under a "
                "new id, or resume without this tracker."
            ) from error
        if data is None:
            return  # the tracker is new to this run
        self.id, self.metrics, self.evaluations = data.id, data.metrics, data.evaluations
        self.resumed = True
