"""Following a file of JSON lines while another process appends to it, without a lock.

`LineTail.read` returns the complete lines that were added since the last call; a last line without its newline is kept
back until it is complete. A file that was truncated, replaced or rewritten is detected (size, inode, or the last bytes
read no longer match) and read from the start again, with `restarted` true: what was returned before is no longer valid.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

BLOCK_BYTES = 8 * 2**20
"""Number of bytes read at a time, so that the first read of a long file does not take all memory."""
MARK_BYTES = 256


@dataclass(frozen=True, slots=True)
class Added:
    """lines: JSON objects in order. restarted: they are all that the file holds. damaged: number of other lines."""

    lines: list[dict[str, Any]]
    restarted: bool
    damaged: int


class LineTail:
    """The lines of `path` from the beginning, as they are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode: int | None = None
        self._mark = b""

    def read(self) -> Added:
        """What was added since the last call; nothing if there is no file (and a restart if there was one)."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name would block otherwise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise IsADirectoryError
        except OSError:
            had = self._offset > 0
            self._begin(None)
            return Added([], had, 0)
        with os.fdopen(descriptor, "rb") as file:
            inode = os.fstat(descriptor).st_ino
            restarted = self._offset > 0 and not self._same(descriptor, inode)
            if restarted or self._inode != inode:
                self._begin(inode)
            file.seek(self._offset)
            lines: list[dict[str, Any]] = []
            damaged = 0
            rest = b""
            while block := file.read(BLOCK_BYTES):
                whole, newline, rest = (rest + block).rpartition(b"\n")
                if not newline:
                    continue
                for line in whole.split(b"\n"):
                    value = _object(line)
                    if value is None:
                        damaged += 1
                    else:
                        lines.append(value)
                self._offset += len(whole) + 1
                self._mark = (self._mark + whole + b"\n")[-MARK_BYTES:]
            return Added(lines, restarted, damaged)

    def _begin(self, inode: int | None) -> None:
        self._offset, self._inode, self._mark = 0, inode, b""

    def _same(self, descriptor: int, inode: int) -> bool:
        start = self._offset - len(self._mark)
        return inode == self._inode and os.pread(descriptor, len(self._mark), start) == self._mark


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except ValueError:  # includes msgspec's errors
        return None
    return value if isinstance(value, dict) else None
