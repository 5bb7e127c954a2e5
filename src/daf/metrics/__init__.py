"""Metrics over episodes: their names, distributions and correlations, and each agent's share.

Every function takes an evaluation, the report of a comparison, ablation or benchmark, or records. Every stat's name is
a metric; the names, wildcards and modifiers are those of `daf.episodes.metrics_values`. Nothing here pools missions: a
counter means another thing in another mission.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.episodes.metrics_correlation import Correlations
from daf.episodes.metrics_correlation import correlate as correlations_of
from daf.episodes.metrics_values import Metric, agent_values, occurring, parse, select, value, values
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.errors import DataError, MetricError, UsageError
from daf.evaluation import Evaluation, Settings, evaluate
from daf.evaluation.analysis_files import write_analysis
from daf.game import mission_facts
from daf.game.mission import Mission
from daf.metrics._results import AgentRow, CorrelationReport, Distribution, same_values
from daf.metrics._table import MetricTable, agent_lines, metric_tables
from daf.metrics.page import metrics_page
from daf.stats.shapes import caveat_for_scores, shape
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

    from daf.episodes.plan import Plan
    from daf.output_manager import OutputManager


__all__ = [
    "POLICIES",
    "AgentRow",
    "CorrelationReport",
    "Distribution",
    "MetricsReport",
    "daf_analyze_distributions",
    "daf_correlate_metrics",
    "daf_list_metrics",
    "daf_metric_values",
    "daf_metrics",
    "daf_metrics_per_agent",
    "metric_tables",
    "metrics_data",
    "possible_of",
    "records_of",
    "same_values",
]

POLICIES = ("starter", "random", "noop")
"""The default policies: together they change most counters of a mission."""


@dataclass(frozen=True)
class MetricsReport:
    """The metrics of played episodes. correlations, agents: empty where they were not asked for. page: metrics.html.
    asked: metrics named by the caller, which `tables` never merges with others of equal values.
    """

    distributions: list[Distribution]
    correlations: list[CorrelationReport]
    agents: list[AgentRow]
    evaluation: Evaluation
    page: Path
    asked: tuple[str, ...] = ()

    @property
    def tables(self) -> list[MetricTable]:
        """The distributions as tables of text, one per mission."""
        return metric_tables(self.distributions, self.asked)

    @property
    def agent_lines(self) -> list[tuple[tuple[str, ...], AgentRow, list[str]]]:
        """The lines of a table of agents: the metrics, which share their values, the row, the text of each agent."""
        return agent_lines(self.agents)

    def to_data(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return metrics_data(self.distributions, self.correlations, self.agents)


def daf_metrics(
    missions: Any,
    policies: Sequence[Any] | None = None,
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    metrics: Iterable[str] | None = None,
    correlate: str | None = None,
    per_agent: bool = False,
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> MetricsReport:
    """Play policies on missions and report their metrics, with metrics.json and metrics.html in the run directory.

    policies: by default `POLICIES`, or nobody else where `teams` play. metrics: names, wildcards too; by default all
    that occur. correlate: a metric to correlate the others with, or "-" for all pairs, at the level `settings.alpha`;
    of metrics that are equal in every episode, one is correlated, unless `metrics` names them.
    per_agent: also each agent's own values. settings: by default 5 episodes per policy and mission.
    """
    chosen = settings or Settings(episodes=5, report=False, resamples=1_000)
    names = [missions] if isinstance(missions, str) else missions if isinstance(missions, Sequence) else []
    named = bool(names) and all(isinstance(name, str) for name in names)
    players = POLICIES if policies is None and not teams else policies or []
    evaluation = evaluate(
        players, missions, teams=teams, settings=chosen, output=output_manager,
        title=f"metrics of {', '.join(names)}" if named else None, on_plan=on_plan, on_record=on_record,
        rerun=None,  # the analysis adds files to the run directory
    )  # fmt: skip
    wanted = None if metrics is None else list(metrics)
    rows = daf_analyze_distributions(evaluation, wanted, console=console)
    reports: list[CorrelationReport] = []
    if correlate is not None:
        target = None if correlate == "-" else correlate
        repeated = {metric for others in same_values(rows).values() for metric in others}
        once = [name for name in dict.fromkeys(row.metric for row in rows) if name not in repeated]
        reports = daf_correlate_metrics(
            evaluation, once if wanted is None else wanted, target=target, alpha=chosen.alpha, console=console
        )
    of_agents = dict.fromkeys(row.metric for row in rows if row.metric.startswith(("agent.", "reward")))
    agents = daf_metrics_per_agent(evaluation, of_agents) if per_agent else []
    asked = tuple(wanted or ())
    text = metrics_page(evaluation.title, rows, reports, agents, asked=asked)
    page = write_analysis(evaluation, metrics_data(rows, reports, agents), text, name="metrics")
    return MetricsReport(rows, reports, agents, evaluation, page, asked)


def daf_list_metrics(source: Any) -> dict[str, list[str]]:
    """Per mission the names of the metrics that occur in its episodes."""
    return occurring(records_of(source)[0])


def daf_metric_values(source: Any, metrics: Iterable[str]) -> list[dict[str, Any]]:
    """One mapping per episode: mission, policy, seed, and each metric's value (None in a mission that lacks it).

    metrics: names, wildcards too. Raises `MetricError` for one that does not occur, with the nearest names.
    """
    records, possible = records_of(source)
    known = occurring(records, possible)
    chosen = _selected(metrics, known, occurring(records))
    table = values(records, chosen, known)
    rows = []
    for record, line in zip(records, table.tolist(), strict=True):
        row: dict[str, Any] = {"mission": record.spec.mission, "policy": record.spec.name, "seed": record.spec.seed}
        row |= {m.name: None if number != number else number for m, number in zip(chosen, line, strict=True)}
        rows.append(row)
    return rows


def daf_analyze_distributions(
    source: Any, metrics: Iterable[str] | None = None, *, console: "Console | None" = None
) -> list[Distribution]:
    """The distribution of each metric, per mission and policy, in the order of missions, metrics, policies.

    metrics: names, wildcards too; by default all that occur. Raises `MetricError`, `DataError` (no episodes, NaN).
    """
    records, possible = records_of(source)
    known = occurring(records, possible if metrics is not None else None)
    chosen = _selected(metrics, known, occurring(records))
    table = values(records, chosen, known)
    found = []
    for mission, policies in _groups(records).items():
        for column, metric in enumerate(chosen):
            if metric.base not in known[mission]:
                continue
            for policy, rows in policies.items():
                found.append(_distribution(metric.name, mission, policy, table[rows, column]))
    show(console, "Distributions of metrics", found, without=("values",))
    return found


def daf_correlate_metrics(
    source: Any,
    metrics: Iterable[str] | None = None,
    *,
    target: str | None = None,
    alpha: float = 0.05,
    console: "Console | None" = None,
) -> list[CorrelationReport]:
    """Spearman's correlations of metrics from episode to episode, per mission, within policies, Holm-corrected.

    metrics: names, wildcards too; by default reward, steps and all stats of agents and game that occur. target: use
    only pairs with this metric, such as "reward". Raises `MetricError`, and `DataError` for too few episodes.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha must be between 0 and 1, got {alpha:g}.")
    records, possible = records_of(source)
    known = occurring(records)
    chosen = _selected(metrics, occurring(records, possible) if metrics is not None else known, known)
    if target is not None and target not in {metric.name for metric in chosen}:
        chosen = [*chosen, *_selected([target], known, known)]
    if len(chosen) < 2:
        raise UsageError("a correlation needs at least two metrics.")
    reports = []
    for mission, policies in _groups(records).items():
        own = [metric for metric in chosen if metric.base in known[mission]]
        if target is not None and target not in {metric.name for metric in own}:
            continue
        rows = [row for of_policy in policies.values() for row in of_policy]
        labels = [policy for policy, of_policy in policies.items() for _ in of_policy]
        table = values([records[row] for row in rows], own, known)
        found: Correlations = correlations_of([metric.name for metric in own], table, labels, target=target)
        reports.append(
            CorrelationReport(
                mission, tuple(policies), found.pairs, found.names, found.matrix, found.constant, found.n, alpha
            )
        )
    for report in reports:
        show(console, f"Correlations on {report.mission} ({report.n} episodes)", report.pairs)
    return reports


