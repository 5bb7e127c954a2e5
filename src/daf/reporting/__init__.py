"""Reports for runs of any kind, as one page that is readable offline, and leaderboards.

- `daf_report(run, *, pdf=False, output_dir=None, base_dir=None) -> ReportFiles`: `report.html` and `REPORT.md`.
- `daf_export_comparison_html(report, output_path, *, title=None) -> Path`: the page of a `ComparisonReport`, an
  `Evaluation`, or the run of one.
- `daf_generate_leaderboard(sources, output_path=None, format="markdown", *, title=None, base_dir=None) -> str`: the
  policies of one or several comparisons, ranked. format: "markdown", "json" or "html".
- `daf_export_marl_eval(runs, output_path=None, *, base_dir=None) -> MarlEvalFile`: training runs and evaluations in the
  JSON format of marl-eval.
"""

from daf.reporting._comparison_page import daf_export_comparison_html
from daf.reporting._files import ReportFiles
from daf.reporting._leaderboard import daf_generate_leaderboard
from daf.reporting._marl_eval import MarlEvalFile, daf_export_marl_eval
from daf.reporting.operation import daf_report

__all__ = [
    "MarlEvalFile",
    "ReportFiles",
    "daf_export_comparison_html",
    "daf_export_marl_eval",
    "daf_generate_leaderboard",
    "daf_report",
]
