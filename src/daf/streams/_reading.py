"""Tables of all whole records of a log, in its order, in bounded memory; with every damaged stretch.

The bytes go through one reused buffer (256 KB, the size at which it stays in the processor's cache). It is cut at the
last place where one record ends and the next starts, the brackets of a JSON array are written around the piece in
place, and the piece is decoded at once. A cut is a guess that the decoder checks: if it refuses, the exact reader
reads the same bytes record by record, and what it learns (another shape, another separator of records) is used from
there on.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from daf.streams._damage import SEPARATORS, Damage, DamageList, Scan, scan
from daf.streams._decoding import BlockDecoder
from daf.streams._source import BARREN, MAX_BARREN, Source
from daf.streams.records import (
    FieldProblems,
    FloatArray,
    LogShape,
    NameBound,
    RecordTable,
    RunConstants,
    read,
    tabulate,
)

BLOCK = 256 * 1024
BITE = 4 * 1024
"""What the exact reader takes before the fast one is tried again; doubled each time that the fast one refuses."""
_ROWS = 8_192
"""Rows that are gathered before they are given as a table."""
_GLANCE = 4_096
MAX_DECODERS = 64
"""Most shapes of records that get a fast decoder; a log whose records all differ is read the exact way."""
LARGEST_RECORD = 8 * 1024 * 1024
"""A stretch without a whole record that is longer than this is given up as damage."""


@dataclass
class ReadingReport:
    """Counts and problems met while reading, updated as the tables are produced."""

    bytes_read: int = 0
    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    problems: FieldProblems = field(default_factory=FieldProblems)
    damage: list[Damage] = field(default_factory=list)
    slow_bytes: int = 0
    """Bytes that went through the exact reader."""


class TableReader:
    """Reads bytes [start, end) of one JSON log; iterate over it for its tables."""

    def __init__(
        self,
        path: Path,
        constants: RunConstants,
        *,
        start: int = 0,
        end: int | None = None,
        block: int = BLOCK,
    ) -> None:
        self.path = path
        self._damage = DamageList(path)
        self.report = ReadingReport(damage=self._damage.entries)
        self._constants = constants
        self._range = (start, end)
        self._block = block
        self._decoders: dict[LogShape, BlockDecoder | None] = {}
        self._names = NameBound(path)
        self._shape: LogShape | None = None
        self._separator = b""
        self._bite = BITE
        self._torn = False
        self._gathered: FloatArray = np.empty((0, 0))
        self._gathered_rows = 0

    def __iter__(self) -> Iterator[RecordTable]:
        start, end = self._range
        with Source(self.path, start, end) as source:
            yield from self._tables(source, start)
            if source.trouble:
                self._damage.add(start + self.report.bytes_read, 0, source.trouble)
        self._damage.sum_up()

    def _tables(self, source: Source, base: int) -> Iterator[RecordTable]:
        buffer = bytearray(self._block + 2)
        at = stop = 1  # one byte is kept free on either side for the brackets
        origin = base - at  # offset in the file of buffer[0]
        ended = False
        opened = base > 0 and _file_opens_array(self.path)
        closed = False
        met, fertile = 0, 0
        while True:
            if met < (known := self.report.records + self._gathered_rows):
                met, fertile = known, self.report.bytes_read
            if (source.is_compressed or not known) and self.report.bytes_read - fertile > MAX_BARREN:
                self._damage.add(origin + at, 0, BARREN)
                break
            if at > 1:
                length = stop - at
                buffer[1 : 1 + length] = buffer[at:stop]
                origin += at - 1
                at, stop = 1, 1 + length
            with memoryview(buffer) as view:
                while not ended and stop < len(buffer) - 1:
                    n = source.readinto(view[stop:-1])
                    ended = n == 0
                    stop += n
                    self.report.bytes_read += n
            if origin + at == 0:
                opened = _opens_array(buffer[at:stop])
            if stop > at:
                closed = buffer[at:stop].rstrip().endswith(b"]") if ended else closed
            at = min(SEPARATORS.match(buffer, at, stop).end(), stop)  # type: ignore[union-attr]
            if at >= stop:
                if ended:
                    break
                continue
            cut = self._cut(buffer, at, stop, ended)
            if cut and self._fast(buffer, at, cut):
                at = cut
                if self._gathered_rows >= _ROWS:
                    yield from self._give()
                continue
            yield from self._give()
            piece, whole = bytes(buffer[at : min(at + self._bite, stop)]), at + self._bite >= stop
            self._bite *= 2
            found = scan(piece, final=ended and whole)
            if not found.consumed and not whole:
                piece = bytes(buffer[at:stop])
                found = scan(piece, final=ended)
            if not found.consumed and not ended:
                if len(buffer) < LARGEST_RECORD:
                    buffer.extend(bytes(len(buffer)))
                    continue
                found = scan(piece, final=True)
            self.report.slow_bytes += found.consumed
            yield from self._slow(piece, found, origin + at)
            at += found.consumed
            if len(buffer) > self._block + 2 and stop - at < self._block // 2:
                buffer = buffer[at - 1 : stop].ljust(self._block + 2, b"\0")
                origin += at - 1
                at, stop = 1, 1 + stop - at
        yield from self._give()
        if opened and not closed and self._range[1] is None and not self._torn:
            self._damage.add(
                base + self.report.bytes_read, 0, "the array is not closed: the file may have been cut here"
            )

    def _cut(self, buffer: bytearray, at: int, stop: int, ended: bool) -> int:
        """Where the last whole record before `stop` seems to end; 0 if no guess is possible."""
        if self._shape is None or buffer[at] != 0x7B:
            return 0
        if ended:
            return buffer.rfind(b"}", at, stop) + 1
        return buffer.rfind(b"}" + self._separator + b"{", at, stop) + 1 if self._separator else 0

    def _fast(self, buffer: bytearray, at: int, cut: int) -> bool:
        """Gather the records of `buffer[at:cut]`; false where they are not all of the shape seen last."""
        decoder = self._decoder()
        if decoder is None or self._shape is None:
            return False
        before, after = buffer[at - 1], buffer[cut]
        as_lines = b"," not in self._separator and b"\n" in self._separator
        try:
            with memoryview(buffer) as view:
                if as_lines:
                    with view[at:cut] as piece:
                        rows = decoder.lines(piece)
                else:
                    buffer[at - 1], buffer[cut] = 0x5B, 0x5D
                    with view[at - 1 : cut + 1] as piece:
                        rows = decoder.array(piece)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        finally:
            buffer[at - 1], buffer[cut] = before, after
        if not len(rows) or decoder.overlooks(buffer, at, cut, len(rows)):
            return False
        self._gather(self._shape.paths, rows)
        self._bite = BITE
        self._torn = False
        return True

    def _gather(self, paths: tuple[str, ...], rows: NDArray[np.void]) -> None:
        """Put `rows` behind those that wait to be given as a table."""
        begin, end = self._gathered_rows, self._gathered_rows + len(rows)
        if self._gathered.shape[0] != len(paths):
            self._gathered = np.empty((len(paths), _ROWS + _ROWS // 8))
        if end > self._gathered.shape[1]:
            more = np.empty((len(paths), end - self._gathered.shape[1]))
            self._gathered = np.concatenate((self._gathered, more), axis=1)
        for column, path in zip(self._gathered, paths, strict=True):
            column[begin:end] = rows[path]
        self._gathered_rows = end

    def _give(self) -> Iterator[RecordTable]:
        """The gathered rows as a table."""
        n = self._gathered_rows
        if n and self._shape is not None:
            self.report.records += n
            self.report.kinds[self._shape.kind] += n
            self._gathered_rows = 0
            yield tabulate(self._shape, self._gathered[:, :n], self._constants)

    def _decoder(self) -> BlockDecoder | None:
        shape = self._shape
        if shape is None:
            return None
        if shape not in self._decoders:
            if len(self._decoders) >= MAX_DECODERS:
                return None
            try:
                self._decoders[shape] = BlockDecoder(shape, self._constants.flat_fields)
            except ValueError:
                self._decoders[shape] = None
        return self._decoders[shape]

    def _slow(self, piece: bytes, found: Scan, offset: int) -> Iterator[RecordTable]:
        for begin, length, reason in found.damage:
            self._damage.add(offset + begin, length, reason)
        if found.damage or found.records:
            self._torn = bool(found.damage) and (not found.records or found.damage[-1][0] >= found.records[-1][1])
        rows: list[list[float]] = []
        shape: LogShape | None = None
        for _, _, value in found.records:
            entry = read(value, self.report.problems, self._constants)
            assert entry is not None  # the exact reader only gives records
            if entry[0] != shape:
                self._names.add(entry[0])
                if shape is not None:
                    yield self._table(shape, rows)
                    rows = []
            shape = entry[0]
            rows.append(entry[1])
        if shape is not None:
            yield self._table(shape, rows)
            self._shape = shape
        if len(found.records) > 1:
            (_, left, _), (right, _, _) = found.records[-2:]
            self._separator = piece[left:right]

    def _table(self, shape: LogShape, rows: list[list[float]]) -> RecordTable:
        self.report.records += len(rows)
        self.report.kinds[shape.kind] += len(rows)
        raw = np.array(rows, dtype=np.float64).reshape(len(rows), len(shape.paths)).T
        return tabulate(shape, raw, self._constants)


def _file_opens_array(path: Path) -> bool:
    """Whether the content of a plain file is an array, at least at its beginning."""
    with Source(path, 0, _GLANCE) as source:
        glance = bytearray(_GLANCE)
        n = source.readinto(memoryview(glance))
    return _opens_array(glance[:n])


def _opens_array(content: bytearray) -> bool:
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
