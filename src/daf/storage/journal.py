"""Append-only files of JSON lines: any prefix of whole lines is valid, and a torn tail is noticed and cut.

`append` adds one line under a lock, so several processes may append to one file. A writer that died in the middle of a
line leaves a tail without its newline: the next `append` cuts it, and `read` ignores it.

Not guaranteed: the lock on network file systems without `flock`. There, two processes must not append at once.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import msgspec

from daf.errors import DamagedFileError, DataError, StorageError
from daf.storage.atomic import explain
from daf.storage.locks import UNSUPPORTED
from daf.storage.reading import decode_object, open_regular

LONGEST_LINE = 64 * 2**20
"""Bytes. The longest lines that DAF writes, held-out records of a sweep, are far shorter."""


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


def read(path: str | Path, kind: type[Any] = dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The whole lines, in order; empty if there is no file.

    kind: a `TypedDict` that every line is checked against; fields that it does not name are kept. Raises
    `DamagedFileError` with file and line for any other line, one of more than `LONGEST_LINE` bytes, and anything but a
    regular file; `StorageError`.
    """
    try:
        with open_regular(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) > LONGEST_LINE:
                        raise DamagedFileError(f"{path}:{number}", f"longer than {LONGEST_LINE:,} bytes")
                    return
                yield decode_object(line, kind, where=f"{path}:{number}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


class Event(TypedDict):
    """A line of a journal of events."""

    event: str


def fold[State](
    path: str | Path,
    kinds: Mapping[str, type[Any]],
    state: State,
    after: Callable[[State, Mapping[str, Any]], State],
) -> State:
    """The state that the events in `path` lead to from `state`.

    kinds: a `TypedDict` per name of an event, against which the event is checked. after: the state after one more
    event; a `DataError` or `ValueError` means that the event does not fit. Raises `DamagedFileError` with file and
    line, `StorageError`.
    """
    for number, event in enumerate(read(path, Event), 1):
        try:
            if event["event"] not in kinds:
                raise ValueError(f'unknown event "{event["event"]:.40}"')
            msgspec.convert(event, kinds[event["event"]])
            state = after(state, event)
        except (DataError, ValueError) as error:
            raise DamagedFileError(f"{path}:{number}", str(error)) from error
    return state


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
