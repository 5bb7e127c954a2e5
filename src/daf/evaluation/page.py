"""The report of an evaluation: one self-contained HTML file, and the same findings as Markdown.

Failures come first, then the finding in a sentence, then the numbers it is based on, down to every episode with its
seed and key. Both are functions of the report alone: the same report gives the same bytes.
"""

from daf.evaluation._page_data import EpisodeRow, EvaluationReport, FailureText, LatencyRow, MissionRow, PolicyRow
from daf.evaluation._page_markdown import render_markdown
from daf.evaluation._page_view import view_of
from daf.render.pages.html import page

__all__ = [
    "EpisodeRow",
    "EvaluationReport",
    "FailureText",
    "LatencyRow",
    "MissionRow",
    "PolicyRow",
    "render_html",
    "render_markdown",
]


def render_html(report: EvaluationReport) -> str:
    """Render the page of `report`. Raises `DataError` for a score that is not finite."""
    return page("evaluation.html.j2", view_of(report))
