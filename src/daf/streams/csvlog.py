"""CSV logs, whose header names fields by dotted paths (`rewards.components.event`, `position.x`, `levels.0`).

A row is a record as its JSON object would be: empty cells are null, NaN and infinities are not finite, a row with
another number of cells than the header is damage. One row is one line: quotes are understood, line breaks inside them
are not. This is the convenient format, not the fast one: about a fiftieth of the speed of JSON.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from daf.streams.damage import Damage
from daf.streams.reading import ReadingReport
from daf.streams.records import RunConstants, Shape, Table, read, tabulate
from daf.streams.source import Source

_PIECE = 256 * 1024
_LONGEST_ROW = 8 * 1024 * 1024


class CsvReader:
    """Reads one CSV log; iterate over it for its tables."""

    def __init__(self, path: Path, constants: RunConstants) -> None:
        self.path = path
        self.report = ReadingReport()
        self._constants = constants
        self._header: list[str] | None = None

    def __iter__(self) -> Iterator[Table]:
        with Source(self.path) as source:
            rest, offset = b"", 0
            while True:
                buffer = bytearray(_PIECE)
                n = source.readinto(memoryview(buffer))
                self.report.bytes_read += n
                data = rest + bytes(buffer[:n])
                cut = len(data) if not n else _last_line_end(data)
                if not cut and len(data) > _LONGEST_ROW:
                    self._damaged(offset, len(data), "a line that is too long for a row")
                    offset, data = offset + len(data), b""
                yield from self._rows(data[:cut], offset, ended=not n)
                offset, rest = offset + cut, data[cut:]
                if not n:
                    break
            if source.trouble:
                self._damaged(offset, 0, source.trouble)

    def _rows(self, data: bytes, offset: int, *, ended: bool) -> Iterator[Table]:
        if self._header is None and data.strip():
            start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
            end = data.find(b"\n", start) + 1 or len(data)
            self._header = [name.strip() for name in next(csv.reader([data[start:end].decode("utf-8", "replace")]))]
            data, offset = data[end:], offset + end
        if self._header is None or not data:
            return
        rows: list[list[str]] = []
        for line in io.BytesIO(data):
            text = line.decode("utf-8", "replace").strip("\r\n")
            cells = next(csv.reader([text])) if '"' in text else text.split(",")
            torn = ended and not line.endswith(b"\n") and len(cells) != len(self._header)
            if len(cells) == len(self._header):
                rows.append(cells)
            elif text.strip():
                why = "cut short in mid-record" if torn else f"{len(cells)} cells, the header has {len(self._header)}"
                self._damaged(offset, len(line), why)
            offset += len(line)
        yield from self._tables(rows, offset)

    def _tables(self, rows: list[list[str]], offset: int) -> Iterator[Table]:
        pending: list[list[float]] = []
        shape: Shape | None = None
        for cells in rows:
            record = _record(self._header or [], cells)
            entry = read(record, self.report.problems, self._constants)
            if entry is None:
                self._damaged(offset, 0, f"a table that is no log: columns {', '.join((self._header or [])[:5])}")
                continue
            if shape is not None and entry[0] != shape:
                yield self._table(shape, pending)
                pending = []
            shape = entry[0]
            pending.append(entry[1])
        if shape is not None:
            yield self._table(shape, pending)

    def _table(self, shape: Shape, rows: list[list[float]]) -> Table:
        self.report.records += len(rows)
        self.report.kinds[shape.kind] += len(rows)
        return tabulate(shape, np.array(rows, dtype=np.float64).reshape(len(rows), len(shape.paths)).T, self._constants)

    def _damaged(self, offset: int, length: int, reason: str) -> None:
        last = self.report.damage[-1] if self.report.damage else None
        if last is None or last.reason != reason or length:
            self.report.damage.append(Damage(str(self.path), offset, length, reason))


def _last_line_end(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _record(header: list[str], cells: list[str]) -> dict[str, Any]:
    """The object that a row stands for."""
    record: dict[str, Any] = {}
    for path, text in zip(header, cells, strict=True):
        value = _value(text)
        prefix, dot, rest = path.partition(".")
        if path.startswith("rewards.components."):
            rewards = record.setdefault("rewards", {})
            rewards.setdefault("components", {})[path.removeprefix("rewards.components.")] = value
        elif prefix == "levels" and dot and rest.isdigit():
            record.setdefault("levels", []).append(value)
        elif prefix in ("position", "rewards") and dot:
            record.setdefault(prefix, {})[rest] = value
        else:
            record[path] = value
    return record


def _value(text: str) -> Any:
    text = text.strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def rows_of(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The first and the last row of a CSV log as records; `None` where there is none."""
    header: list[str] | None = None
    first: dict[str, Any] | None = None
    last: list[str] | None = None
    with Source(path) as source:
        rest = b""
        while True:
            buffer = bytearray(_PIECE)
            n = source.readinto(memoryview(buffer))
            data = rest + bytes(buffer[:n])
            cut = _last_line_end(data) if n else len(data)
            lines, rest = data[:cut].splitlines(), data[cut:]
            rows = [line.decode("utf-8-sig", "replace").split(",") for line in lines[:3] + lines[-2:]]
            if header is None and rows:
                header = [name.strip() for name in rows.pop(0)]
            whole = [row for row in rows if header and len(row) == len(header)]
            if whole and header:
                first = first or _record(header, whole[0])
                last = whole[-1]
            if not n:
                return first, _record(header, last) if header and last else None
