"""Scores of policies that share teams, from plain numbers: `metta_alo.scoring`'s formulas, with intervals.

Points are upstream's results, to the bit. Intervals are studentized bootstraps over whole episodes or matches; with
fewer than two there is none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daf.errors import DataError, UsageError
from daf.game import scoring
from daf.game.allocation import allocate
from daf.stats.aggregates import mean
from daf.stats.arrays import FloatArray, finite
from daf.stats.bootstrap import interval
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class VorResult:
    """A value over replacement. ci: `None` for single numbers. n: paired episodes."""

    vor: float
    ci: Bounds
    candidate_score: float
    replacement_score: float
    n: int


@dataclass(frozen=True)
class WeightedScore:
    """A policy's score over matches, weighted by its share of their agents. matches: those that it played in."""

    score: float
    ci: Bounds
    matches: int


@dataclass(frozen=True)
class ScoreRow:
    """A line of `daf_scoring_summary`. vor: against the baseline, `None` without one and for itself."""

    policy: str
    score: float
    ci: Bounds
    agents: int | None
    per_agent: float
    vor: float | None
    vor_ci: Bounds
    n: int


def daf_compute_vor(
    candidate: float | Sequence[float],
    replacement: float | Sequence[float],
    *,
    alpha: float = 0.05,
    resamples: int = 5_000,
    seed: int = 0,
    console: "Console | None" = None,
) -> VorResult:
    """Value of a candidate over its replacement: the difference of their mean scores.

    candidate, replacement: a score each, or one per episode, on the same episodes. Raises `DataError` for scores that
    are not finite, or that cannot be paired.
    """
    first, second = _scores(candidate, "candidate"), _scores(replacement, "replacement")
    if first.size != second.size:
        raise DataError(f"{first.size} candidate scores and {second.size} of the replacement cannot be paired.")
    means = (sum(first.tolist()) / first.size, sum(second.tolist()) / second.size)
    ci = _interval(first - second, alpha, resamples, seed)
    found = VorResult(scoring.over_replacement(*means), ci, *means, first.size)
    show(console, "Value over replacement", found)
    return found


def daf_compute_weighted_score(
    scores: Sequence[Mapping[str, float]],
    agent_counts: Sequence[Mapping[str, int]],
    *,
    alpha: float = 0.05,
    resamples: int = 5_000,
    seed: int = 0,
    console: "Console | None" = None,
) -> dict[str, WeightedScore]:
    """Every policy's score over matches, each weighted by the policy's share of the match's agents.

    scores: per match, its policies' scores (mean return per agent). agent_counts: per match, how many agents each
    policy had. A policy without any agent scores 0, as upstream does. Raises `DataError`.
    """
    if len(scores) != len(agent_counts) or not scores:
        raise DataError(
            f"got scores of {len(scores)} matches and agent counts of {len(agent_counts)}; the numbers must be equal."
        )
    for match, (score, counts) in enumerate(zip(scores, agent_counts, strict=True)):
        if not all(math.isfinite(value) for value in score.values()):
            raise DataError(f"match {match} has a score that is not finite: {dict(score)}.")
        if any(count < 0 for count in counts.values()):
            raise DataError(f"match {match} has a negative number of agents: {dict(counts)}.")
    policies = list(dict.fromkeys(policy for score in scores for policy in score))
    points = scoring.weighted_scores(policies, scores, agent_counts)
    found = {}
    for policy in policies:
        shares = [
            (score[policy], counts.get(policy, 0) / sum(counts.values()))
            for score, counts in zip(scores, agent_counts, strict=True)
            if policy in score and counts.get(policy, 0) > 0
        ]
        ci = _ratio_interval(np.array(shares).T, alpha, resamples, seed) if len(shares) > 1 else None
        found[policy] = WeightedScore(points[policy], ci, len(shares))
    show(console, "Scores weighted by agents", found)
    return found


def daf_allocate_agents(
    total: int, weights: Sequence[float] | Mapping[str, float], *, console: "Console | None" = None
) -> list[int] | dict[str, int]:
    """Distribute `total` agents by weights, largest remainders rounded up; a mapping gives a mapping.

    `metta_alo.scoring.allocate_counts`. Raises `UsageError` for weights that don't add up to more than 0.
    """
    values = list(weights.values()) if isinstance(weights, Mapping) else list(weights)
    _check_shares(values)
    counts = allocate(total, values)
    named = weights if isinstance(weights, Mapping) else range(len(counts))
    rows = [{"policy": name, "weight": w, "agents": n} for name, w, n in zip(named, values, counts, strict=True)]
    show(console, f"{total} agents by weight", rows)
    return dict(zip(weights, counts, strict=True)) if isinstance(weights, Mapping) else counts


