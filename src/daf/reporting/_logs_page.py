"""Report on training logs: the interactive page of `daf logs`, with details of the run."""

from daf.log_analysis import daf_analyze_logs
from daf.render.logs.html import report_page
from daf.render.pages.files import Pages, pages_of
from daf.render.pages.run_facts import RunFacts, what_was_run
from daf.storage.containment import own


def logs_report(facts: RunFacts) -> Pages:
    """The page of all logs in a directory. Raises `UsageError`, `DataError`, `StorageError`."""
    analysis = daf_analyze_logs([facts.info.path], formats=(), output_dir=own(facts.info.path, "plots"))
    return pages_of(report_page(analysis.summary, analysis.label, sections=[what_was_run(facts)] if facts.log else []))
