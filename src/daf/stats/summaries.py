"""One row per policy for a ranked table: mean and IQM over missions, each with its interval and a caveat.

The intervals are of single policies, studentized bootstrap of whole blocks within missions; from fewer than
`FEW_BLOCKS` blocks in a mission Student's t, since a bootstrap has too little to resample there. They show how well
each mean is known, not which policy is better: for that the paired verdicts are sharper, since all policies played the
same blocks. Where the data give a studentized interval no bound, because most scores are the same, the row has the BCa
interval instead, as `method` states; likewise where it diverged, to a bound farther outside all scores than their
range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.aggregates import Statistic, iqm, mean, stratified
from daf.stats.arrays import FloatArray, check_alpha, check_names, check_resamples, finite, strata_of
from daf.stats.bootstrap import Interval, Method, interval
from daf.stats.sentences import labels
from daf.stats.shapes import caveat_for_scores
from daf.stats.student import student_interval

FEW_BLOCKS = 20
"""With fewer blocks in a mission, intervals are Student's: see `daf.stats.student`."""

FEWEST_FOR_IQM = 8
"""With fewer, an IQM rests on too few scores for a meaningful interval."""

SummaryMethod = Method | Literal["student"]


@dataclass(frozen=True)
class PolicySummary:
    """How one policy scores over missions that count the same."""

    policy: int
    name: str
    """Printable, and different for different policies."""
    rank: int
    """1 for the highest mean; equal means share a rank."""
    mean: float
    ci: tuple[float, float] | None
    """1 - alpha interval of the mean; `None` if a mission has only one episode."""
    iqm: float
    iqm_ci: tuple[float, float] | None
    """`None` if a mission has fewer than `FEWEST_FOR_IQM` episodes."""
    n: int
    method: SummaryMethod | None
    """Of the mean's interval."""
    caveat: str


def summarise(
    names: Sequence[str],
    scores: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    resamples: int = 5_000,
    seed: int = 0,
) -> list[PolicySummary]:
    """The policies of `scores` (n_policies, n_blocks), best mean first, ties in the order given.

    Raises `DataError` for NaN and for shapes that do not fit.
    """
    rows = finite(scores)
    if rows.ndim != 2:
        raise DataError(f"scores need shape (n_policies, n_blocks); got {rows.shape}.")
    check_names(names, rows.shape[0], what="policy")
    check_alpha(alpha)
    check_resamples(resamples)
    groups = strata_of(strata, rows.shape[1])
    means, iqms = stratified(rows, groups), stratified(rows, groups, statistic=iqm)
    mean_bounds = _bounds(rows, groups, mean, alpha, resamples, seed)
    iqm_bounds = _bounds(rows, groups, iqm, alpha, resamples, seed)
    # Means that differ by rounding only share a rank.
    rounded = np.array([float(f"{value:.12g}") for value in means])
    ranks = 1 + np.sum(rounded[None, :] > rounded[:, None], axis=1)
    printable = labels(names)
    return [
        PolicySummary(
            policy=policy,
            name=printable[policy],
            rank=int(ranks[policy]),
            mean=float(means[policy]),
            ci=mean_bounds[policy][0],
            iqm=float(iqms[policy]),
            iqm_ci=iqm_bounds[policy][0],
            n=rows.shape[1],
            method=mean_bounds[policy][1],
            caveat=_caveat(rows[policy], groups),
        )
        for policy in np.argsort(ranks, kind="stable").tolist()
    ]


_Bounds = tuple[tuple[float, float] | None, SummaryMethod | None]


def _bounds(
    rows: FloatArray, groups: np.ndarray, statistic: Statistic, alpha: float, resamples: int, seed: int
) -> list[_Bounds]:
    if np.bincount(groups).min() < 2:
        return [(None, None)] * len(rows)

    def by(method: Method) -> Interval:
        return interval(rows, groups, statistic=statistic, method=method, alpha=alpha, resamples=resamples, seed=seed)

    if np.bincount(groups).min() < FEW_BLOCKS:
        if statistic is iqm and np.bincount(groups).min() < FEWEST_FOR_IQM:
            return [(None, None)] * len(rows)
        low, high = student_interval(rows, groups, "mean" if statistic is mean else "iqm", alpha=alpha)
        return [((float(a), float(b)), "student") for a, b in zip(low, high, strict=True)]
    studentized = by("studentized")
    least, greatest = rows.min(axis=1), rows.max(axis=1)
    apart = greatest - least
    with np.errstate(invalid="ignore"):
        useful = (studentized.low >= least - apart) & (studentized.high <= greatest + apart)
    open_ended = ~(useful & np.isfinite(studentized.low) & np.isfinite(studentized.high))
    corrected = by("bca") if open_ended.any() else studentized
    return [
        ((float(found.low[policy]), float(found.high[policy])), found.method)
        for policy in range(len(rows))
        for found in [corrected if open_ended[policy] else studentized]
    ]


def _caveat(scores: FloatArray, groups: np.ndarray) -> str:
    """The first caveat that any mission gives; missions differ in scale, so their scores are not pooled."""
    found = [caveat_for_scores(scores[groups == group]) for group in range(int(groups.max()) + 1)]
    if np.unique(scores).size == 1 and scores.size > 1:
        return f"All {scores.size} episodes scored the same."
    telling = [text for text in found if text and not text.startswith("All ")]
    return telling[0] if telling else ""
