"""Metrics of episodes: means by policy, how values spread, which metrics correlate, and profiles of policies."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from daf.episodes.metrics_correlation import Correlation
from daf.errors import DataError, UsageError, unknown
from daf.metrics import CorrelationReport, daf_correlate_metrics
from daf.render.figures.matrix import matrix_figure
from daf.render.figures.means import Estimate, Group, MeansPanel, means_figure
from daf.render.figures.radar import Spoke, radar_figure
from daf.render.figures.spread import Spread, SpreadPanel, spread_figure
from daf.stats.sentences import p_text
from daf.visualization._metric_values import MetricTable, metric_table, records_given
from daf.visualization._plots import Look, Plot, finish, in_plan_order, is_dark, titled
from daf.visualization.policy_plots import mission_label

MOST_METRICS = 9
MOST_SPOKES = 6
MOST_PAIRS = 15
MOST_IN_MATRIX = 16
REPEATS = 0.95
"""Metrics that correlate this strongly are redundant; only the first of them enters a matrix."""


@in_plan_order
def daf_plot_detailed_metrics_comparison(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Iterable[str] | None = None,
    mission: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw the mean of each metric by policy, with its interval over episodes.

    source: see `metric_table`. metrics: names and wildcards as in `daf metrics` (default: the 9 in which policies
    differ most). mission: only this one.
    """
    table = metric_table(source, metrics, mission=mission, most=MOST_METRICS, base_dir=base_dir)
    panels = []
    for metric in table.metrics:
        groups = []
        for name in table.missions:
            cells = {one.policy: one.estimate(with_values=True) for one in table.of(metric, name)}
            groups.append(Group(mission_label(name), cells, dict.fromkeys(table.policies, "not counted")))
        panels.append(MeansPanel(metric, metric_unit(metric), groups, longest=22))
    figure = means_figure(
        panels,
        table.policies,
        title=titled(look, f"Metrics of {_subject(table)}"),
        caption=f"Marks: means over episodes; bars: 95 % interval; dots: single episodes. {_about(table, metrics)}",
        dark=is_dark(look),
    )
    return finish(figure, "detailed_metrics_comparison", output_path, look)


