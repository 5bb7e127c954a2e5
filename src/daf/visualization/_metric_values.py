"""Any metric of episodes, by mission and policy, for drawing: from records, a report made by hand, or numbers.

If no metrics are named, those in which the policies differ most are used, by the share of the variance between policies
(eta squared); a metric that never varies shows nothing and is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daf.episodes.record import EpisodeRecord
from daf.errors import DataError, UsageError, unknown
from daf.metrics import daf_analyze_distributions, same_values
from daf.render.figures.frame import finite_values
from daf.render.figures.means import Estimate
from daf.stats.summaries import summarise
from daf.visualization._runs_given import is_run, records_in, run_folder
from daf.visualization.returns import UNNAMED


@dataclass(frozen=True)
class MetricSample:
    """A metric of one policy on one mission. values: by episode; a single value if only the mean is known."""

    metric: str
    mission: str
    policy: str
    values: tuple[float, ...]
    mean_only: bool = False

    def estimate(self, *, with_values: bool = False) -> Estimate:
        """The mean with its 95 % interval, if there are at least two values."""
        row = summarise([self.policy], [list(self.values)], resamples=1_000)[0]
        shown = self.values if with_values and not self.mean_only else ()
        return Estimate(row.mean, row.ci, 0 if self.mean_only else row.n, shown)


@dataclass(frozen=True)
class MetricTable:
    """Samples of chosen metrics. left_out: metrics that vary and were not chosen. same: by chosen metric, others that
    have its value in every episode, for which it stands.
    """

    samples: tuple[MetricSample, ...]
    metrics: tuple[str, ...]
    missions: tuple[str, ...]
    policies: tuple[str, ...]
    left_out: int
    same: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, metric: str, mission: str) -> list[MetricSample]:
        """The samples of a metric on a mission, in the order of the policies."""
        return [one for one in self.samples if one.metric == metric and one.mission == mission]

    @property
    def counts(self) -> tuple[int, int]:
        """Smallest and largest number of episodes of a sample; (0, 0) if only means are known."""
        known = [len(one.values) for one in self.samples if not one.mean_only]
        return (min(known), max(known)) if known else (0, 0)


def metric_table(
    source: Any,
    metrics: Iterable[str] | None,
    *,
    mission: str | None = None,
    most: int,
    base_dir: str | Path | None = None,
) -> MetricTable:
    """The samples of `metrics`, or of the `most` in which policies differ most.

    source: what `daf.metrics` takes, a run (directory, id), a report made by hand, or {policy: {metric: numbers}}.
    mission: only this one. Raises `DataError`, `MetricError`, `UsageError`.
    """
    wanted = None if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    samples = _samples(source, wanted, base_dir)
    missions = list(dict.fromkeys(one.mission for one in samples))
    if mission is not None:
        if mission not in missions:
            raise UsageError(unknown("mission", mission, missions))
        missions = [mission]
        samples = [one for one in samples if one.mission == mission]
    if not samples:
        raise DataError("there are no metrics to draw.")
    means = {one.metric for one in samples if one.mean_only}
    same = same_values([one for one in samples if one.metric not in means], asked=wanted or ())
    repeated = {metric for others in same.values() for metric in others}
    samples = [one for one in samples if one.metric not in repeated]
    chosen, left_out = (_chosen(samples, most), None) if wanted is None else (_in_order(samples), 0)
    if left_out is None:
        varying = {one.metric for one in samples if _varies(samples, one.metric)}
        left_out = len(varying - set(chosen))
    kept = [one for one in samples if one.metric in chosen]
    policies = list(dict.fromkeys(one.policy for one in samples))
    stands_for = {metric: others for metric, others in same.items() if metric in chosen}
    return MetricTable(tuple(kept), tuple(chosen), tuple(missions), tuple(policies), left_out, stands_for)


def records_given(source: Any, base_dir: str | Path | None = None) -> Any:
    """The records of a run, if `source` names one; otherwise `source` itself."""
    return list(records_in(run_folder(source, base_dir))) if is_run(source) else source


def _samples(source: Any, wanted: list[str] | None, base_dir: str | Path | None) -> list[MetricSample]:
    given = records_given(source, base_dir)
    if _has_records(given):
        rows = daf_analyze_distributions(given, wanted)
        return [MetricSample(row.metric, row.mission, row.policy, row.values) for row in rows]
    if isinstance(given, Mapping):
        return _kept(_from_mapping(given), wanted)
    replicates = getattr(given, "policy_replicate_metrics", None)
    if replicates:
        return _kept(_from_replicates(replicates), wanted)
    means = getattr(given, "policy_detailed_metrics", None)
    if means:
        return _kept(_from_mapping(means), wanted)
    if hasattr(given, "policy_detailed_metrics"):
        raise DataError("the report holds no metrics: add_policy_results(…, metrics=…) adds some.")
    raise UsageError(
        f"{type(given).__name__} holds no metrics: give an evaluation, a report, a run (directory or id), records, or "
        "{policy: {metric: numbers}}."
    )


def _has_records(given: Any) -> bool:
    listed = isinstance(given, Sequence) and bool(given) and all(isinstance(one, EpisodeRecord) for one in given)
    return listed or getattr(given, "evaluation", None) is not None or hasattr(given, "result")


def _from_mapping(given: Mapping[Any, Any]) -> list[MetricSample]:
    found = []
    for policy, metrics in given.items():
        if not isinstance(metrics, Mapping):
            raise DataError(f"{policy}: metrics by their names are needed, got {str(metrics)[:60]}.")
        for metric, values in metrics.items():
            single = isinstance(values, int | float | np.number)
            sample = finite_values([values] if single else list(values), f"{metric} of {policy}").tolist()
            if sample:
                found.append(MetricSample(str(metric), UNNAMED, str(policy), tuple(sample), mean_only=single))
    return found


def _from_replicates(replicates: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[MetricSample]:
    values: dict[tuple[str, str, str], list[float]] = {}
    for policy, episodes in replicates.items():
        for episode in episodes:
            mission = str(episode.get("mission", UNNAMED))
            for metric in episode.keys() - {"mission", "seed"}:
                values.setdefault((metric, mission, policy), []).append(episode[metric])
    return [
        MetricSample(metric, mission, policy, tuple(finite_values(found, f"{metric} of {policy}").tolist()))
        for (metric, mission, policy), found in sorted(values.items())
    ]


def _kept(samples: list[MetricSample], wanted: list[str] | None) -> list[MetricSample]:
    if wanted is None:
        return samples
    known = list(dict.fromkeys(one.metric for one in samples))
    for metric in wanted:
        if metric not in known:
            raise UsageError(unknown("metric", metric, known))
    return sorted((one for one in samples if one.metric in wanted), key=lambda one: wanted.index(one.metric))


def _in_order(samples: Sequence[MetricSample]) -> list[str]:
    return list(dict.fromkeys(one.metric for one in samples))


def _varies(samples: Sequence[MetricSample], metric: str) -> bool:
    return len({value for one in samples if one.metric == metric for value in one.values}) > 1


def _chosen(samples: Sequence[MetricSample], most: int) -> list[str]:
    varying = [metric for metric in _in_order(samples) if _varies(samples, metric)]
    if not varying:
        raise DataError("no metric varies between episodes or policies, so a figure would be empty.")
    apart = {metric: _separation([one for one in samples if one.metric == metric]) for metric in varying}
    return sorted(varying, key=lambda metric: -apart[metric])[:most]


def _separation(samples: Sequence[MetricSample]) -> float:
    """Eta squared between policies, averaged over missions; for a single policy, the spread relative to the mean."""
    parts = []
    for mission in dict.fromkeys(one.mission for one in samples):
        groups = [np.array(one.values) for one in samples if one.mission == mission]
        pooled = np.concatenate(groups)
        total = float(((pooled - pooled.mean()) ** 2).sum())
        if len(groups) > 1:
            between = sum(len(group) * float(group.mean() - pooled.mean()) ** 2 for group in groups)
            parts.append(between / total if total > 0 else 0.0)
        else:
            size = float(np.abs(pooled).mean())
            parts.append(float(pooled.std()) / size if size > 0 else 0.0)
    return round(sum(parts) / len(parts), 9)
