"""Append-only files of JSON lines: any prefix of whole lines is valid, and a torn tail is noticed and cut.

`append` adds one line under a lock, so several processes may append to one file. A writer that died in the middle of a
line leaves a tail without its newline: the next `append` cuts it, and `read` ignores it.

Not guaranteed: the lock on network file systems without `flock`. There, two processes must not append at once.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from daf.errors import DataError, StorageError
from daf.storage.atomic import explain
from daf.storage.locks import UNSUPPORTED


def append(path: str | Path, value: dict[str, Any], *, sync: bool = True) -> None:
    """Add `value` as one line; the file and its folder are made.

    sync: the line is on the disk when this returns. Without it a power cut may take the last lines (a killed process
    does not). Raises `StorageError`.
    """
    line = json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8") + b"\n"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a+b") as file:
            _lock(file)
            end = _whole(file.fileno())
            try:
                file.write(line)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        raise StorageError(explain(error, f"appending to {path}")) from error


def read(path: str | Path) -> Iterator[dict[str, Any]]:
    """The whole lines, in order; empty if there is no file.

    Raises `DataError` for a line that is not a JSON object.
    """
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise DataError(f"{path}:{number}: not a JSON line. Remove the line, or the file.") from error
                if not isinstance(value, dict):
                    raise DataError(f"{path}:{number}: not a JSON object. Remove the line, or the file.")
                yield value
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


def _lock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _whole(descriptor: int) -> int:
    """Cut a tail without newline, and return where the file ends."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        cut = os.pread(descriptor, end - start, start).rfind(b"\n")
        if cut >= 0:
            end = start + cut + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
