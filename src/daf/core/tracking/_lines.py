"""A growing file of JSON lines that can be cut back: complete lines only, in the order of their steps.

A line is written with one call; an incomplete line left by a crash is removed when the file is opened again. A line is
on disk at the latest `SYNC_SECONDS` and one further line after it was written, or after `sync`. One process writes at a
time.
"""

import errno
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.errors import StorageError
from daf.storage.atomic import explain

logger = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
"""A power cut loses about this much at most: waiting for the disk at every line would slow down short updates."""


class Lines:
    """The file at `path`, which is created, or cut after step `keep_to` (None: emptied). Raises `StorageError`."""

    def __init__(self, path: Path, keep_to: int | None) -> None:
        self.path = path
        self.last_step: int | None = None
        """The step of the last line, None if there is none."""
        self._synced = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._end = self._kept(keep_to)
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)
        except OSError as error:
            raise StorageError(explain(error, f"opening {path}")) from error

    def append(self, step: int, values: Mapping[str, Any]) -> None:
        """Add a line of `step` and `values`, finite numbers only. Raises `StorageError` and removes partial lines."""
        text = json.dumps({"step": step, **values}, allow_nan=False, ensure_ascii=False)
        data = text.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate becomes JSON's escape sequence
        try:
            if os.pwrite(self._file, data, self._end) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self.sync()
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise StorageError(explain(error, f"appending to {self.path}")) from error
        self._end += len(data)
        self.last_step = step

    def sync(self) -> None:
        """Return when every line is on disk. Raises `StorageError`."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise StorageError(explain(error, f"writing {self.path}")) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close the file; a second call does nothing."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1

    def _kept(self, keep_to: int | None) -> int:
        """The position at which the lines up to step `keep_to` end."""
        end = 0
        if keep_to is None:
            return end
        with os.fdopen(os.dup(self._file), "rb") as file:
            for number, line in enumerate(file, 1):
                step = _step(line)
                if step is None:
                    logger.warning("%s:%d: incomplete line; it and everything after it is removed", self.path, number)
                    return end
                if step > keep_to:
                    return end
                end += len(line)
                self.last_step = step
        return end


def _step(line: bytes) -> int | None:
    """The step of a line; None if it is incomplete or not a line of this format."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    step = value.get("step") if isinstance(value, dict) else None
    return step if isinstance(step, int) else None