def daf_validate_proportions(
    proportions: Sequence[float] | None, num_policies: int, *, console: "Console | None" = None
) -> None:
    """Raise `UsageError` unless there is one proportion per policy and one above 0; `None` means equal shares.

    Upstream's rule, and one more: a negative or infinite proportion is rejected.
    """
    scoring.validate_proportions(proportions, num_policies)
    if proportions is not None:
        _check_shares(proportions)
    valid = [1.0] * num_policies if proportions is None else list(proportions)
    rows = [{"policy": policy, "share of agents": value / sum(valid)} for policy, value in enumerate(valid)]
    show(console, f"Proportions of {num_policies} policies are valid", rows)


def daf_scoring_summary(
    scores: Mapping[str, Sequence[float]],
    *,
    agent_counts: Mapping[str, int] | None = None,
    baseline: str | None = None,
    alpha: float = 0.05,
    resamples: int = 5_000,
    seed: int = 0,
    console: "Console | None" = None,
) -> list[ScoreRow]:
    """Every policy's mean score, per agent and over a baseline, best first.

    scores: per policy, one per episode, the same episodes for all. agent_counts: agents that a score is the total of;
    without it scores are per agent already. baseline: the policy that values are over. Raises `DataError` and
    `UsageError`.
    """
    if not scores:
        raise DataError("no scores to summarise.")
    if baseline is not None and baseline not in scores:
        raise UsageError(f'the baseline "{baseline}" has no scores. Choose one of {", ".join(scores)}.')
    rows = {policy: _scores(values, policy) for policy, values in scores.items()}
    if len({row.size for row in rows.values()}) > 1:
        raise DataError(
            f"policies must have the same number of episodes, got { {p: r.size for p, r in rows.items()} }."
        )
    means = {policy: sum(row.tolist()) / row.size for policy, row in rows.items()}
    each = means if agent_counts is None else scoring.scores_per_agent(means, agent_counts)
    per = {policy: 1 if agent_counts is None else max(agent_counts.get(policy, 0), 1) for policy in rows}
    found = []
    for policy, row in rows.items():
        over: Bounds = None
        if baseline is not None and policy != baseline:
            over = _interval(row / per[policy] - rows[baseline] / per[baseline], alpha, resamples, seed)
        found.append(
            ScoreRow(
                policy=policy,
                score=means[policy],
                ci=_interval(row, alpha, resamples, seed),
                agents=None if agent_counts is None else agent_counts.get(policy, 0),
                per_agent=each[policy],
                vor=None
                if baseline is None or policy == baseline
                else scoring.over_replacement(each[policy], each[baseline]),
                vor_ci=over,
                n=row.size,
            )
        )
    ordered = sorted(found, key=lambda row: -row.per_agent)
    show(console, "Scores", ordered)
    return ordered


def _check_shares(values: Sequence[float]) -> None:
    odd = [value for value in values if not math.isfinite(value) or value < 0]
    if odd:
        raise UsageError(f"proportions must be finite and at least 0, got {odd[0]} in {list(values)}.")


def _scores(values: float | Sequence[float], what: str) -> FloatArray:
    row = finite(np.atleast_1d(np.asarray(values, dtype=np.float64)), what=f"scores of {what}")
    if row.ndim != 1:
        raise DataError(f"the scores of {what} must be one-dimensional, got shape {row.shape}.")
    return row


def _interval(row: FloatArray, alpha: float, resamples: int, seed: int) -> Bounds:
    if row.size < 2:
        return None
    found = interval(row, statistic=mean, alpha=alpha, resamples=resamples, seed=seed)
    return _finite(float(found.low), float(found.high))


def _ratio_interval(shares: FloatArray, alpha: float, resamples: int, seed: int) -> Bounds:
    """Of Σ score · weight / Σ weight, for `shares` (2, n): scores and weights."""

    def ratio(rows: FloatArray) -> FloatArray:
        return np.asarray((rows[..., 0, :] * rows[..., 1, :]).sum(axis=-1) / rows[..., 1, :].sum(axis=-1))

    def error(rows: FloatArray) -> FloatArray:
        scores, weights = rows[..., 0, :], rows[..., 1, :]
        residuals = (scores - ratio(rows)[..., None]) * weights / weights.mean(axis=-1, keepdims=True)
        n = residuals.shape[-1]
        return np.asarray(np.sqrt((residuals**2).sum(axis=-1) / (n - 1) / n))

    found = interval(shares, statistic=ratio, error=error, alpha=alpha, resamples=resamples, seed=seed)
    return _finite(float(found.low), float(found.high))


def _finite(low: float, high: float) -> Bounds:
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
