"""Paired comparisons of every pair of policies, overall and on every mission.

One guarantee: the probability that *any* "better" or "worse" in the list is false is at most alpha. The whole list is
one family: every pair overall, and every pair on every mission. Half of alpha is reserved for the overall comparisons,
half for the missions, and Holm's step-down passes on the shares of rejected hypotheses, so that testing 20 missions
costs the overall verdict a factor of two, not of twenty-one. With a single mission the overall comparison is the
mission's, and counts once.

"equal" needs a margin, and has a separate guarantee: the probability of any false "equal" is at most alpha.

Intervals are each at level 1 - alpha and not adjusted: an interval may exclude 0 while the family's verdict is
still "undecided".
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.arrays import FloatArray, IntArray, check_alpha, check_names, check_resamples, differences, finite
from daf.stats.effect import check_margin, d_z, equivalence, improvement
from daf.stats.multiple import holm
from daf.stats.over_missions import studentized_sign_flip
from daf.stats.pair_verdict import PairVerdict, Verdict
from daf.stats.permutation import SignFlipResult, sign_flip, smallest_p
from daf.stats.sentences import labels
from daf.stats.shapes import caveat_for_differences

MOST_PATTERNS = 250_000
"""Upper bound on the patterns drawn for a family that is too large for `resamples` patterns to decide."""


def compare_pairs(
    names: Sequence[str],
    scores: ArrayLike,
    strata: ArrayLike,
    stratum_names: Sequence[str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = 10_000,
    margin: float | None = None,
    unit: str = "reward per agent",
    only: int | None = None,
) -> list[PairVerdict]:
    """All pairs of policies, first over all missions, then mission by mission.

    only: the index of a policy; its pairs with the others are then the whole family, with this policy first.

    scores: (n_policies, n_blocks), the same blocks for all; strata: (n_blocks,) indices into `stratum_names`.
    resamples: sign patterns per test, at least; more are drawn for a family that is too large for these to decide.
    margin: the practical difference, in the unit of the scores, below which policies count as equal.
    Fewer than two policies give an empty list. Raises `DataError` for NaN and for shapes and names that do not match.
    """
    rows = finite(scores)
    if rows.ndim != 2:
        raise DataError(f"scores need shape (n_policies, n_blocks); got {rows.shape}.")
    check_names(names, rows.shape[0], what="policy")
    groups = _groups(strata, rows.shape[1], stratum_names)
    check_alpha(alpha)
    check_resamples(resamples)
    if margin is not None:
        check_margin(margin)
    pairs = list(combinations(range(rows.shape[0]), 2))
    if only is not None:
        pairs = [(only, other) for other in range(rows.shape[0]) if other != only]
    if not pairs:
        return []
    policy_labels, stratum_labels = labels(names), labels(stratum_names)
    apart = np.array([differences(rows[a], rows[b]) for a, b in pairs])
    present = [int(group) for group in np.unique(groups)]
    several = len(present) > 1
    scopes: list[int | None] = [None, *present]
    tested: list[int | None] = [None, *present] if several else [None]
    shares = np.concatenate([family_shares(scope, len(pairs), len(present)) for scope in tested])
    patterns = max(resamples, min(MOST_PATTERNS, math.ceil(4 / (alpha * shares.min()))))
    tests = [_test(apart, groups, scope, alpha, patterns, seed) for scope in tested]
    adjusted = holm(np.concatenate([test.p for test in tests]), shares).reshape(len(tested), -1)
    by_blocks = [smallest_p(_columns(groups, scope).size) for scope in tested]
    least = holm(np.repeat(by_blocks, len(pairs)), shares).reshape(len(tested), -1)
    resolved = holm(np.repeat([test.smallest_p for test in tests], len(pairs)), shares).reshape(len(tested), -1)
    too_coarse = (
        f"{shares.size:,} comparisons are more than {patterns:,} sign patterns can decide: compare fewer policies or "
        "missions at once."
    )
    equal: FloatArray | None = None
    if margin is not None:
        raw = [_equivalence(apart, groups, scope, margin, patterns, seed) for scope in tested]
        equal = holm(np.concatenate(raw), shares).reshape(len(tested), -1)
    found = []
    for scope in scopes:
        at = tested.index(scope) if scope in tested else 0
        columns = _columns(groups, scope)
        effects = d_z(apart[:, columns], groups[columns])
        chances = improvement(apart[:, columns], groups[columns], alpha=alpha)
        for pair, (a, b) in enumerate(pairs):
            d = apart[pair, columns]
            p_equal = None if equal is None else float(equal[at, pair])
            low, high = float(tests[at].low[pair]), float(tests[at].high[pair])
            found.append(
                PairVerdict(
                    a=a,
                    b=b,
                    name_a=policy_labels[a],
                    name_b=policy_labels[b],
                    stratum=scope,
                    stratum_name=None if scope is None else stratum_labels[scope],
                    where=where_of(scope, present, stratum_labels),
                    n=d.size,
                    wins=int(np.sum(d > 0)),
                    losses=int(np.sum(d < 0)),
                    ties=int(np.sum(d == 0)),
                    difference=float(tests[at].difference[pair]),
                    ci=(low, high) if np.isfinite(low) and np.isfinite(high) else None,
                    p=float(tests[at].p[pair]),
                    p_adjusted=float(adjusted[at, pair]),
                    p_equal=p_equal,
                    effect_size=float(effects[pair]) if np.isfinite(effects[pair]) else None,
                    prob_improvement=float(chances.probability[pair]),
                    prob_improvement_ci=(float(chances.low[pair]), float(chances.high[pair])),
                    verdict=_verdict(
                        d, tests[at].difference[pair], adjusted[at, pair], least[at, pair], p_equal, alpha
                    ),
                    caveat=too_coarse if resolved[at, pair] > alpha >= least[at, pair] else caveat_for_differences(d),
                    alpha=alpha,
                    margin=margin,
                    unit=unit,
                    family=shares.size,
                    share=float(shares[at * len(pairs) + pair]),
                )
            )
    return found


def _verdict(
    d: FloatArray, difference: float, p_adjusted: float, least: float, p_equal: float | None, alpha: float
) -> Verdict:
    if not d.any():
        return "identical"
    if p_equal is not None and p_equal <= alpha:
        return "equal"
    if p_adjusted <= alpha:
        return "better" if difference > 0 else "worse"
    return "too few" if least > alpha else "undecided"


def _groups(strata: ArrayLike, n_blocks: int, stratum_names: Sequence[str]) -> IntArray:
    groups = np.asarray(strata)
    if groups.shape != (n_blocks,) or not np.issubdtype(groups.dtype, np.integer):
        raise DataError(f"strata: need {n_blocks} integers, one per block; got shape {groups.shape} of {groups.dtype}.")
    if groups.min() < 0 or groups.max() >= len(stratum_names):
        raise DataError(
            f"strata reach from {groups.min()} to {groups.max()}, but there are {len(stratum_names)} names."
        )
    return groups.astype(np.int64)


def family_shares(scope: int | None, n_pairs: int, n_strata: int) -> FloatArray:
    """The parts of alpha with which the pairs of one scope start: half for overall, half for all missions."""
    if n_strata == 1:
        return np.full(n_pairs, 1.0 / n_pairs)
    return np.full(n_pairs, 0.5 / n_pairs if scope is None else 0.5 / (n_pairs * n_strata))


def _columns(groups: IntArray, scope: int | None) -> IntArray:
    return np.arange(groups.size) if scope is None else np.flatnonzero(groups == scope)


def _test(
    apart: FloatArray, groups: IntArray, scope: int | None, alpha: float, patterns: int, seed: int
) -> SignFlipResult:
    columns = _columns(groups, scope)
    test = studentized_sign_flip if scope is None else sign_flip
    return test(apart[:, columns], groups[columns], alpha=alpha, resamples=patterns, seed=seed)


def _equivalence(
    apart: FloatArray, groups: IntArray, scope: int | None, margin: float, patterns: int, seed: int
) -> FloatArray:
    columns = _columns(groups, scope)
    return equivalence(apart[:, columns], groups[columns], margin=margin, resamples=patterns, seed=seed)


def where_of(scope: int | None, present: list[int], stratum_labels: list[str]) -> str:
    """ "on arena", "over 3 missions"."""
    if scope is not None or len(present) == 1:
        return f"on {stratum_labels[present[0] if scope is None else scope]}"
    return f"over {len(present)} missions"
