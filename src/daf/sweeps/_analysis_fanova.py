"""fANOVA: the share of the objective's variance that each hyperparameter explains alone.

A random forest is fitted to the trials. Each tree is constant on boxes, so its mean over all other hyperparameters is a
step function of the remaining one. The variance of that function, divided by the tree's, is the importance. The
remainder to 1 is explained by several hyperparameters together. All parts of the space have equal weight, including
those that the search rarely visited.

Running time grows with the number of trials, so at most `MOST` of them are used, drawn at random if there are more.

Source: Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014. The
definition is that of Optuna's `FanovaImportanceEvaluator`, whose loop over leaves takes minutes; a cumulative sum over
sorted leaves takes its place here. A test compares the two. Choices are split in their order. A range that is searched
on a logarithmic scale is also averaged on that scale, which Optuna does not do.
"""

import numpy as np
from numpy.typing import NDArray

from daf.stats.arrays import FloatArray, generator

MOST = 500
TREES = 16
"""Number of trees per forest."""
FORESTS = 19
HALVES = 20


def explained(places: FloatArray, values: FloatArray, *, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of the variance by column, on all trials and on `HALVES` random halves, and the share due to chance.

    places: (trials, columns) in the unit cube. values: (trials,). Each of the `FORESTS` forests is fitted to the
    columns and to a randomly permuted copy of each of them; the share of a copy is due to chance. Returns the means of
    the true columns (columns,), the halves (halves, columns) and the copies (forests, columns).
    """
    rng = generator(seed)
    columns, half = places.shape[1], len(values) // 2
    drawn = [rng.permutation(len(values))[:half] for _ in range(HALVES)]
    forests = [np.hstack([places, rng.permuted(places, axis=0)]) for _ in range(FORESTS)]
    full = np.array([_forest(both, values, seed + i) for i, both in enumerate(forests)])
    halves = [_forest(places[some], values[some], seed + i) for i, some in enumerate(drawn)]
    return full[:, :columns].mean(axis=0), np.array(halves), full[:, columns:]


def _forest(places: FloatArray, values: FloatArray, seed: int) -> FloatArray:
    """Mean over the non-constant trees, each fitted to a bootstrap sample of the trials; 0 if all are constant.

    The trees are those of scikit-learn's forest, without its overhead per tree.
    """
    from sklearn.tree import DecisionTreeRegressor

    rng = generator(seed)
    inputs = places.astype(np.float32)
    found = []
    for number in range(TREES):
        times = np.bincount(rng.integers(len(values), size=len(values)), minlength=len(values)).astype(np.float64)
        grown = DecisionTreeRegressor(random_state=seed + number)
        tree = grown.fit(inputs, values, sample_weight=times, check_input=False).tree_
        part = _tree(tree, places.shape[1])
        if part is not None:
            found.append(part)
    mean: FloatArray = np.mean(found, axis=0) if found else np.zeros(places.shape[1])
    return mean


def _tree(tree: object, columns: int) -> FloatArray | None:
    """Share of a tree's variance over the unit cube that each column explains; None for a constant tree."""
    low, high, value = _boxes(tree, columns)
    widths = high - low
    volume = widths.prod(axis=1)
    mean = float(volume @ value)
    total = float(volume @ (value - mean) ** 2)
    if total <= 1e-12 * max(1.0, mean**2):
        return None
    found = np.zeros(columns)
    for column in range(columns):
        rest = np.delete(widths, column, axis=1).prod(axis=1) * (value - mean)
        edges = np.concatenate([low[:, column], high[:, column]])
        order = np.argsort(edges, kind="stable")
        height = np.cumsum(np.concatenate([rest, -rest])[order])[:-1]
        found[column] = np.diff(edges[order]) @ height**2
    return found / total


def _boxes(tree: object, columns: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(leaves, columns) lower and upper ends of the leaves' boxes in the unit cube, and (leaves,) their values."""
    left: NDArray[np.int64] = tree.children_left  # type: ignore[attr-defined]
    right, feature, bar = tree.children_right, tree.feature, tree.threshold  # type: ignore[attr-defined]
    low, high = np.zeros((len(left), columns)), np.ones((len(left), columns))
    level = np.flatnonzero(left[:1] >= 0)
    while len(level):
        for children, ends, pick in ((left[level], high, np.minimum), (right[level], low, np.maximum)):
            low[children], high[children] = low[level], high[level]
            ends[children, feature[level]] = pick(ends[children, feature[level]], bar[level])
        below = np.concatenate([left[level], right[level]])
        level = below[left[below] >= 0]
    leaves = left < 0
    return low[leaves], high[leaves], tree.value[leaves, 0, 0]  # type: ignore[attr-defined]
