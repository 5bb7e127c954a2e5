"""Reports for runs of any kind, as one page that is readable offline, and leaderboards.

- `daf_report(run, *, pdf=False, output_dir=None, base_dir=None) -> ReportFiles`: `report.html` and `REPORT.md`.
- `daf_export_comparison_html(report, output_path, *, title=None) -> Path`: the page of a `ComparisonReport`, an
  `Evaluation`, or the run of one.
- `daf_generate_leaderboard(sources, output_path=None, format="markdown", *, title=None, base_dir=None) -> str`: the
  policies of one or several comparisons, ranked. format: "markdown", "json" or "html".
"""

from daf.reporting._comparison_page import daf_export_comparison_html
from daf.reporting._files import ReportFiles
from daf.reporting._leaderboard import daf_generate_leaderboard
from daf.reporting.operation import daf_report

__all__ = ["ReportFiles", "daf_export_comparison_html", "daf_generate_leaderboard", "daf_report"]
