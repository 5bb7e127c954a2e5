"""Means and variances per bin, of any number of columns, that merge without loss.

Counts are exact; means and sums of squared deviations are computed in two passes per batch and merged by Chan's
formula (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm", 1979), so no cancellation occurs,
whatever the mean. Bin widths are powers of two, so coarsening joins whole bins: a record counted in one bin is never
split or moved.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daf.streams._kernels import counting
from daf.streams.records import FloatArray

type IntArray = NDArray[np.int64]


@dataclass
class Cells:
    """For each column (row) and bin: how many values, their mean, and the sum of their squared deviations."""

    n: FloatArray
    mean: FloatArray
    m2: FloatArray

    @classmethod
    def empty(cls, columns: int, bins: int) -> "Cells":
        return cls(*(np.zeros((columns, bins)) for _ in range(3)))

    def merge(self, other: "Cells") -> "Cells":
        """Both together, bin by bin."""
        n = self.n + other.n
        safe = np.where(n > 0, n, 1.0)
        delta = other.mean - self.mean
        mean = np.where(self.n == 0, other.mean, self.mean + delta * (other.n / safe))
        m2 = self.m2 + other.m2 + delta * delta * (self.n * other.n / safe)
        return Cells(n, mean, m2)

    def halve(self) -> "Cells":
        """Neighbouring bins joined; the number of bins must be even."""
        left = Cells(self.n[:, ::2], self.mean[:, ::2], self.m2[:, ::2])
        return left.merge(Cells(self.n[:, 1::2], self.mean[:, 1::2], self.m2[:, 1::2]))

    def total(self) -> "Cells":
        """All bins joined into one, by halves."""
        cells = self
        while cells.n.shape[1] > 1:
            if cells.n.shape[1] % 2:
                cells = cells.padded(0, 1)
            cells = cells.halve()
        return cells

    def padded(self, before: int, after: int) -> "Cells":
        """With empty bins on either side."""
        return Cells(*(_grown(part, 0, before, after) for part in (self.n, self.mean, self.m2)))

    def widened(self, columns: int) -> "Cells":
        """With empty columns added up to `columns`."""
        more = columns - self.n.shape[0]
        if not more:
            return self
        return Cells(*(_grown(part, more, 0, 0) for part in (self.n, self.mean, self.m2)))


def _grown(part: FloatArray, rows: int, before: int, after: int) -> FloatArray:
    """`part` with zeros around it; `np.pad` takes ten times as long."""
    grown = np.zeros((part.shape[0] + rows, before + part.shape[1] + after))
    grown[: part.shape[0], before : before + part.shape[1]] = part
    return grown


def cells_of(bins: NDArray[np.intp], values: FloatArray, n_bins: int) -> Cells:
    """`Cells` of `values` (columns, n) that fall into `bins` (n,); NaN is left out."""
    counts = np.bincount(bins, minlength=n_bins).astype(np.float64)
    cells = Cells.empty(len(values), n_bins)
    for index, column in enumerate(values):
        own, own_bins, own_counts = column, bins, counts
        if np.isnan(column.sum()):
            known = ~np.isnan(column)
            own, own_bins = column[known], bins[known]
            own_counts = np.bincount(own_bins, minlength=n_bins).astype(np.float64)
        mean = np.bincount(own_bins, own, n_bins) / np.maximum(own_counts, 1.0)
        deviation = own - mean[own_bins]
        deviation *= deviation
        cells.n[index] = own_counts
        cells.mean[index] = mean
        cells.m2[index] = np.bincount(own_bins, deviation, n_bins)
    return cells


_EXACT = 2**53
"""Whole numbers below this are exact as floats."""


@dataclass
class Binned:
    """`Cells` over an axis of unknown range: bins of width 2**`exponent`, from bin number `low` on.

    When the values would span more than `most` bins, or a bin's number would not be exact as a float, neighbours are
    joined until they do not.
    """

    most: int = 2048
    exponent: int = 0
    low: int = 0
    columns: list[str] = field(default_factory=list)
    cells: Cells = field(default_factory=lambda: Cells.empty(0, 0))

    @property
    def width(self) -> float:
        return float(2.0**self.exponent)

    @property
    def edges(self) -> FloatArray:
        """(bins + 1,) edges; bin i holds edges[i] <= value < edges[i + 1]."""
        return (self.low + np.arange(self.cells.n.shape[1] + 1)) * self.width

    def add(self, names: tuple[str, ...], where: FloatArray, values: FloatArray) -> None:
        """Count `values` (columns, n), named `names`, at `where` (n,); a NaN place is left out."""
        if np.isnan(where.sum()):
            known = np.isfinite(where)
            where, values = where[known], values[:, known]
        if not where.size:
            return
        least, greatest = float(where.min()), float(where.max())
        self._make_room(least, greatest)
        first = int(np.floor(least / self.width))
        span = int(np.floor(greatest / self.width)) - first + 1
        per_width = 1.0 / self.width
        if (kernel := counting()) is not None:
            rows, at = self._window(names, first, span)
            mine = self.cells
            if kernel.moments(values, where, per_width, first, rows, at, span, mine.n, mine.mean, mine.m2):
                return
        bins = np.floor(where * per_width).astype(np.intp) - first
        self._join(names, first, cells_of(bins, values, span))

    def merge(self, other: "Binned") -> None:
        """Add what `other` counted."""
        if not other.cells.n.shape[1]:
            return
        other = Binned(self.most, other.exponent, other.low, list(other.columns), other.cells)
        if not self.cells.n.shape[1]:
            self.exponent, self.low = other.exponent, 0
        edges = other.edges
        while self.exponent < other.exponent:
            self.coarsen()
        self._make_room(float(edges[0]), float(np.nextafter(edges[-1], -np.inf)))
        while other.exponent < self.exponent:
            other.coarsen()
        self._join(tuple(other.columns), other.low, other.cells)

    def _make_room(self, least: float, greatest: float) -> None:
        """Coarsen until the range and the present bins fit into `most` bins whose numbers are exact."""
        while True:
            low, high = int(np.floor(least / self.width)), int(np.floor(greatest / self.width))
            if self.cells.n.shape[1]:
                low, high = min(low, self.low), max(high, self.low + self.cells.n.shape[1] - 1)
            if high - low < self.most and -_EXACT < low <= high < _EXACT:
                return
            self.coarsen()

    def coarsen(self) -> None:
        """Join neighbouring bins: the width doubles."""
        if self.cells.n.shape[1]:
            before = self.low % 2
            after = (self.cells.n.shape[1] + before) % 2
            self.cells = self.cells.padded(before, after).halve()
            self.low = (self.low - before) // 2
        self.exponent += 1

    def _window(self, names: tuple[str, ...], first: int, size: int) -> tuple[NDArray[np.intp], int]:
        """Make room for `size` bins from bin number `first` on; the rows of `names` in the cells, and the column."""
        columns = self.columns + [name for name in names if name not in self.columns]
        if not self.cells.n.shape[1]:
            self.low, self.cells = first, Cells.empty(len(columns), size)
        self.cells = self.cells.widened(len(columns))
        self.columns = columns
        before = max(self.low - first, 0)
        after = max(first + size - (self.low + self.cells.n.shape[1]), 0)
        if before or after:
            self.cells = self.cells.padded(before, after)
            self.low -= before
        return np.array([columns.index(name) for name in names], dtype=np.intp), first - self.low

    def _join(self, names: tuple[str, ...], first: int, cells: Cells) -> None:
        size = cells.n.shape[1]
        rows, at = self._window(names, first, size)
        window = (rows, slice(at, at + size))
        mine = Cells(self.cells.n[window], self.cells.mean[window], self.cells.m2[window])
        both = mine.merge(cells)
        self.cells.n[window], self.cells.mean[window], self.cells.m2[window] = both.n, both.mean, both.m2
