"""Records given their place: the stretch of an environment's life they belong to, and their time in training.

A *stretch* ends where `step` falls: an environment's records of one episode within one flush. `total_steps` is mostly
one number per file, the moment of the flush, and inside a file the environments follow each other; so a record's
place in its file's share of training is its position in its stretch, (j + 1/2) / length, between 0 and 1.

Environments that step together leave equally many records each. If a file's records divide into equal blocks, each of
which starts where `step` is not continued, the blocks are the environments, and an episode that starts inside one of
them keeps its place in it. If they do not (records lost, environments that do not step together, a file beyond
`HELD_BYTES`), stretches alone decide, and the error of a record's time is at most its file's share of training.

Where `total_steps` moves inside a file it is a clock, and a record's time is read off it: records of one stretch with
the same `total_steps` are spread evenly from the previous value to theirs.

A length is known only at its end, so records wait for it: in memory, and beyond `WAITING_ROWS` or `WAITING_TABLES` in a
temporary file.
"""

import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import numpy as np
from numpy.typing import NDArray

from daf.streams.records import FIXED, FloatArray, RecordTable

ROWS = 8_192
"""Rows that are worked on at once."""
WAITING_ROWS = 65_536
WAITING_TABLES = 2_048
HELD_BYTES = 12 * 1024 * 1024
"""Tables up to this size are held back to look for equal blocks."""
_TABLE = 1_024
"""Approximate overhead of a table in addition to its rows."""


@dataclass(frozen=True)
class Placed:
    """A table with each record's place: position j (from 0) and length L of the records it is spread with, and the
    clock's value `since` before them (NaN where there is no clock, or nothing before). `starts`: the rows at which a
    stretch starts; rows before the first of them continue the stretch of the previous `Placed`.
    """

    table: RecordTable
    position: FloatArray
    length: FloatArray
    since: FloatArray
    starts: NDArray[np.intp]


