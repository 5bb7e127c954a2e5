"""A uniform sample of all records, without replacement, that depends on the records and the seed and on nothing else.

Every record has a hash: of the seed, its file's name and its place in the file. The sample is the k records with the
least hashes (a bottom-k sketch; Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). As hashes
are as good as independent and uniform, every set of k records is equally likely, however unequal the files; the least
hashes of a union are the least of the parts' least ones, so neither the order of files nor the number of processes
can matter.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from daf.streams.records import FIXED, FloatArray, RecordTable

type HashArray = NDArray[np.uint64]

NO_BOUND = 2**64 - 1
_PIECES = 1_024
"""Pieces of a sample that may wait to be merged: every separate array takes some hundred bytes."""


def source_key(seed: int, name: str, offset: int = 0) -> np.uint64:
    """64 bits that distinguish the source `name` (from byte `offset` on) under `seed` from every other."""
    digest = hashlib.blake2b(f"{seed}\0{offset}\0{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def record_hashes(key: np.uint64, first: int, n: int) -> HashArray:
    """Hashes of the records `first` to `first + n - 1` of a source (SplitMix64's finalizer over a keyed counter,
    twice).
    """
    z = np.arange(first, first + n, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += key
    for _ in range(2):
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        z ^= key
    return z


class Sample:
    """The `size` records with the least hashes so far.

    `rows` is (columns, n): the record's ordinal in its source and its place in that source's share of training (0 to
    1), then the table's columns; `sources` holds each record's source as an index into `names`.
    """

    def __init__(self, size: int, bound: int = NO_BOUND) -> None:
        self.size = size
        self.columns: list[str] = ["ordinal", "share", *FIXED]
        self.hashes: HashArray = np.empty(0, dtype=np.uint64)
        self.rows: FloatArray = np.empty((len(self.columns), 0))
        self.names: list[str] = []
        self.sources: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._pending: list[tuple[HashArray, tuple[str, ...], FloatArray, NDArray[np.int64]]] = []
        self._waiting = 0
        self._bound = np.uint64(bound)

    def add(self, hashes: HashArray, source: str, first: int, share: FloatArray, table: RecordTable) -> None:
        """Offer the records of `table`, the first of which is number `first` of `source`."""
        chosen = np.flatnonzero(hashes <= self._bound)
        if len(chosen) > self.size:
            chosen = chosen[np.argpartition(hashes[chosen], self.size - 1)[: self.size]]
        if not len(chosen):
            return
        rows = np.concatenate([(first + chosen)[None, :], share[None, chosen], table.data[:, chosen]])
        sources = np.full(len(chosen), self._index(source))
        self._offer(hashes[chosen], ("ordinal", "share", *FIXED, *table.names), rows, sources)

    def merge(self, other: "Sample", before: dict[str, int] | None = None) -> None:
        """Add the sample of `other`; `before`: records of each source that came before those that it saw."""
        other.settle()
        sources = np.array([self._index(name) for name in other.names], dtype=np.int64)[other.sources]
        rows = other.rows.copy()
        rows[0] += np.array([(before or {}).get(name, 0) for name in other.names], dtype=np.float64)[other.sources]
        self._offer(other.hashes, tuple(other.columns), rows, sources)

    def settle(self) -> None:
        """Reduce the held records to the sample itself."""
        for _, names, _, _ in self._pending:
            self.columns += [name for name in names if name not in self.columns]
        rows = [_spread(self.rows, self.columns[: self.rows.shape[0]], self.columns)]
        rows += [_spread(part, names, self.columns) for _, names, part, _ in self._pending]
        hashes = np.concatenate([self.hashes, *(h for h, _, _, _ in self._pending)])
        sources = np.concatenate([self.sources, *(s for _, _, _, s in self._pending)])
        joined = np.concatenate(rows, axis=1)
        if len(hashes) > self.size:
            chosen = np.argpartition(hashes, self.size - 1)[: self.size]
            hashes, joined, sources = hashes[chosen], joined[:, chosen], sources[chosen]
        self.hashes, self.rows, self.sources = hashes, joined, sources
        self._pending, self._waiting = [], 0
        if len(self.hashes) == self.size:
            self._bound = min(self._bound, self.hashes.max())

    def reaches(self, bound: int) -> bool:
        """Whether no record with a hash up to `bound` was left out, or only such as have no place in a full sample."""
        return len(self.hashes) == self.size or int(self._bound) >= bound

    def sort(self) -> None:
        """Settle, and put the records in the order of their hashes, the columns in that of their names."""
        self.settle()
        own = len(FIXED) + 2
        columns = self.columns[:own] + sorted(self.columns[own:])
        order = np.argsort(self.hashes, kind="stable")
        rows = _spread(self.rows, self.columns, columns)[:, order]
        self.columns, self.hashes, self.rows, self.sources = columns, self.hashes[order], rows, self.sources[order]

    def _index(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _offer(self, hashes: HashArray, names: tuple[str, ...], rows: FloatArray, sources: NDArray[np.int64]) -> None:
        self._pending.append((hashes, names, rows, sources))
        self._waiting += len(hashes)
        if self._waiting >= self.size or len(self._pending) >= _PIECES:
            self.settle()


def _spread(rows: FloatArray, names: list[str] | tuple[str, ...], columns: list[str]) -> FloatArray:
    """`rows`, named `names`, in the order of `columns`; NaN where there is none."""
    if list(names) == columns:
        return rows
    spread = np.full((len(columns), rows.shape[1]), np.nan)
    spread[[columns.index(name) for name in names]] = rows
    return spread
