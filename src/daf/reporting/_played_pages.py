"""Reports on runs that played episodes, rebuilt from their records, with the episodes behind every number.

Versions and machine are those in the run's execution log, not those of the machine that writes the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daf.errors import DamagedFileError, DataError
from daf.evaluation.page import render_html, render_markdown
from daf.metrics.page import metric_sections
from daf.output_manager.kinds import read_json
from daf.render.pages.files import HTML, MARKDOWN, WRITTEN_BY_RUNS, Pages, pages_of
from daf.render.pages.html import page
from daf.render.pages.markdown import run_markdown
from daf.render.pages.parts import FILTER_ROWS, Part, Section, Text, fragment
from daf.render.pages.plain import parts_of
from daf.render.pages.run_facts import RunFacts, environment, run_details, what_was_run
from daf.render.text import printable
from daf.reporting._episodes_table import episodes_section
from daf.reporting._plain_page import plain_page, results_of

MARK = "<!-- daf report -->"
GENERATOR = '<meta name="generator" content="daf report">'
HEAD_CHARACTERS = 2_000


def evaluation(facts: RunFacts) -> Pages:
    """An evaluation or a comparison; from its results alone if it kept no records."""
    info = facts.info
    if "until_decided" in _results(facts):
        return own_page(facts)
    from daf.evaluation.keeping import stored
    from daf.evaluation.report import report_of

    try:
        found = stored(info)
    except DamagedFileError as error:
        return own_page(facts.with_damage(str(error)))
    except DataError:
        return own_page(facts)
    report = replace(report_of(found), environment=dict(environment(facts.log)))
    return Pages(render_html(report), render_markdown(report))


def score(facts: RunFacts) -> Pages:
    """A score."""
    from daf.reporting._stored_teams import stored_score
    from daf.scoring_analysis.report import markdown_of, view_of

    results = _results(facts)
    try:
        report = stored_score(facts.info, facts.config)
    except DamagedFileError as error:
        return own_page(facts.with_damage(str(error)))
    except DataError:
        return own_page(facts)
    html = page("score.html.j2", {**view_of(report), **_sections(facts, results)})
    return Pages(html, markdown_of(report))


def crossplay(facts: RunFacts) -> Pages:
    """A cross-play."""
    from daf.crossplay.report import markdown_of, view_of
    from daf.reporting._stored_teams import stored_crossplay

    results = _results(facts)
    try:
        report = stored_crossplay(facts.info, facts.config)
    except DamagedFileError as error:
        return own_page(facts.with_damage(str(error)))
    except DataError:
        return own_page(facts)
    html = page("crossplay.html.j2", {**view_of(report), **_sections(facts, results)})
    return Pages(html, markdown_of(report))


def own_page(facts: RunFacts) -> Pages:
    """The page that the run itself wrote, with episodes and details of the run added; a plain one if there is none."""
    folder = facts.info.path
    results = results_of(folder)
    try:
        analysis = _analysis(folder)
    except DamagedFileError as error:
        facts, analysis = facts.with_damage(str(error)), []
    plain = plain_page(facts, sections=analysis)
    found = own_text(folder)
    if found is None:
        return pages_of(plain)
    bare = completed(found, [])
    complete = 'id="run"' in bare and 'id="all-episodes"' in bare
    if complete:
        damage: list[Part] = [Text([printable(sentence)]) for sentence in facts.damaged]
        sections = [Section("damaged", "Damaged files", damage)] if damage else []
    else:
        described_there = 'id="run"' in bare
        sections = [*episodes_section(results, facts), run_details(facts) if described_there else what_was_run(facts)]
    html = None if not sections and bare == found else completed(found, sections)
    described = (folder / MARKDOWN).is_file() and complete
    return Pages(html, None if described else run_markdown(plain))


def own_text(folder: Path) -> str | None:
    """The page that the run itself wrote; None if there is none, or only one that `daf report` made."""
    for name in WRITTEN_BY_RUNS:
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8")
            if name != HTML or GENERATOR not in text[:HEAD_CHARACTERS]:
                return text
    return None


def completed(html: str, sections: Sequence[Section]) -> str:
    """Append `sections` to `html`, replacing those that an earlier call added.

    The markers around them cannot come from a name, because names are escaped.
    """
    before, mark, rest = html.partition(MARK)
    if mark:
        html = before + rest.partition(MARK)[2]
    if not sections:
        return html
    head, end, tail = html.rpartition("</main>")
    return f"{head}{MARK}{fragment('run_sections.html.j2', sections)}{MARK}{end}{tail}"


def _analysis(folder: Path) -> list[Section]:
    """The findings that the run's own page shows, for the Markdown. Raises `DamagedFileError`."""
    found, needs = read_json(folder / "analysis.json"), read_json(folder / "power.json") or {}
    rows = needs.get("needed")
    sentences = [str(row["sentence"]) for row in rows if "sentence" in row] if isinstance(rows, list) else []
    sections = [] if found is None else [Section("analysis", "Analysis", parts_of(found))]
    if sentences:
        sections.append(Section("needed", "Needed", [Text(list(map(printable, sentences)))]))
    return [*sections, *metric_sections(folder)]


def _results(facts: RunFacts) -> Mapping[str, Any]:
    return read_json(facts.info.path / "results.json") or {}


def _sections(facts: RunFacts, results: Mapping[str, Any]) -> dict[str, object]:
    return {"sections": [*episodes_section(results, facts), what_was_run(facts)], "filter_rows": FILTER_ROWS}
