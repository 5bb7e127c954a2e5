"""How often each cell of each map was visited, exactly, per slice of training.

A cell is (map, x, y), whole numbers between -32,768 and 32,767; anything else is counted as `misplaced`. Keys are
packed into one integer each and counted by sorting, so the memory follows the number of different cells, not of
records.
"""

import numpy as np
from numpy.typing import NDArray

from daf.streams._kernels import counting
from daf.streams.records import FloatArray

SLICES = 32_768
"""Slices are numbered from 0 and stay below this."""
MOST = 120_000
_PENDING, _PIECES = 65_536, 2_048
_HALF = 32_768


class Visits:
    """Counts per (slice, map, x, y)."""

    def __init__(self) -> None:
        self.misplaced = 0
        self.shift = 0
        """Slices are joined by 2**shift: slice s is counted as s >> shift."""
        self._keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._pending: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._pending_keys = 0

    def add(self, slices: NDArray[np.int64], x: FloatArray, y: FloatArray, maps: FloatArray) -> None:
        """Count one visit for each row; rows with an absent coordinate are left out."""
        kernel = counting()
        if kernel is not None and 2 * len(x) <= len(kernel.CELLS):
            found, numbers = np.empty(len(x), np.int64), np.empty(len(x), np.int64)
            n, misplaced = kernel.visits(slices, maps, x, y, self.shift, kernel.CELLS, kernel.VISITS, found, numbers)
            self.misplaced += misplaced
            self._push(found[:n].copy(), numbers[:n].copy())
            return
        if np.isnan((maps + x + y).sum()):
            known = ~(np.isnan(x) | np.isnan(y) | np.isnan(maps))
            slices, x, y, maps = slices[known], x[known], y[known], maps[known]
        with np.errstate(invalid="ignore"):  # beyond 64 bits: refused below
            columns = [column.astype(np.int64) for column in (maps, x, y)]
        good = np.ones(len(x), dtype=np.bool_)
        for column, given in zip(columns, (maps, x, y), strict=True):
            good &= (column == given) & (column >= -_HALF) & (column < _HALF)
        if not good.all():
            self.misplaced += int((~good).sum())
            slices, columns = slices[good], [column[good] for column in columns]
        keys = slices.astype(np.int64) >> self.shift
        for column in columns:
            keys = keys * (2 * _HALF) + (column + _HALF)
        keys.sort()
        if len(keys):
            ends = np.concatenate((np.flatnonzero(keys[1:] != keys[:-1]), (len(keys) - 1,)))
            lengths = ends + 1
            lengths[1:] -= ends[:-1] + 1
            self._push(keys[ends], lengths)

    def merge(self, other: "Visits", moved: int = 0) -> None:
        """Add what `other` counted, its slices `moved` up, which must be as `other.moved` gives it."""
        self.misplaced += other.misplaced
        other._compact()
        self._join_slices(max(self.shift, other.shift))
        keys = other._keys + (moved >> other.shift << 48)
        self._push(_with_slices_joined(keys, self.shift - other.shift), other._counts)

    def moved(self, wanted: int, used: int) -> int:
        """By how much to move these visits, in the first `used` slices, to leave at least `wanted` slices before them:
        whole joined slices, and no further than the last slice.
        """
        self._compact()
        whole = -(-wanted >> self.shift) << self.shift
        return min(whole, (SLICES - used) >> self.shift << self.shift)

    def table(self) -> NDArray[np.int64]:
        """(cells, 5): slice >> shift, map, x, y, visits; in ascending order."""
        self._compact()
        rest, columns = self._keys.copy(), []
        for _ in range(3):
            columns.append(rest % (2 * _HALF) - _HALF)
            rest //= 2 * _HALF
        return np.column_stack([rest, *reversed(columns), self._counts])

    def _push(self, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._pending.append((keys, counts))
        self._pending_keys += len(keys)
        if self._pending_keys > _PENDING or len(self._pending) >= _PIECES:
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        self._join_pending()
        while len(self._keys) > MOST and int(self._keys[-1]) >> 48:
            self._join_slices(self.shift + 1)

    def _join_slices(self, shift: int) -> None:
        """Join slices until `shift` is reached."""
        if shift > self.shift:
            self._pending.append((self._keys, self._counts))
            more = shift - self.shift
            self._pending = [(_with_slices_joined(keys, more), counts) for keys, counts in self._pending]
            self._keys, self._counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
            self.shift = shift
            self._join_pending()

    def _join_pending(self) -> None:
        """Merge the pending visits into the sorted keys, with little additional memory."""
        keys = np.concatenate([keys for keys, _ in self._pending])
        counts = np.concatenate([counts for _, counts in self._pending])
        self._pending, self._pending_keys = [], 0
        order = np.argsort(keys)
        keys, counts = keys[order], counts[order]
        begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, np.intp)
        keys = keys[begins]
        counts = np.add.reduceat(counts, begins) if len(begins) else counts
        if not len(self._keys):
            self._keys, self._counts = keys, counts
            return
        places = np.searchsorted(self._keys, keys)
        known = self._keys[np.minimum(places, len(self._keys) - 1)] == keys
        self._counts[places[known]] += counts[known]
        if not known.all():
            self._keys = np.insert(self._keys, places[~known], keys[~known])
            self._counts = np.insert(self._counts, places[~known], counts[~known])


def _with_slices_joined(keys: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    return ((keys >> (48 + shift)) << 48) | (keys & ((1 << 48) - 1)) if shift else keys
