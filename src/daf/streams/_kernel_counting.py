"""Compiled counting of tables: the results of `_moments`, `_sketch` and `_visits` without it, to the last bit.

Sums are added up in the order of the rows, as `np.bincount` does, and nothing is reassociated or fused. This module
needs numba; `daf.compute.compiling` imports it.
"""

from typing import Any

import numpy as np
from numba import njit

BUCKETS = np.zeros(1 << 19, np.int32)
"""A count for each bucket of a sketch, 0 between two calls of `buckets`."""
CELLS, VISITS = np.zeros(1 << 15, np.int64), np.zeros(1 << 15, np.int64)
"""A hash table of visited cells, its counts 0 between two calls of `visits`, for at most half as many rows."""
_HALF = 32_768
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False, "cache": True}


@njit(
    "boolean(float64[:, :], float64[:], float64, int64, int64[::1], int64, int64, float64[:, ::1], float64[:, ::1], "
    "float64[:, ::1])",
    **_OPTIONS,
)
def moments(
    values: Any, where: Any, per_width: Any, first: Any, rows: Any, at: Any, n_bins: Any, ns: Any, means: Any, m2s: Any
) -> Any:
    """Count `values` (columns, n) into bins: number floor(where · per_width) - first goes to column `at` + number of
    `ns`, `means` and `m2s`, in the rows `rows`. False, and nothing is done, where a value is NaN.
    """
    n = len(where)
    bins = np.empty(n, np.int64)
    counts, sums, mean = np.zeros(n_bins), np.empty(n_bins), np.empty((len(rows), n_bins))
    for i in range(n):
        bins[i] = np.int64(np.floor(where[i] * per_width)) - first
        counts[bins[i]] += 1.0
    for c in range(len(rows)):
        sums[:] = 0.0
        bin_now, total = bins[0], 0.0
        for i in range(n):
            if bins[i] != bin_now:
                sums[bin_now] = total
                bin_now, total = bins[i], sums[bins[i]]
            total += values[c, i]
        sums[bin_now] = total
        for b in range(n_bins):
            if sums[b] != sums[b]:
                return False
            mean[c, b] = sums[b] / max(counts[b], 1.0)
    for c in range(len(rows)):
        sums[:] = 0.0
        bin_now, total, middle = bins[0], 0.0, mean[c, bins[0]]
        for i in range(n):
            if bins[i] != bin_now:
                sums[bin_now] = total
                bin_now, total, middle = bins[i], sums[bins[i]], mean[c, bins[i]]
            deviation = values[c, i] - middle
            total += deviation * deviation
        sums[bin_now] = total
        row = rows[c]
        for b in range(n_bins):
            before, m2_before, mean_before = ns[row, at + b], m2s[row, at + b], means[row, at + b]
            both = before + counts[b]
            safe = both if both > 0.0 else 1.0
            delta = mean[c, b] - mean_before
            ns[row, at + b] = both
            means[row, at + b] = mean[c, b] if before == 0.0 else mean_before + delta * (counts[b] / safe)
            m2s[row, at + b] = m2_before + sums[b] + delta * delta * (before * counts[b] / safe)
    return True


@njit("int64(uint64[:], uint64, int32[::1], int64[::1], int64[::1])", **_OPTIONS)
def buckets(bits: Any, shift: Any, table: Any, keys: Any, counts: Any) -> Any:
    """The different numbers bits >> shift and how often each occurs, in `keys` and `counts`; returns their number."""
    found = 0
    for i in range(len(bits)):
        key = np.int64(bits[i] >> shift)
        if table[key] == 0:
            keys[found] = key
            found += 1
        table[key] += 1
    for i in range(found):
        counts[i] = table[keys[i]]
        table[keys[i]] = 0
    return found


@njit(
    "UniTuple(int64, 2)(int64[:], float64[:], float64[:], float64[:], int64, int64[::1], int64[::1], int64[::1], "
    "int64[::1])",
    **_OPTIONS,
)
def visits(
    slices: Any, maps: Any, x: Any, y: Any, shift: Any, table: Any, table_counts: Any, keys: Any, counts: Any
) -> Any:
    """The different cells visited and how often each is, in `keys` and `counts`; returns their number and the number of
    rows whose coordinates are not those of a cell. Rows with an absent coordinate are left out.
    """
    mask = len(table) - 1
    found = misplaced = 0
    for i in range(len(slices)):
        key = slices[i] >> shift
        good = known = True
        for coordinate in (maps[i], x[i], y[i]):
            known = known and coordinate == coordinate
            good = good and -_HALF <= coordinate < _HALF and np.floor(coordinate) == coordinate
            key = key * (2 * _HALF) + (np.int64(coordinate) + _HALF if good else 0)
        if not (known and good):
            misplaced += 1 if known else 0
            continue
        slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask
        while table_counts[slot] and table[slot] != key:
            slot = (slot + 1) & mask
        if table_counts[slot] == 0:
            table[slot] = key
            keys[found] = slot
            found += 1
        table_counts[slot] += 1
    for i in range(found):
        slot = keys[i]
        keys[i], counts[i] = table[slot], table_counts[slot]
        table_counts[slot] = 0
    return found, misplaced
