"""The page of an ablation: the effect of each change on the metric, with the test behind it."""

from collections.abc import Sequence
from typing import Any

from daf.ablation._report import ComponentResult
from daf.render.pages.html import page
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates, same_decimals
from daf.render.theme import style
from daf.stats.sentences import half_width, p_text


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
            "rows": _rows(report.overall),
            "by_mission": _rows(report.by_mission),
            "episodes": max((row.n for row in report.overall), default=0),
        },
    )


def _rows(rows: Sequence[ComponentResult]) -> list[dict[str, Any]]:
    """The rows of a table; the numbers of a column have the same number of decimals."""
    bounds = [row.ci for row in rows]
    halves = list(map(half_width, bounds))
    means = (same_decimals([getattr(row, name) for row in rows], halves) for name in ("unchanged", "changed"))
    texts = (*means, *estimates([row.difference for row in rows], bounds))
    return [_row(*row) for row in zip(rows, *texts, strict=True)]


def _row(row: ComponentResult, unchanged: str, changed: str, difference: str, ci: str) -> dict[str, Any]:
    return {
        "component": row.component,
        "mission": row.mission or "all",
        "sentence": row.sentence,
        "verdict": row.verdict,
        "decided": row.verdict in ("raises", "lowers", "identical"),
        "unchanged": unchanged,
        "changed": changed,
        "difference": difference,
        "ci": ci,
        "p": p_text(row.p),
        "p_adjusted": p_text(row.p_adjusted),
        "effect": "–" if row.effect_size is None else f"{row.effect_size:.2f}",
        "counts": f"{row.more} / {row.same} / {row.less}",
    }
