"""The page of `daf metrics`: each metric's spread by policy as a box on a line, correlations, and single agents.

A row's boxes share one axis from the least to the largest value among the policies, so that they compare within the
row; rows do not compare with each other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from daf.metrics._results import AgentRow, CorrelationReport, Distribution
from daf.render.pages.html import page
from daf.render.theme import SeriesStyle, styles
from daf.stats.sentences import number, p_text

WIDTH = 150
PITCH = 13


def metrics_page(
    title: str, rows: Sequence[Distribution], reports: Sequence[CorrelationReport], agents: Sequence[AgentRow]
) -> str:
    """The HTML page."""
    look = styles([row.policy for row in rows])
    missions = []
    for mission in dict.fromkeys(row.mission for row in rows):
        own = [row for row in rows if row.mission == mission]
        lines = []
        for metric in dict.fromkeys(row.metric for row in own):
            cells = [row for row in own if row.metric == metric]
            texts = [
                {
                    "policy": cell.policy,
                    "slot": look[cell.policy].slot,
                    "text": number(cell.mean),
                    "range": _range(cell),
                    "caveat": cell.caveat,
                }
                for cell in cells
            ]
            lines.append({"metric": metric, "cells": texts, "figure": boxes(cells, look)})
        missions.append({"name": mission, "n": own[0].n, "lines": lines})
    return page(
        "analyze_metrics.html.j2",
        {
            "title": title,
            "missions": missions,
            "policies": [{"name": name, "slot": look[name].slot} for name in look],
            "reports": [_correlations(report) for report in reports],
            "agents": [
                {
                    "metric": row.metric,
                    "mission": row.mission,
                    "policy": row.policy,
                    "slot": look[row.policy].slot,
                    "agents": [number(agent) for agent in row.agents],
                    "share": "" if row.share is None else f"{row.share:.0%}",
                }
                for row in agents
            ],
        },
    )


def boxes(cells: Sequence[Distribution], look: Mapping[str, SeriesStyle]) -> Markup:
    """Minimum to maximum as a line, quartiles as a bar, the median as a tick; one line of the figure per policy."""
    low, high = min(cell.minimum for cell in cells), max(cell.maximum for cell in cells)
    reach = high - low

    def at(value: float) -> float:
        return round(4 + (WIDTH - 8) * ((value - low) / reach if reach else 0.5), 1)

    height = PITCH * len(cells)
    parts = [f'<svg class="boxes" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" aria-hidden="true">']
    for place, cell in enumerate(cells):
        middle = PITCH * (place + 0.5)
        first, median, third = (at(value) for value in cell.quartiles)
        parts.append(
            f'<g class="s{look[cell.policy].slot}">'
            f'<path class="whisker" d="M{at(cell.minimum)} {middle}H{at(cell.maximum)}"/>'
            f'<path class="box" d="M{first} {middle}H{max(third, first + 0.5)}"/>'
            f'<path class="median" d="M{median} {middle - 6}v12"/></g>'
        )
    return Markup("".join(parts) + "</svg>")


def _range(cell: Distribution) -> str:
    if cell.maximum == cell.minimum:
        return ""
    return f"{number(cell.minimum)} – {number(cell.maximum)}"


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
