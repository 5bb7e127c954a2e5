"""Pareto front: the points that no other point dominates, for any number of objectives and 100,000 points at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daf.errors import DataError


def pareto_front(values: ArrayLike, directions: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) whether each point is on the front: no other is as good in all objectives and better in one.

    values: (n, m) finite. directions: "maximize" or "minimize", one per objective. Of equal points, either all are on
    the front or none is.
    """
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != len(directions) or not np.isfinite(points).all():
        raise DataError(f"the points need shape (n, {len(directions)}) and finite numbers; got {points.shape}.")
    costs = points * np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    if not len(costs):
        return np.zeros(0, dtype=bool)
    order = np.lexsort(costs.T[::-1])  # by the first objective, then the second, …: no point dominates an earlier one
    ordered = costs[order]
    first = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])  # of each run of equal points
    unique = ordered[first]
    if unique.shape[1] <= 2:
        last = unique[:, -1]
        kept = last < np.concatenate([[np.inf], np.minimum.accumulate(last)[:-1]])
    else:
        kept = np.zeros(len(unique), dtype=bool)
        front = np.empty((0, unique.shape[1]))
        for index, point in enumerate(unique):
            if not (front <= point).all(axis=1).any():
                kept[index] = True
                front = np.vstack([front, point])
    found = np.zeros(len(costs), dtype=bool)
    found[order] = kept[np.cumsum(first) - 1]
    return found
