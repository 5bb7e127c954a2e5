"""What DAF is measured against: Student, Welch, and rliable as its examples use it (unpaired, percentile).

rliable draws from numpy's global generator whatever seed it is given, so that is what is seeded here.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
Array = NDArray[np.float64]


def student(d: Array) -> tuple[Array, Array]:
    """Student's intervals of the means of (samples, n)."""
    from scipy.stats import t

    n = d.shape[-1]
    reach = t.ppf(1 - ALPHA / 2, n - 1) * d.std(axis=-1, ddof=1) / math.sqrt(n)
    return d.mean(axis=-1) - reach, d.mean(axis=-1) + reach


def welch(scores: Array) -> Array:
    """Welch's p values of every pair, (families, policies, n) → (families, pairs)."""
    from scipy.stats import ttest_ind

    pairs = combinations(range(scores.shape[1]), 2)
    with np.errstate(all="ignore"):
        p = [ttest_ind(scores[:, a], scores[:, b], axis=-1, equal_var=False).pvalue for a, b in pairs]
    return np.nan_to_num(np.stack(p, axis=1), nan=1.0)


def welch_every_look(scores: Array, first: int) -> NDArray[np.bool_]:
    """Whether any pair of a family is ever below α when one looks after every block from the `first`; 200 families."""
    some = scores[:200]
    found = np.zeros(len(some), dtype=bool)
    for n in range(first, scores.shape[-1] + 1):
        found |= welch(some[:, :, :n]).min(axis=1) <= ALPHA
    return found


def welch_interval(scores: Array) -> tuple[Array, Array]:
    """Welch's intervals of the difference of (samples, 2, n)."""
    from scipy.stats import ttest_ind

    found = ttest_ind(scores[:, 0], scores[:, 1], axis=-1, equal_var=False).confidence_interval(1 - ALPHA)
    return np.asarray(found.low), np.asarray(found.high)


def rliable_errors(scores: Array) -> NDArray[np.bool_]:
    """Whether any pair's interval of a family leaves out 0, (families, policies, n) → (families,)."""
    np.random.seed(0)
    errors = []
    for family in scores:
        wrong = False
        for a, b in combinations(range(len(family)), 2):
            low, high = _rliable_bounds([family[a][:, None], family[b][:, None]], _difference)[:, 0]
            wrong |= bool(low > 0 or high < 0)
        errors.append(wrong)
    return np.array(errors, dtype=np.bool_)


def rliable_difference(scores: Array) -> tuple[Array, Array]:
    """Percentile intervals of the difference of (samples, 2, n), both sides resampled independently."""
    np.random.seed(0)
    bounds = [_rliable_bounds([pair[0][:, None], pair[1][:, None]], _difference)[:, 0] for pair in scores]
    return np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])


def rliable_mean(scores: Array) -> tuple[Array, Array]:
    """Percentile intervals of the means of (samples, n)."""
    np.random.seed(0)
    bounds = [_rliable_bounds(sample[:, None], lambda x: np.array([x.mean()]))[:, 0] for sample in scores]
    return np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])


def _rliable_bounds(scores: object, statistic: Callable[..., Array]) -> Array:
    with _pandas_as_arch_expects_it():
        from rliable import library
    _, bounds = library.get_interval_estimates({"x": scores}, statistic, reps=1000)
    return np.asarray(bounds["x"])


def _difference(a: Array, b: Array) -> Array:
    return np.array([a.mean() - b.mean()])


@contextlib.contextmanager
def _pandas_as_arch_expects_it() -> Iterator[None]:
    """rliable needs `arch`, whose decorators call a private function of pandas by its signature before pandas 3."""
    from pandas.util import _decorators

    new = _decorators.deprecate_kwarg

    def old(*arguments: object, **options: object) -> object:
        before_pandas_3 = isinstance(arguments[0], str)
        return new(FutureWarning, *arguments, **options) if before_pandas_3 else new(*arguments, **options)

    _decorators.deprecate_kwarg = old
    try:
        yield
    finally:
        _decorators.deprecate_kwarg = new


def adastop(scores: Array, seed: int) -> tuple[bool, int]:
    """Whether AdaStop 0.1.3 calls two policies different, and the runs of each that it needs; (2, 36) scores.

    Called as its README does: 6 checks after 6 runs each, 10,000 permutations.
    """
    from adastop import MultipleAgentsComparator

    comparator = MultipleAgentsComparator(n=6, K=6, B=10_000, alpha=ALPHA, seed=seed)
    used = 0
    for check in range(6):
        used = 6 * (check + 1)
        comparator.partial_compare({"a": scores[0, :used], "b": scores[1, :used]}, verbose=False)
        if comparator.is_finished:
            break
    return any(decision in ("larger", "smaller") for decision in comparator.decisions.values()), used
