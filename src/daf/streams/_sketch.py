"""Quantiles of all values within a stated error, in a few kilobytes, the same in whatever order the values came.

A value is counted in the bucket of its sign, its exponent and the first `BITS` bits of its mantissa; its neighbours
in the bucket differ by less than 2**-BITS of its size. So the value given for a quantile lies within `RELATIVE_ERROR`
(0.4 %) of a value whose rank is exactly the one asked for; zeros are exact. Counts are integers: merging is exact and
has no order. The idea is DDSketch's (Masson, Rim, Lee, VLDB 2019), with the float's own bits for the logarithm.
"""

import numpy as np
from numpy.typing import NDArray

from daf.streams._kernels import counting
from daf.streams.records import FloatArray

BITS = 7
RELATIVE_ERROR = 2.0 ** -(BITS + 1)
_SHIFT = 52 - BITS
_SIGN = np.int64(1) << np.int64(63 - _SHIFT)
_LEAST_RUN = 4
"""Records per run of one bucket, on average, from which the runs are counted as they are; else values are sorted."""
_PENDING = 8_192
"""Counts that wait to be joined."""
_PIECES = 256
"""Pieces of them that may wait: every separate array takes a hundred bytes, however small it is."""


class Sketch:
    """Counts per bucket of one column."""

    def __init__(self) -> None:
        self._keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._pending: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._waiting = 0

    def add(self, values: FloatArray) -> None:
        """Count `values` (n,), none of them NaN."""
        if not values.size:
            return
        if (kernel := counting()) is not None:
            found, numbers = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
            n = kernel.buckets(values.view(np.uint64), np.uint64(_SHIFT), kernel.BUCKETS, found, numbers)
            self._push(found[:n].copy(), numbers[:n].copy())
            return
        keys = (values.view(np.uint64) >> np.uint64(_SHIFT)).view(np.int64)
        ends = np.flatnonzero(keys[1:] != keys[:-1])
        if len(ends) * _LEAST_RUN > len(keys):
            keys.sort()
            ends = np.flatnonzero(keys[1:] != keys[:-1])
        ends = np.concatenate((ends, (len(keys) - 1,)))
        lengths = ends + 1
        lengths[1:] -= ends[:-1] + 1
        self._push(keys[ends], lengths)

    def merge(self, other: "Sketch") -> None:
        """Add what `other` counted."""
        self._push(*other._compacted())

    @property
    def n(self) -> int:
        return int(self._compacted()[1].sum())

    def counts(self) -> dict[int, int]:
        """Values per bucket's number."""
        keys, counts = self._compacted()
        return dict(zip(keys.tolist(), counts.tolist(), strict=True))

    def _push(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        if not len(keys):
            return
        self._pending.append((keys, counts))
        self._waiting += len(keys)
        if self._waiting > _PENDING or len(self._pending) >= _PIECES:
            self._compacted()

    def _compacted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of the buckets, ascending, each once, and their counts."""
        if self._pending:
            keys = np.concatenate([self._keys, *(keys for keys, _ in self._pending)])
            counts = np.concatenate([self._counts, *(counts for _, counts in self._pending)])
            order = np.argsort(keys)
            keys, counts = keys[order], counts[order]
            begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
            self._keys, self._counts = keys[begins], np.add.reduceat(counts, begins)
            self._pending, self._waiting = [], 0
        return self._keys, self._counts

    def buckets(self) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """The non-empty buckets in ascending order: their lower edges, upper edges and counts."""
        rows: dict[tuple[float, float], int] = {}
        for key, n in self.counts().items():
            edges = _edges(key)
            rows[edges] = rows.get(edges, 0) + n
        ordered = sorted(rows)
        table = np.array(ordered, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1], np.array([rows[edges] for edges in ordered], dtype=np.int64)

    def quantiles(self, q: FloatArray) -> FloatArray:
        """The values of ranks ceil(q·n) (at least 1), each within `RELATIVE_ERROR`; NaN where nothing was counted."""
        low, high, counts = self.buckets()
        if not len(counts):
            return np.full(len(q), np.nan)
        ranks = np.clip(np.ceil(q * counts.sum()), 1, counts.sum())
        found = np.searchsorted(np.cumsum(counts), ranks)
        middle: FloatArray = (low + (high - low) / 2)[found]
        return middle


def _edges(key: int) -> tuple[float, float]:
    """The lower and the upper edge of a bucket; both 0 for the zeros."""
    negative = bool(key & int(_SIGN))
    key &= int(_SIGN) - 1
    inner, outer = (np.array([key, key + 1], dtype=np.uint64) << np.uint64(_SHIFT)).view(np.float64).tolist()
    outer = min(outer, float(np.finfo(np.float64).max))
    if key == 0:
        return (0.0, 0.0)
    return (-outer, -inner) if negative else (inner, outer)
