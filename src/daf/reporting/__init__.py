"""Reports for runs of any kind, as one page that is readable offline, and leaderboards.

- `daf_report(run, *, pdf=False, output_dir=None, base_dir=None) -> ReportFiles`: `report.html` and `REPORT.md`.
- `daf_export_comparison_html(report, output_path, *, title=None) -> Path`: the page of a `ComparisonReport`, an
  `Evaluation`, or the run of one.
- `daf_generate_leaderboard(sources, output_path=None, format="markdown", *, title=None, base_dir=None) -> str`: the
  policies of one or several comparisons, ranked. format: "markdown", "json" or "html".
- `daf_export_marl_eval(runs, output_path=None, *, base_dir=None) -> MarlEvalFile`: training runs and evaluations in the
  JSON format of marl-eval.

A name is imported from its module when it is first used, since `daf runs` needs `daf.reporting.catalog` only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daf.reporting._comparison_page import daf_export_comparison_html
    from daf.reporting._files import ReportFiles
    from daf.reporting._leaderboard import daf_generate_leaderboard
    from daf.reporting._marl_eval import MarlEvalFile, daf_export_marl_eval
    from daf.reporting.operation import daf_report

_WHERE = {
    "MarlEvalFile": "_marl_eval",
    "ReportFiles": "_files",
    "daf_export_comparison_html": "_comparison_page",
    "daf_export_marl_eval": "_marl_eval",
    "daf_generate_leaderboard": "_leaderboard",
    "daf_report": "operation",
}

__all__ = [
    "MarlEvalFile",
    "ReportFiles",
    "daf_export_comparison_html",
    "daf_export_marl_eval",
    "daf_generate_leaderboard",
    "daf_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