def daf_metrics_per_agent(source: Any, metrics: Iterable[str]) -> list[AgentRow]:
    """Agents' metrics, agent by agent: means over the episodes of each policy on each mission.

    Raises `MetricError` for a metric that is not per agent.
    """
    records, possible = records_of(source)
    known = occurring(records, possible)
    chosen = _selected(metrics, known, occurring(records))
    wrong = next((metric for metric in chosen if metric.over is None), None)
    if wrong is not None:
        raise MetricError(f"{wrong.name} is not a metric of agents: use reward or agent.NAME.")
    rows = []
    for mission, policies in _groups(records).items():
        for metric in (metric for metric in chosen if metric.base in known[mission]):
            for policy, places in policies.items():
                each = [_agents(records[place], metric) for place in places]
                means = np.mean(each, axis=0)
                total = float(means.sum())
                share = float(means.max() / total) if total > 0 and means.min() >= 0 else None
                rows.append(AgentRow(metric.name, mission, policy, tuple(means.tolist()), share))
    return rows


def records_of(source: Any) -> tuple[list[EpisodeRecord], dict[str, list[str]]]:
    """The finished episodes of a source, and per mission the metrics its config can count, if that is known.

    Raises `DataError` if nothing finished, or the source has no records.
    """
    behind = getattr(source, "evaluation", None) or source
    result = getattr(behind, "result", None)
    possible: dict[str, list[str]] = {}
    if isinstance(result, RunResult):
        records = [record for record in result.records if record.ok]
        possible = possible_of(result.plan.missions)
    elif isinstance(source, Sequence) and all(isinstance(item, EpisodeRecord) for item in source):
        records = [record for record in source if record.ok]
    else:
        raise DataError(
            f"{type(source).__name__} has no episode records: pass an evaluation, a report of "
            "daf_compare_policies, or records."
        )
    if not records:
        raise DataError("no episode finished, so there are no metrics.")
    return records, possible


