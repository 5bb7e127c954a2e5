"""The page of `daf metrics`: each metric's spread by policy as a box on a line, correlations, and single agents.

A row's boxes share one axis from the least to the largest value among the policies, so that they compare within the
row; rows do not compare with each other.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from markupsafe import Markup

from daf.metrics._results import AgentRow, CorrelationReport, Distribution
from daf.metrics._table import agent_lines, metric_tables
from daf.render.pages.html import page
from daf.render.pages.parts import Column, Section, Table, cell
from daf.render.text import printable
from daf.render.theme import SeriesStyle, styles
from daf.stats.sentences import counted, p_text
from daf.storage.reading import read_json

WIDTH = 150
PITCH = 13


def metrics_page(
    title: str,
    rows: Sequence[Distribution],
    reports: Sequence[CorrelationReport],
    agents: Sequence[AgentRow],
    *,
    asked: Sequence[str] = (),
) -> str:
    """The HTML page. asked: metrics that are never left to another one with equal values."""
    look = styles([row.policy for row in rows])
    missions = [
        {
            "name": table.mission,
            "n": counted(table.n, "episode"),
            "constant": table.constant,
            "lines": [{"line": line, "figure": boxes([one.row for one in line.cells], look)} for line in table.lines],
        }
        for table in metric_tables(rows, asked)
    ]
    return page(
        "analyze_metrics.html.j2",
        {
            "title": title,
            "missions": missions,
            "policies": [{"name": name, "slot": look[name].slot} for name in look],
            "reports": [_correlations(report) for report in reports],
            "agents": [
                {
                    "metrics": names,
                    "mission": row.mission,
                    "policy": row.policy,
                    "slot": look[row.policy].slot,
                    "agents": texts,
                    "share": "" if row.share is None else f"{row.share:.0%}",
                }
                for names, row, texts in agent_lines(agents)
            ],
        },
    )


def metric_sections(folder: Path) -> list[Section]:
    """The tables of a run's `metrics.json`, as sections of a page or of Markdown; empty without the file.

    Raises `DamagedFileError`.
    """
    stored = read_json(folder / "metrics.json", _MetricsFile)
    sections = []
    for place, table in enumerate(metric_tables(stored["metrics"] if stored else ()), start=1):
        columns = [Column("Metric"), *(Column(printable(policy), number=True) for policy in table.policies)]
        rows = [
            [
                cell(line.names, code=True),
                *(cell(f"{one.mean} ({one.spread})" if one.spread else one.mean) for one in line.cells),
            ]
            for line in table.lines
        ]
        never = [f"Equal to {value} in every episode: {', '.join(metrics)}." for value, metrics in table.constant]
        note = f"Mean, and the range in brackets, of {counted(table.n, 'episode')} of each policy. {' '.join(never)}"
        sections.append(
            Section(f"metrics-{place}", printable(f"Metrics on {table.mission}"), [Table(columns, rows, note=note)])
        )
    return sections


class _MetricsFile(TypedDict):
    metrics: list[Distribution]


def boxes(cells: Sequence[Distribution], look: Mapping[str, SeriesStyle]) -> Markup:
    """Minimum to maximum as a line, quartiles as a bar, the median as a tick; one line of the figure per policy."""
    low, high = min(cell.minimum for cell in cells), max(cell.maximum for cell in cells)
    reach = high - low

    def at(value: float) -> float:
        return round(4 + (WIDTH - 8) * ((value - low) / reach if reach else 0.5), 1)

    height = PITCH * len(cells)
    parts = [f'<svg class="boxes" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" aria-hidden="true">']
    for place, row in enumerate(cells):
        middle = PITCH * (place + 0.5)
        first, median, third = (at(value) for value in row.quartiles)
        parts.append(
            f'<g class="s{look[row.policy].slot}">'
            f'<path class="whisker" d="M{at(row.minimum)} {middle}H{at(row.maximum)}"/>'
            f'<path class="box" d="M{first} {middle}H{max(third, first + 0.5)}"/>'
            f'<path class="median" d="M{median} {middle - 6}v12"/></g>'
        )
    return Markup("".join(parts) + "</svg>")


def _correlations(report: CorrelationReport) -> dict[str, Any]:
    return {
        "mission": report.mission,
        "policies": ", ".join(report.policies),
        "n": report.n,
        "alpha": f"{report.alpha:g}",
        "constant": len(report.constant),
        "held": len(report.significant),
        "tested": len(report.pairs),
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "rho": f"{pair.rho:+.2f}",
                "p": p_text(pair.p),
                "adjusted": p_text(pair.p_adjusted),
                "held": pair.p_adjusted <= report.alpha,
            }
            for pair in report.pairs[:200]
        ],
    }
