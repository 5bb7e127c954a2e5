"""Tables of all whole records of a log, in its order, in bounded memory; with every damaged stretch.

The bytes go through one reused buffer (256 KB, the size at which it stays in the processor's cache). A decoder takes
the records that look like those before them: `TypedDecoder` block by block, or `TemplateDecoder` in compiled code.
Where it refuses, the exact reader reads the same bytes record by record, and what it learns is used from there on.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from daf.streams._damage import SEPARATORS, DamageList, Scan, scan
from daf.streams._decoding import TypedDecoder
from daf.streams._gathering import PAD, ReadingReport, Rows
from daf.streams._source import BARREN, MAX_BARREN, Source
from daf.streams._templates import TemplateDecoder
from daf.streams.records import LogShape, RecordTable, RunConstants, read

BLOCK = 1024 * 1024
BITE = 4 * 1024
"""What the exact reader takes before the decoder is tried again; doubled each time that it refuses."""
_GLANCE = 4_096
LARGEST_RECORD = 8 * 1024 * 1024
"""A stretch without a whole record that is longer than this is given up as damage."""


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
        compiled: bool = False,
    ) -> None:
        """`compiled`: whether compiled code reads regular records; it must be available."""
        self.path = path
        self._damage = DamageList(path)
        self.report = ReadingReport(damage=self._damage.entries)
        self._constants = constants
        self._range = (start, end)
        self._block = block
        self._rows = Rows(path, constants, self.report)
        self._decoder: TypedDecoder | TemplateDecoder = (TemplateDecoder if compiled else TypedDecoder)(constants)
        self._bite = BITE
        self._torn = False

    def __iter__(self) -> Iterator[RecordTable]:
        start, end = self._range
        with Source(self.path, start, end) as source:
            for _ in self._read(source, start):
                yield from self._finished()
            if source.trouble:
                self._damage.add(start + self.report.bytes_read, 0, source.trouble)
        self._rows.finish()
        yield from self._finished()
        self._damage.sum_up()

    def _finished(self) -> list[RecordTable]:
        tables, self._rows.ready = self._rows.ready, []
        return tables

    def _read(self, source: Source, base: int) -> Iterator[None]:
        """Gather all records; pauses after each step, when tables may have become ready."""
        buffer = bytearray(self._block + 1 + PAD)
        at = stop = 1  # one byte is kept free before and one after the content for brackets
        origin = base - at  # offset in the file of buffer[0]
        ended = False
        opened = base > 0 and _file_opens_array(self.path)
        closed = False
        met, fertile = 0, 0
        while True:
            if met < self._rows.n:
                met, fertile = self._rows.n, self.report.bytes_read
            if (source.is_compressed or not met) and self.report.bytes_read - fertile > MAX_BARREN:
                self._damage.add(origin + at, 0, BARREN)
                break
            if at > 1 and not ended:
                length = stop - at
                buffer[1 : 1 + length] = buffer[at:stop]
                origin += at - 1
                at, stop = 1, 1 + length
            with memoryview(buffer) as view:
                while not ended and stop < len(buffer) - PAD:
                    n = source.readinto(view[stop:-PAD])
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
            before = self._rows.n
            at = self._decoder.read(buffer, at, stop, ended=ended, rows=self._rows)
            if self._rows.n > before:
                self._bite = BITE
                self._torn = False
                yield
                continue
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
            self._take(piece, found, origin + at)
            yield
            at += found.consumed
            if len(buffer) > self._block + 1 + PAD and stop - at < self._block // 2:
                buffer = buffer[at - 1 : stop].ljust(self._block + 1 + PAD, b"\0")
                origin += at - 1
                at, stop = 1, 1 + stop - at
        if opened and not closed and self._range[1] is None and not self._torn:
            self._damage.add(
                base + self.report.bytes_read, 0, "the array is not closed: the file may have been cut here"
            )

    def _take(self, piece: bytes, found: Scan, offset: int) -> None:
        """Gather what the exact reader found in `piece`, which lies at `offset`, and let the decoder learn from it."""
        for begin, length, reason in found.damage:
            self._damage.add(offset + begin, length, reason)
        if found.damage or found.records:
            self._torn = bool(found.damage) and (not found.records or found.damage[-1][0] >= found.records[-1][1])
        taken: list[tuple[LogShape, list[float]]] = []
        for _, _, value in found.records:
            entry = read(value, self.report.problems, self._constants)
            assert entry is not None  # the exact reader only gives records
            taken.append(entry)
        for shape, group in groupby(taken, key=itemgetter(0)):
            self._rows.put(shape, np.array([numbers for _, numbers in group]))
        if taken:
            ends = [end for _, end, _ in found.records]
            start = found.records[-1][0]
            separator = piece[ends[-2] : start] if len(ends) > 1 else None
            self._decoder.learn(piece[start : ends[-1]], separator, *taken[-1])


def _file_opens_array(path: Path) -> bool:
    """Whether the content of a plain file is an array, at least at its beginning."""
    with Source(path, 0, _GLANCE) as source:
        glance = bytearray(_GLANCE)
        n = source.readinto(memoryview(glance))
    return _opens_array(glance[:n])


def _opens_array(content: bytearray) -> bool:
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