class Stretches:
    """Takes tables in the order of the log and gives the same rows, in the same order, once their place is known.

    `clock`: whether `total_steps` is a clock in this source; `since`: its value before the first record, if known.
    """

    def __init__(self, *, clock: bool = False, since: float | None = None) -> None:
        self._clock = clock
        self._since = np.nan if since is None else since
        self._held_back: list[RecordTable] | None = None if clock else []
        self._held_bytes = 0
        self._fresh: list[RecordTable] = []
        self._fresh_rows = 0
        self._open: list[RecordTable] = []
        self._open_rows = 0
        self._open_starts = False
        self._spill: IO[bytes] | None = None
        self._spilled: list[tuple[tuple[str, ...], bool, int]] = []
        self._last_step = self._last_total = np.nan
        self._begun = False
        self._peak = -np.inf

    def add(self, table: RecordTable) -> Iterator[Placed]:
        """Take `table`; the rows whose place it settled."""
        if self._held_back is None:
            yield from self._take(table)
            return
        self._held_back.append(table)
        self._held_bytes += table.data.nbytes + _TABLE
        if self._held_bytes > HELD_BYTES:
            yield from self._release()

    def finish(self) -> Iterator[Placed]:
        """The rows that were waiting when the source ended."""
        if self._held_back:
            step = np.concatenate([table.data[0] for table in self._held_back])
            block = equal_blocks(step)
            if block is not None:
                yield from self._in_blocks(step, block)
                return
            yield from self._release()
        yield from self._sort_in()
        yield from self._close()

    def _release(self) -> Iterator[Placed]:
        tables, self._held_back = deque(self._held_back or []), None
        while tables:
            yield from self._take(tables.popleft())

    def _in_blocks(self, step: FloatArray, block: int) -> Iterator[Placed]:
        """Give everything held back; every `block` records are another environment's."""
        falls = np.zeros(len(step), dtype=np.bool_)
        falls[1:] = step[1:] < step[:-1]
        falls[::block] = True
        first, tables = 0, deque(self._held_back or [])
        self._held_back = []
        while tables:
            table = tables.popleft()
            position = np.arange(first, first + table.n, dtype=np.float64) % block
            starts = np.flatnonzero(falls[first : first + table.n])
            nothing = np.full(table.n, np.nan)
            yield Placed(self._raise(table, starts), position, np.full(table.n, float(block)), nothing, starts)
            first += table.n

    def _take(self, table: RecordTable) -> Iterator[Placed]:
        if self._fresh and (self._fresh[0].names, self._fresh[0].rising) != (table.names, table.rising):
            yield from self._sort_in()
        self._fresh.append(table)
        self._fresh_rows += table.n
        if self._fresh_rows >= ROWS:
            yield from self._sort_in()

    def _sort_in(self) -> Iterator[Placed]:
        """Give the finished stretches among the fresh rows; what follows the last beginning stays open."""
        if not self._fresh:
            return
        first = self._fresh[0]
        data = first.data if len(self._fresh) == 1 else np.concatenate([t.data for t in self._fresh], axis=1)
        self._fresh, self._fresh_rows = [], 0
        step, total = _filled(data[0], self._last_step), data[1]
        falls = np.empty(len(step), dtype=np.bool_)
        falls[0] = not self._begun or step[0] < self._last_step
        np.less(step[1:], step[:-1], out=falls[1:])
        begins = falls
        if self._clock:
            total = _filled(total, self._last_total)
            begins = falls.copy()
            begins[0] |= bool(total[0] != self._last_total)
            begins[1:] |= total[1:] != total[:-1]
        self._begun = True
        self._last_step = step[-1]
        cuts = np.flatnonzero(begins)
        head = int(cuts[0]) if len(cuts) else data.shape[1]
        if head:
            self._hold(RecordTable(first.names, data[:, :head], first.rising))
        if len(cuts):
            yield from self._close()
            tail = int(cuts[-1])
            if tail > head:
                self._last_total = total[tail - 1]
                yield self._whole(first, data[:, head:tail], cuts, np.flatnonzero(falls[head:tail]), total)
            self._open_starts = bool(falls[tail])
            self._hold(RecordTable(first.names, data[:, tail:], first.rising))
        self._last_total = total[-1]

    def _whole(
        self, like: RecordTable, data: FloatArray, cuts: NDArray[np.intp], starts: NDArray[np.intp], total: FloatArray
    ) -> Placed:
        """Rows that are whole groups, which begin at `cuts` (all but the last)."""
        lengths = np.diff(cuts)
        position = np.arange(data.shape[1], dtype=np.float64) - np.repeat(cuts[:-1] - cuts[0], lengths)
        since = np.full(data.shape[1], np.nan)
        if self._clock:
            clocks = total[cuts[:-1]]
            since = np.repeat(np.concatenate(([self._since], clocks[:-1])), lengths)
            since = _before(data[1], since)
            self._since = clocks[-1]
        table = self._raise(RecordTable(like.names, data, like.rising), starts)
        return Placed(table, position, np.repeat(lengths.astype(np.float64), lengths), since, starts)

    def _hold(self, table: RecordTable) -> None:
        self._open.append(table)
        self._open_rows += table.n
        if self._open_rows > WAITING_ROWS or len(self._open) > WAITING_TABLES:
            self._spill = self._spill or tempfile.TemporaryFile(prefix="daf-logs-")  # noqa: SIM115 lives with this object
            for held in self._open:
                for begin in range(0, held.n, ROWS):
                    piece = np.ascontiguousarray(held.data[:, begin : begin + ROWS])
                    self._spill.write(piece.tobytes())
                    self._spilled.append((held.names, held.rising, piece.shape[1]))
            self._open, self._open_rows = [], 0

    def _close(self) -> Iterator[Placed]:
        """Give the open rows, which have come to their end."""
        length = float(self._open_rows + sum(n for _, _, n in self._spilled))
        done = 0.0
        since = self._since
        for table in self._held():
            starts = np.zeros(1 if self._open_starts and not done else 0, dtype=np.intp)
            n = table.n
            clock = _before(table.data[1], np.full(n, since)) if self._clock else np.full(n, np.nan)
            if self._clock and not np.isnan(table.data[1, -1]):
                self._since = table.data[1, -1]
            yield Placed(
                self._raise(table, starts), np.arange(n, dtype=np.float64) + done, np.full(n, length), clock, starts
            )
            done += n
        self._open, self._open_rows, self._spilled, self._open_starts = [], 0, [], False

    def _held(self) -> Iterator[RecordTable]:
        if self._spill is not None and self._spilled:
            self._spill.seek(0)
            for names, rising, n in self._spilled:
                rows = len(FIXED) + len(names)
                data = np.frombuffer(self._spill.read(rows * n * 8)).reshape(rows, n).copy()
                yield RecordTable(names, data, rising)
            self._spill.seek(0)
            self._spill.truncate()
        yield from self._open

    def _raise(self, table: RecordTable, starts: NDArray[np.intp]) -> RecordTable:
        """Let "level" be its running maximum per stretch, where it is derived."""
        if not table.rising:
            return table
        data = table.data.copy()
        level = data[len(FIXED) + table.names.index("level")]
        bounds = [0, *starts.tolist(), table.n]
        for begin, end in pairwise(bounds):
            if begin == end:
                continue
            if begin in starts:
                self._peak = -np.inf
            known = ~np.isnan(level[begin:end])
            part = level[begin:end][known]
            if len(part):
                part = np.maximum.accumulate(np.maximum(part, self._peak))
                self._peak = part[-1]
                level[begin:end][known] = part
        return RecordTable(table.names, data, rising=False)


def equal_blocks(step: FloatArray) -> int | None:
    """The length of the shortest equal blocks, at least two of two records, which are environments' one after
    another.

    Each starts where `step` (n,) does not rise by its usual amount. If it does not fall there, the previous block must
    have started a new episode inside: a mere gap in the steps does not mean a new environment. `None` if there are no
    such blocks, if a step is absent, and if falls of `step` alone show the same blocks.
    """
    n = len(step)
    if n < 4 or np.isnan(step.sum()):
        return None
    rises = np.diff(step, prepend=np.inf)
    falls = rises < 0
    if not falls.any() or not (rises[1:] > 0).any():
        return None
    breaks = rises != float(np.median(rises[1:][rises[1:] > 0]))
    most = int(breaks.sum())
    for blocks in range(min(most, n // 2), 1, -1):
        if n % blocks:
            continue
        block = n // blocks
        if not breaks[::block].all():
            continue
        inside = falls.reshape(blocks, block).copy()
        inside[:, 0] = False
        if (falls[block::block] | inside.any(axis=1)[:-1]).all():
            only_falls = most == blocks and bool(falls[block::block].all())
            return None if only_falls else block
    return None


def _filled(values: FloatArray, before: float) -> FloatArray:
    """`values` with each NaN replaced by the last number before it (`before` at the front)."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    extended = np.concatenate(([before], values))
    source = np.where(np.isnan(extended), 0, np.arange(len(extended)))
    filled: FloatArray = extended[np.maximum.accumulate(source)][1:]
    return filled


def _before(total: FloatArray, since: FloatArray) -> FloatArray:
    """`since`, but the record's own time where nothing was before it or the clock was set back."""
    return np.where(np.isnan(since) | (since > total), total, since)
