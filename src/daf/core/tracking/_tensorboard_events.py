"""Metrics as TensorBoard event files, in `tensorboard/` of the run directory.

Written record by record and flushed after each, so that `tensorboard --logdir` shows a run while it trains. On resume,
events after the step from which the run resumes are removed from the files, and a new file continues them. It starts
with the events that the files lack compared with the JSON lines (a power cut loses what was not on disk).
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time
from typing import IO, Any

from daf.core.tracking._catch_up import catch_up
from daf.core.tracking._interface import Number, TrackedRun, flat_evaluation
from daf.core.tracking._names import Names
from daf.errors import StorageError
from daf.storage.atomic import explain, writing
from daf.storage.reading import read_bytes

FOLDER = "tensorboard"


MOST_BYTES = 2**30
"""The size limit of one event file, which is read completely to cut it when a run is resumed."""


class TensorBoardEvents:
    """See the module."""

    name = "tensorboard"

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / FOLDER
        self._file: IO[bytes] | None = None
        self._metrics = self._evaluations = -1
        self._names = Names()

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            earlier = sorted(self._folder.glob("events.out.tfevents.*"))
            for path in earlier:
                self._keep(path, resumed_at)
            # TensorBoard reads the files of a directory in the order of their names and takes an earlier name for an
            # older run: this way a run resumed within the same second, or after the clock was set back, comes last.
            last = max((int(path.name.split(".")[3]) for path in earlier), default=0)
            name = f"events.out.tfevents.{max(int(time()), last + 1):010d}.daf"
            self._file = (self._folder / name).open("xb")
        except OSError as error:
            raise StorageError(explain(error, f"writing {self._folder}")) from error
        from tensorboard.compat.proto.event_pb2 import Event

        self._write(Event(wall_time=time(), file_version="brain.Event:2"))
        if resumed_at is not None:
            catch_up(self, self._folder.parent)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        if step > self._metrics:
            self._add(step, values)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        if step > self._evaluations:
            self._add(step, flat_evaluation(record))

    def sync(self) -> None:
        """Nothing to do: every record is handed to the operating system when it is logged."""

    def close(self, status: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, step: int, values: Mapping[str, Number]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        parts = [Summary.Value(tag=self._names.of(name), simple_value=float(value)) for name, value in values.items()]
        self._write(Event(wall_time=time(), step=step, summary=Summary(value=parts)))

    def _write(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._file is not None
        try:
            RecordWriter(self._file).write(event.SerializeToString())
            self._file.flush()
        except OSError as error:
            raise StorageError(explain(error, f"writing {self._folder}")) from error

    def _keep(self, path: Path, keep_to: int | None) -> None:
        """Remove the events after step `keep_to` from `path` (all of them if it is None), and note the last ones."""
        from tensorboard.compat.proto.event_pb2 import Event

        data = read_bytes(path, limit=MOST_BYTES) or b""
        kept = []
        for record in _records(data) if keep_to is not None else ():
            event = Event.FromString(record[12:-4])
            if keep_to is None or event.step > keep_to:
                continue
            kept.append(record)
            if event.summary.value and event.summary.value[0].tag.startswith("evaluation/"):
                self._evaluations = max(self._evaluations, event.step)
            elif event.summary.value:
                self._metrics = max(self._metrics, event.step)
        rest = b"".join(kept)
        if len(kept) <= 1:  # only the version record
            path.unlink()
        elif rest != data:
            with writing(path) as temporary:
                temporary.write_bytes(rest)


def _records(data: bytes) -> Iterator[bytes]:
    """The complete records of an event file: length, its checksum, content, its checksum. A torn end is left out."""
    position = 0
    while position + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        end = position + 12 + length + 4
        if end > len(data):
            return
        yield data[position:end]
        position = end