def metrics_data(
    distributions: Sequence[Distribution], correlations: Sequence[CorrelationReport], agents: Sequence[AgentRow]
) -> dict[str, Any]:
    """The output of `daf metrics --json`, in addition to the episodes."""
    return {
        "metrics": [asdict(row) for row in distributions],
        "correlations": [
            {
                "mission": report.mission,
                "policies": report.policies,
                "n": report.n,
                "constant": report.constant,
                "pairs": [asdict(pair) for pair in report.pairs],
            }
            for report in correlations
        ],
        "agents": [asdict(row) for row in agents],
    }


def possible_of(missions: Sequence[Mission]) -> dict[str, list[str]]:
    """Per mission the metrics that its config can count."""
    return {mission.name: mission_facts.possible_stats(mission) for mission in missions}


def _selected(
    wanted: Iterable[str] | None, known: Mapping[str, Sequence[str]], occurs: Mapping[str, Sequence[str]]
) -> list[Metric]:
    """By default all that occur. Names may be any that the mission can count, wildcards match what occurs."""
    if wanted is None:
        return [parse(name) for name in sorted({name for names in occurs.values() for name in names}, key=_order)]
    found: dict[str, Metric] = {}
    for text in [wanted] if isinstance(wanted, str) else wanted:
        wild = any(character in text for character in "*?[")
        for metric in select([text], occurs if wild else known):
            found.setdefault(metric.name, metric)
    return list(found.values())


def _order(name: str) -> tuple[int, str]:
    return (("reward", "steps", "completion").index(name) if "." not in name else 3, name)


def _groups(records: Sequence[EpisodeRecord]) -> dict[str, dict[str, list[int]]]:
    """Rows by mission and policy, in the order in which they first appear."""
    found: dict[str, dict[str, list[int]]] = {}
    for row, record in enumerate(records):
        found.setdefault(record.spec.mission, {}).setdefault(record.spec.name, []).append(row)
    return found


def _agents(record: EpisodeRecord, metric: Metric) -> list[float]:
    for agent in range(len(record.spec.assignment)):
        value(record, metric.per_agent(agent))
    scale = record.played.steps if metric.per_step and record.played.steps else 1
    return [number / scale for number in agent_values(record, metric)]


def _distribution(metric: str, mission: str, policy: str, sample: NDArray[np.float64]) -> Distribution:
    seen = shape(sample)
    low, middle, high = (float(q) for q in np.quantile(sample, [0.25, 0.5, 0.75]))
    return Distribution(
        metric=metric,
        mission=mission,
        policy=policy,
        n=seen.n,
        mean=float(sample.mean()),
        std=float(sample.std(ddof=1)) if seen.n > 1 else None,
        minimum=float(sample.min()),
        quartiles=(low, middle, high),
        maximum=float(sample.max()),
        zeros=seen.zeros,
        skew=seen.skew,
        caveat=caveat_for_scores(sample),
        values=tuple(sample.tolist()),
    )
