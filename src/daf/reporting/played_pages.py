"""Reports of runs that played episodes, made anew from their records, with the episodes behind every number.

Versions and machine are those of the run, from its execution log, not of the machine that writes the page.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from daf.errors import DataError
from daf.render.pages import page
from daf.render.report import render_html, render_markdown
from daf.render.run_markdown import run_markdown
from daf.render.run_page import FILTER_ROWS, run_html
from daf.reporting.episodes_table import episodes_section
from daf.reporting.files import HTML, MARKDOWN, Pages
from daf.reporting.plain_page import plain_page
from daf.reporting.run_facts import RunFacts, environment, read_json, what_was_run


def evaluation(facts: RunFacts) -> Pages:
    """An evaluation or a comparison; from its results alone where it kept no records."""
    info = facts.info
    results = read_json(info.path / "results.json") or {}
    if "until_decided" in results:
        return own_page(facts)
    from daf.evaluation.keeping import stored
    from daf.evaluation.report import report_of

    try:
        found = stored(info, results)
    except DataError:
        return own_page(facts)
    started = info.started_at.isoformat(sep=" ", timespec="seconds")[:19]
    report = report_of(found, started=started, command=info.command)
    report = replace(report, environment=dict(environment(facts.log)))
    return Pages(render_html(report), render_markdown(report))


def score(facts: RunFacts) -> Pages:
    """A score."""
    from daf.reporting.stored_teams import stored_score
    from daf.scoring_analysis.report import markdown_of, view_of

    results = _results(facts)
    try:
        report, kept = stored_score(facts.info, results, facts.config)
    except DataError:
        return own_page(facts)
    html = page("score.html.j2", {**view_of(report, kept), **_sections(facts, results)})
    return Pages(html, markdown_of(report, kept))


def crossplay(facts: RunFacts) -> Pages:
    """A cross-play."""
    from daf.crossplay.report import markdown_of, view_of
    from daf.reporting.stored_teams import stored_crossplay

    results = _results(facts)
    try:
        report, kept = stored_crossplay(facts.info, results, facts.config)
    except DataError:
        return own_page(facts)
    html = page("crossplay.html.j2", {**view_of(report, kept), **_sections(facts, results)})
    return Pages(html, markdown_of(report, kept))


def own_page(facts: RunFacts) -> Pages:
    """The page that the run wrote itself where it is there, else one of its results; Markdown where there is none."""
    plain = plain_page(facts)
    there = (facts.info.path / HTML).is_file()
    described = (facts.info.path / MARKDOWN).is_file()
    return Pages(None if there else run_html(plain), None if there and described else run_markdown(plain))


def _results(facts: RunFacts) -> Mapping[str, Any]:
    return read_json(facts.info.path / "results.json") or {}


def _sections(facts: RunFacts, results: Mapping[str, Any]) -> dict[str, object]:
    return {"sections": [*episodes_section(results), what_was_run(facts)], "filter_rows": FILTER_ROWS}
