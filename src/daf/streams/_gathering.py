"""Records of one shape gathered into tables of a fixed size, whichever decoder read them.

The tables of a log depend on its records alone, not on the sizes of blocks or on who decoded them. Results that are
computed from tables are therefore the same to the last bit.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.streams._damage import Damage
from daf.streams.records import FieldProblems, FloatArray, LogShape, NameBound, RecordTable, RunConstants, tabulate

PAD = 64
"""Free bytes after the content of a buffer, which a decoder may overwrite."""
ROWS = 8_192
"""Rows of a table; the last one before the shape changes or the log ends has fewer."""
_WIDTH = ROWS + 16
"""Length of a column that is filled: with a power of two, the places of a row would share a few lines of the cache."""


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


class Rows:
    """Rows that wait to be a table; the finished ones are in `ready`."""

    def __init__(self, path: Path, constants: RunConstants, report: ReadingReport) -> None:
        self.report = report
        self.ready: list[RecordTable] = []
        self._constants = constants
        self._names = NameBound(path)
        self._shape: LogShape | None = None
        self._array: FloatArray = np.empty((0, _WIDTH))
        self._spare: FloatArray = self._array
        self._n = 0

    @property
    def n(self) -> int:
        """All rows so far."""
        return self.report.records + self._n

    def room(self, shape: LogShape) -> tuple[FloatArray, int]:
        """An array (paths, `ROWS` or more) for rows of `shape` and the first free row; nothing changes until `took`.

        Raises `DataError` for too many names.
        """
        if shape == self._shape:
            return self._array, self._n
        if len(self._spare) != len(shape.paths) or self._spare is self._array:
            self._names.check(shape)
            self._spare = np.empty((len(shape.paths), _WIDTH))
        return self._spare, 0

    def took(self, shape: LogShape, n: int) -> None:
        """Count `n` rows, at least one, that were written to the array that `room` gave."""
        if shape != self._shape:
            self.finish()
            self._names.add(shape)
            self._shape = shape
            self._array, self._spare = self._spare, self._array
        self._n += n
        if self._n == ROWS:
            self.finish()

    def put(self, shape: LogShape, rows: NDArray[Any]) -> None:
        """Add `rows`: (n, paths), or (n,) with a field per path."""
        done = 0
        while done < len(rows):
            array, begin = self.room(shape)
            piece = rows[done : done + ROWS - begin]
            end = begin + len(piece)
            if piece.dtype.names is None:
                array[:, begin:end] = piece.T
            else:
                for column, path in zip(array, shape.paths, strict=True):
                    column[begin:end] = piece[path]
            self.took(shape, len(piece))
            done += len(piece)

    def finish(self) -> None:
        """Make a table of the rows that wait."""
        if self._n and self._shape is not None:
            self.report.records += self._n
            self.report.kinds[self._shape.kind] += self._n
            self.ready.append(tabulate(self._shape, self._array[:, : self._n], self._constants))
            self._n = 0
