"""The tables of metrics, one per mission: a line per metric, with the mean and the range of each policy.

The numbers of a line share their decimals. Metrics with equal values in every episode of the mission share one line,
which names all of them. Metrics with the same value in every episode of every policy have no line: `constant` lists
them by value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from daf.metrics._results import AgentRow, Distribution, same_values
from daf.render.text import same_decimals
from daf.stats.sentences import number


@dataclass(frozen=True)
class MetricCell:
    """The text of one policy. spread: "1.0 to 2.5", empty if the metric never varies."""

    mean: str
    spread: str
    row: Distribution


@dataclass(frozen=True)
class MetricLine:
    """metric: the name. same: other metrics with its values. cells: by policy, in the order of the table."""

    metric: str
    same: tuple[str, ...]
    cells: tuple[MetricCell, ...]

    @property
    def names(self) -> str:
        """All metrics of the line."""
        return " = ".join((self.metric, *self.same))


@dataclass(frozen=True)
class MetricTable:
    """The lines of one mission. n: episodes of each policy. constant: values that never vary, with their metrics."""

    mission: str
    n: int
    policies: tuple[str, ...]
    lines: tuple[MetricLine, ...]
    constant: tuple[tuple[str, tuple[str, ...]], ...]


ALWAYS = ("reward", "steps", "completion")
"""Metrics that have a separate line, whatever their values."""


def metric_tables(rows: Sequence[Distribution], asked: Sequence[str] = ()) -> list[MetricTable]:
    """The tables, in the order of `rows`. asked: metrics that get a separate line."""
    tables = []
    for mission in dict.fromkeys(row.mission for row in rows):
        own = [row for row in rows if row.mission == mission]
        separate = (*ALWAYS, *asked)
        by_metric: dict[str, list[Distribution]] = {}
        for row in own:
            by_metric.setdefault(row.metric, []).append(row)
        constant: dict[float, list[str]] = {}
        for metric, cells in by_metric.items():
            values = {value for cell in cells for value in (cell.minimum, cell.maximum)}
            if len(values) == 1 and metric not in separate:
                constant.setdefault(values.pop(), []).append(metric)
        unvaried = {metric for metrics in constant.values() for metric in metrics}
        same = same_values([row for row in own if row.metric not in unvaried], separate)
        repeated = {metric for others in same.values() for metric in others}
        lines = tuple(
            MetricLine(metric, same.get(metric, ()), _cells(cells))
            for metric, cells in by_metric.items()
            if metric not in repeated | unvaried
        )
        policies = tuple(dict.fromkeys(row.policy for row in own))
        never = tuple((number(value), tuple(metrics)) for value, metrics in sorted(constant.items()))
        tables.append(MetricTable(mission, own[0].n, policies, lines, never))
    return tables


def _cells(rows: Sequence[Distribution]) -> tuple[MetricCell, ...]:
    texts = iter(same_decimals([value for row in rows for value in (row.mean, row.minimum, row.maximum)]))
    cells = []
    for row in rows:
        mean, low, high = next(texts), next(texts), next(texts)
        cells.append(MetricCell(mean, f"{low} to {high}" if row.maximum > row.minimum else "", row))
    return tuple(cells)


def agent_lines(rows: Sequence[AgentRow]) -> list[tuple[tuple[str, ...], AgentRow, list[str]]]:
    """The lines of the table of agents: the metrics, the row, the text of each agent.

    Metrics whose agents have equal means for all policies share a line.
    """
    same = same_values(rows)
    repeated = {metric for others in same.values() for metric in others}
    return [
        ((row.metric, *same.get(row.metric, ())), row, same_decimals(row.agents))
        for row in rows
        if row.metric not in repeated
    ]
