"""The page of an ablation: the effect of each change on the metric, with the test behind it."""

from typing import Any

from daf.render.pages.html import page
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.theme import style
from daf.stats.sentences import bracketed, half_width, number, p_text


def ablation_page(report: Any, *, command: str) -> str:
    """The page of an `AblationReport`."""
    unit = "reward per agent" if report.metric == "reward" else report.metric
    rows = [IntervalRow(row.component, style(0), row.difference, row.ci) for row in report.overall]
    figure = interval_figure(
        rows, axis_title=f"change in {unit}", description=f"Effect of each change on {unit}, with intervals"
    )
    return page(
        "analyze_ablation.html.j2",
        {
            "title": f"Ablation of {report.policy}",
            "report": report,
            "unit": unit,
            "command": command,
            "figure": figure,
            "rows": [_row(row) for row in report.overall],
            "by_mission": [_row(row) for row in report.by_mission],
            "episodes": max((row.n for row in report.overall), default=0),
        },
    )


def _row(row: Any) -> dict[str, Any]:
    half = half_width(row.ci)
    return {
        "component": row.component,
        "mission": row.mission or "all",
        "sentence": row.sentence,
        "verdict": row.verdict,
        "decided": row.verdict in ("raises", "lowers", "identical"),
        "unchanged": number(row.unchanged, half),
        "changed": number(row.changed, half),
        "difference": number(row.difference, half),
        "ci": "–" if row.ci is None else bracketed(row.ci),
        "p": p_text(row.p),
        "p_adjusted": p_text(row.p_adjusted),
        "effect": "–" if row.effect_size is None else f"{row.effect_size:.2f}",
        "counts": f"{row.more} / {row.same} / {row.less}",
    }
