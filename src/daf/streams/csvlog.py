"""CSV logs, whose header names fields by dotted paths (`rewards.components.event`, `position.x`, `levels.0`).

A row is a record as its JSON object would be: empty cells are null, NaN and infinities are not finite, a row with
another number of cells than the header is damage. A column `position` is not read if there is a `position.x`. One row
is one line: quotes are understood, line breaks inside them are not. A last line without a line break is read, and
reported, since its last cell may have been truncated. This is the convenient format, not the fast one: about a fiftieth
of the speed of JSON.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from daf.streams._damage import DamageList
from daf.streams._gathering import ReadingReport
from daf.streams._source import BARREN, MAX_BARREN, Source
from daf.streams.records import LogShape, NameBound, RecordTable, RunConstants, read, tabulate

_PIECE = 256 * 1024
_LONGEST_ROW = 8 * 1024 * 1024
_WHOLES = {"position", "rewards", "rewards.components", "levels"}
"""Columns that are not read if there are columns of their parts."""
_UNREADABLE = f"a cell of more than {csv.field_size_limit():,} characters, or with a line break in it"


class CsvReader:
    """Reads one CSV log; iterate over it for its tables."""

    def __init__(self, path: Path, constants: RunConstants) -> None:
        self.path = path
        self._damage = DamageList(path)
        self.report = ReadingReport(damage=self._damage.entries)
        self._constants = constants
        self._header: list[str] | None = None
        self._names_met = NameBound(path)

    def __iter__(self) -> Iterator[RecordTable]:
        with Source(self.path) as source:
            rest, offset = b"", 0
            met, fertile = 0, 0
            while True:
                if met < self.report.records:
                    met, fertile = self.report.records, self.report.bytes_read
                if (source.is_compressed or not met) and self.report.bytes_read - fertile > MAX_BARREN:
                    self._damage.add(offset, 0, BARREN)
                    break
                buffer = bytearray(_PIECE)
                n = source.readinto(memoryview(buffer))
                self.report.bytes_read += n
                data = rest + bytes(buffer[:n])
                cut = len(data) if not n else _last_line_end(data)
                if not cut and len(data) > _LONGEST_ROW:
                    self._damage.add(offset, len(data), "a line that is too long for a row")
                    offset, data = offset + len(data), b""
                yield from self._rows(data[:cut], offset, ended=not n)
                offset, rest = offset + cut, data[cut:]
                if not n:
                    break
            if source.trouble:
                self._damage.add(offset, 0, source.trouble)
        self._damage.sum_up()

    def _rows(self, data: bytes, offset: int, *, ended: bool) -> Iterator[RecordTable]:
        if self._header is None and data.strip():
            start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
            end = data.find(b"\n", start) + 1 or len(data)
            self._header = self._names(data[start:end], offset + start)
            data, offset = data[end:], offset + end
        if self._header is None or not data:
            return
        rows: list[tuple[int, int, list[str]]] = []
        for line in io.BytesIO(data):
            text = _text(line)
            cells = _cells(text)
            open_end = ended and not line.endswith(b"\n")
            if cells is None:
                self._damage.add(offset, len(line), _UNREADABLE)
            elif len(cells) == len(self._header):
                rows.append((offset, len(line), cells))
            elif text.strip():
                why = f"{len(cells)} cells, the header has {len(self._header)}"
                self._damage.add(offset, len(line), "cut short in mid-record" if open_end else why)
                open_end = False
            offset += len(line)
            if open_end and text.strip():
                self._damage.add(offset, 0, "the last line does not end: its last cell may be cut short")
        yield from self._tables(rows)

    def _names(self, line: bytes, offset: int) -> list[str]:
        """The header's names; reports damage, and columns that are not read because their parts are."""
        cells = _cells(_text(line))
        if cells is None:
            self._damage.add(offset, len(line), _UNREADABLE)
            return []
        header = [name.strip() for name in cells]
        for name in sorted(_WHOLES & set(header)):
            if any(other.startswith(f"{name}.") for other in header):
                self.report.problems.counts[f"{name}: not read, because there is {name}.…"] += 1
        return header

    def _tables(self, rows: list[tuple[int, int, list[str]]]) -> Iterator[RecordTable]:
        pending: list[list[float]] = []
        shape: LogShape | None = None
        header = self._header or []
        for offset, length, cells in rows:
            entry = read(_record(header, cells), self.report.problems, self._constants)
            if entry is None:
                self._damage.add(offset, length, f"a table that is not a log: columns {', '.join(header[:5])}")
                continue
            if entry[0] != shape:
                self._names_met.add(entry[0])
                if shape is not None:
                    yield self._table(shape, pending)
                    pending = []
            shape = entry[0]
            pending.append(entry[1])
        if shape is not None:
            yield self._table(shape, pending)

    def _table(self, shape: LogShape, rows: list[list[float]]) -> RecordTable:
        self.report.records += len(rows)
        self.report.kinds[shape.kind] += len(rows)
        return tabulate(shape, np.array(rows, dtype=np.float64).reshape(len(rows), len(shape.paths)).T, self._constants)


def _last_line_end(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip("\r\n")


def _cells(text: str) -> list[str] | None:
    """The cells of a line; `None` if one is too long or contains a line break."""
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text]))
    except csv.Error:
        return None


def _record(header: list[str], cells: list[str]) -> dict[str, Any]:
    """The object that a row stands for."""
    record: dict[str, Any] = {}
    rewards: dict[str, Any] = {}
    components: dict[str, Any] = {}
    position: dict[str, Any] = {}
    levels: list[Any] = []
    for path, text in zip(header, cells, strict=True):
        value = _value(text)
        prefix, dot, rest = path.partition(".")
        if path.startswith("rewards.components."):
            components[path.removeprefix("rewards.components.")] = value
        elif prefix == "levels" and dot and rest.isdigit():
            levels.append(value)
        elif prefix == "position" and dot:
            position[rest] = value
        elif prefix == "rewards" and dot:
            rewards[rest] = value
        else:
            record[path] = value
    if components:
        rewards["components"] = components
    wholes = {"rewards": rewards, "position": position, "levels": levels}
    return record | {name: parts for name, parts in wholes.items() if parts}


def _value(text: str) -> Any:
    text = text.strip()
    if not text:
        return None
    if "_" not in text:  # which Python's numbers may hold
        try:
            return float(text)
        except ValueError:
            pass
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def rows_of(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The first and the last row of a CSV log as records; `None` where there is none."""
    header: list[str] | None = None
    first: dict[str, Any] | None = None
    last: list[str] | None = None
    with Source(path) as source:
        rest, content = b"", 0
        while True:
            buffer = bytearray(_PIECE)
            n = source.readinto(memoryview(buffer))
            content += n
            if first is None and content > MAX_BARREN:
                return None, None
            data = rest + bytes(buffer[:n])
            cut = _last_line_end(data) if n else len(data)
            lines, rest = data[:cut].splitlines(), data[cut:]
            rows = [_cells(line.decode("utf-8-sig", "replace")) for line in lines[:3] + lines[-2:]]
            if header is None and rows:
                header = [name.strip() for name in rows.pop(0) or []]
            whole = [row for row in rows if header and row is not None and len(row) == len(header)]
            if whole and header:
                first = first or _record(header, whole[0])
                last = whole[-1]
            if not n:
                return first, _record(header, last) if header and last else None
