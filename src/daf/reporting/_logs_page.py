"""Report on training logs: the interactive page of `daf logs`, with details of the run."""

from daf.log_analysis import daf_analyze_logs
from daf.render.logs.html import report_page
from daf.render.logs.tables import alerts, headline, tables
from daf.render.pages.files import Pages
from daf.render.pages.markdown import table as markdown_table
from daf.render.pages.run_facts import RunFacts, what_was_run
from daf.storage.containment import own
from daf.storage.printable import markdown_text

MOST_ROWS = 30


def logs_report(facts: RunFacts) -> Pages:
    """The page of all logs in a directory. Raises `UsageError`, `DataError`, `StorageError`."""
    analysis = daf_analyze_logs([facts.info.path], formats=(), output_dir=own(facts.info.path, "plots"))
    sections = [what_was_run(facts)] if facts.log else []
    html = report_page(analysis.summary, analysis.label, sections=sections)
    log = analysis.summary
    parts = [
        f"# Training log: {markdown_text(analysis.label)}",
        "\n".join(f"- {markdown_text(fact)}" for fact in headline(log)),
    ]
    if alerts(log):
        parts.append("\n".join(f"- **Note:** {markdown_text(alert)}" for alert in alerts(log)))
    for table in tables(log, most=MOST_ROWS):
        sides = "".join("r" if column.number else "l" for column in table.columns)
        parts.append(f"## {markdown_text(table.heading)}")
        parts.append(markdown_table([column.name for column in table.columns], table.rows, sides))
        if table.note:
            parts.append(markdown_text(table.note))
    return Pages(html, "\n\n".join(part for part in parts if part) + "\n")
