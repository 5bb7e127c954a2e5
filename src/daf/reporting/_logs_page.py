"""Report on training logs: the interactive page of `daf logs`, with details of the run."""

import tempfile

from daf.log_analysis import daf_analyze_logs
from daf.render.logs.html import report_page
from daf.render.pages.files import Pages, pages_of
from daf.render.pages.run_facts import RunFacts, what_was_run


def logs_report(facts: RunFacts) -> Pages:
    """The page of all logs in a directory, in which nothing is written.

    Raises `UsageError`, `DataError`, `StorageError`.
    """
    with tempfile.TemporaryDirectory(prefix="daf-logs-") as folder:  # the summary file of the analysis goes there
        analysis = daf_analyze_logs([facts.info.path], formats=(), output_dir=folder)
    return pages_of(report_page(analysis.summary, analysis.label, sections=[what_was_run(facts)] if facts.log else []))