@in_plan_order
def daf_plot_metric_distributions(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Iterable[str] | None = None,
    mission: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw every episode's value of each metric, by mission and policy.

    Takes the arguments of `daf_plot_detailed_metrics_comparison`; the default is 6 metrics.
    """
    table = metric_table(source, metrics, mission=mission, most=6, base_dir=base_dir)
    panels = []
    for metric in table.metrics:
        for name in table.missions:
            rows = [
                Spread(one.policy, one.values, one.estimate().ci, "mean only" if one.mean_only else "")
                for one in table.of(metric, name)
            ]
            where = f" · {name}" if len(table.missions) > 1 else ""
            if rows:
                panels.append(SpreadPanel(metric + where, metric_unit(metric), rows))
    figure = spread_figure(
        panels,
        table.policies,
        title=titled(look, f"How metrics of {_subject(table)} spread"),
        caption="Dots: episodes; box: quartiles and median; diamond: mean, with its 95 % interval. "
        + _about(table, metrics),
        dark=is_dark(look),
    )
    return finish(figure, "metric_distributions", output_path, look)


def daf_plot_metric_correlations(
    source: Any,
    output_path: str | Path | None = None,
    *,
    target: str = "reward",
    metrics: Iterable[str] | None = None,
    mission: str | None = None,
    alpha: float = 0.05,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw which metrics go with one of them from episode to episode: Spearman within policies, Holm over all pairs.

    source: an evaluation, a report based on one, a run (directory, id), or records. metrics: the others (default: all
    that occur). Raises `DataError` if there are too few episodes or `target` never varies.
    """
    reports = _correlations(source, metrics, mission, alpha, base_dir, target=target)
    panels = []
    for report in reports:
        shown = report.pairs[:MOST_PAIRS]
        name = f"rho of {target}"
        groups = [
            Group(f"{_other(pair, target)}  {p_text(pair.p_adjusted)}", {name: _with_interval(pair, report)})
            for pair in shown
        ]
        panels.append(MeansPanel(report.mission, "Spearman's rho", groups, longest=44, limits=(-1.05, 1.05)))
    counts = ", ".join(
        f"{len(r.significant)} of {len(r.pairs)} are significant at {alpha:g} on {r.mission}" for r in reports
    )
    n = ", ".join(str(report.n) for report in reports)
    figure = means_figure(
        panels,
        [f"rho of {target}"],
        title=titled(look, f"Correlations with {target}"),
        caption=f"Ranks within {', '.join(reports[0].policies)}; strongest first, with p adjusted by Holm; bars: 95 % "
        f"interval (Bonett and Wright), not adjusted. {counts}. n = {n} episodes. Correlation does not imply "
        "causation.",
        most_columns=1,
        dark=is_dark(look),
    )
    return finish(figure, "metric_correlations", output_path, look)


def daf_plot_metrics_correlation_matrix(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Iterable[str] | None = None,
    mission: str | None = None,
    alpha: float = 0.05,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw the correlations of all metrics with each other on one mission, with similar metrics next to each other.

    Takes the arguments of `daf_plot_metric_correlations`; `mission` is required if there are several. The default is up
    to 16 metrics of the strongest pairs, none of which nearly repeats another.
    """
    report = _one_mission(_correlations(source, metrics, mission, alpha, base_dir))
    names = list(report.metrics) if metrics is not None else _strongest(report)
    if len(names) < 2:
        raise DataError(f"on {report.mission} fewer than two metrics vary within a policy: nothing can correlate.")
    places = [report.metrics.index(name) for name in names]
    values = report.matrix[np.ix_(places, places)]
    order = _alike(values)
    names, values = [names[place] for place in order], values[np.ix_(order, order)]
    holds = {frozenset((pair.a, pair.b)) for pair in report.significant}
    texts = [
        [_rho_text(float(values[i, j]), holds=frozenset((a, b)) in holds) for j, b in enumerate(names)]
        for i, a in enumerate(names)
    ]
    left = len(report.metrics) - len(names)
    more = (
        f" Of {len(report.metrics)} metrics that vary, those that nearly repeat another are left out." if left else ""
    )
    figure = matrix_figure(
        values,
        names,
        names,
        title=titled(look, f"Correlated metrics on {report.mission}"),
        caption=f"Spearman's rho within {', '.join(report.policies)}; *: p ≤ {alpha:g} after Holm over all "
        f"{len(report.pairs)} pairs. n = {report.n} episodes.{more} Correlation does not imply causation.",
        unit="Spearman's rho",
        texts=texts,
        diverging=(-1.0, 1.0),
        dark=is_dark(look),
    )
    return finish(figure, "metrics_correlation_matrix", output_path, look)


@in_plan_order
def daf_plot_policy_radar(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Iterable[str] | None = None,
    mission: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw policies' means in 3 to 12 metrics as profiles, with a separate scale for every spoke.

    Takes the arguments of `daf_plot_detailed_metrics_comparison`; `mission` is required if there are several.
    """
    table = metric_table(source, metrics, mission=mission, most=MOST_SPOKES, base_dir=base_dir)
    if len(table.missions) > 1:
        raise UsageError(_several(table.missions))
    spokes = [
        Spoke(metric, {one.policy: one.estimate() for one in table.of(metric, table.missions[0])})
        for metric in table.metrics
    ]
    where = mission_label(table.missions[0])
    figure = radar_figure(
        spokes,
        table.policies,
        title=titled(look, f"Profiles of {_subject(table)}{f' on {where}' if where else ''}"),
        caption="Each spoke has a separate scale, shown at its end; bars: 95 % interval over episodes. The area has no "
        f"meaning. {_about(table, metrics)}",
        dark=is_dark(look),
    )
    return finish(figure, "policy_radar", output_path, look)


def metric_unit(metric: str) -> str:
    """What a metric's number refers to: an agent, or the game."""
    per_step = " and step" if metric.endswith("@per_step") else ""
    if metric.startswith("agent.") or metric in ("reward", "reward_per_agent"):
        return f"per agent{per_step}"
    if metric.startswith("game."):
        return f"per episode{per_step}"
    return {"steps": "steps", "completion": "share of the step limit"}.get(metric, "")


def correlation_interval(rho: float, free: int) -> tuple[float, float] | None:
    """95 % interval of Spearman's rho; None with too few episodes. free: episodes minus those lost to the groups.

    Source: Bonett and Wright, Psychometrika 65, 2000: Fisher's z with the variance (1 + rho²/2) / (n − 3).
    """
    if free <= 3 or abs(rho) >= 1.0:
        return None
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / (free - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def _with_interval(pair: Correlation, report: CorrelationReport) -> Estimate:
    return Estimate(pair.rho, correlation_interval(pair.rho, pair.n - len(report.policies) + 1), pair.n)


def _correlations(
    source: Any,
    metrics: Iterable[str] | None,
    mission: str | None,
    alpha: float,
    base_dir: str | Path | None,
    target: str | None = None,
) -> list[CorrelationReport]:
    given = records_given(source, base_dir)
    reports = daf_correlate_metrics(given, metrics, target=target, alpha=alpha)
    if mission is not None:
        known = [report.mission for report in reports]
        if mission not in known:
            raise UsageError(unknown("mission", mission, known))
        reports = [report for report in reports if report.mission == mission]
    if not any(report.pairs for report in reports):
        raise DataError("no two metrics vary within a policy, so that nothing correlates.")
    return reports


def _strongest(report: CorrelationReport) -> list[str]:
    """Reward first, then the metrics of the strongest pairs; none that repeats one chosen before."""
    ranked = dict.fromkeys(["reward", *(name for pair in report.pairs for name in (pair.a, pair.b))])
    chosen: list[str] = []
    for name in (name for name in ranked if name in report.metrics):
        row = report.matrix[report.metrics.index(name)]
        if all(abs(row[report.metrics.index(other)]) < REPEATS for other in chosen):
            chosen.append(name)
    return chosen[:MOST_IN_MATRIX]


def _rho_text(rho: float, *, holds: bool) -> str:
    return f"{rho:.2f}".replace("0.", ".") + ("*" if holds else "")


def _one_mission(reports: Sequence[CorrelationReport]) -> CorrelationReport:
    if len(reports) > 1:
        raise UsageError(_several([report.mission for report in reports]))
    return reports[0]


def _several(missions: Sequence[str]) -> str:
    return f"a metric means another thing on another mission: name one with mission=, of {', '.join(missions)}."


def _other(pair: Correlation, target: str) -> str:
    return pair.b if pair.a == target else pair.a


def _alike(values: np.ndarray) -> list[int]:
    """The order that puts similar rows next to each other (average linkage of 1 − |rho|)."""
    if len(values) < 3:
        return list(range(len(values)))
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    apart = np.clip(1 - np.abs(values), 0, 2)
    np.fill_diagonal(apart, 0)
    condensed = squareform((apart + apart.T) / 2, checks=False)
    return [int(place) for place in leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))]


def _subject(table: MetricTable) -> str:
    return ", ".join(table.policies) if len(table.policies) <= 3 else f"{len(table.policies)} policies"


def _about(table: MetricTable, metrics: Iterable[str] | None) -> str:
    least, most = table.counts
    n = f"n = {least}" if least == most else f"n = {least} to {most}"
    parts = [f"{n} episodes per policy{' and mission' if len(table.missions) > 1 else ''}." if most else "Means only."]
    if metrics is None and table.left_out:
        how = "in which policies differ most" if len(table.policies) > 1 else "that vary most"
        parts.append(f"Shown are the {len(table.metrics)} metrics {how}; {table.left_out} more vary.")
    count = sum(map(len, table.same.values()))
    if count:
        pairs = [f"{metric} for {', '.join(others)}" for metric, others in table.same.items()]
        listed = "; ".join(pairs[:3]) + ("; …" if len(pairs) > 3 else "")
        text = "1 metric has" if count == 1 else f"{count} metrics have"
        parts.append(f"{text} the values of another in every episode; shown is only one of them: {listed}.")
    return " ".join(parts)
