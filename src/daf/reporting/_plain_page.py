"""The page of a run whose kind has no specialised page: how it ended, its results as tables, what was run.

Results are read from the JSON objects in the run directory. Lists of objects become tables, and objects become facts;
nothing is computed from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.render.pages.parts import Alert, Column, Facts, Part, RunPage, Section, Sentences, Table, cell
from daf.render.pages.plain import bounds_in, heading_of, key_of, nested, parts_of
from daf.render.pages.run_facts import (
    EXECUTION_LOG,
    RunFacts,
    ending_alerts,
    read_json,
    shown,
    subtitle_of,
    what_was_run,
)
from daf.render.text import estimates, printable
from daf.reporting._episodes_table import episodes_section, failure_alerts
from daf.storage.numbers import finite

FRAME = (
    "run_id",
    "run_dir",
    "status",
    "title",
    "cache",
    "report",
    "settings",
    "episodes",
    "summary",
    "format",
    "notes",
)
"""The first fields of results, which the page shows elsewhere."""
RESULTS = ("results.json", "ablation.json", "benchmark.json")
SKIPPED = (EXECUTION_LOG, "experiment_config.json", "plan.json", *RESULTS)


def plain_page(facts: RunFacts, *, sections: Sequence[Section] = (), finding: str = "") -> RunPage:
    """Build the page. sections: content in addition to the results, shown first."""
    results = results_of(facts.info.path)
    others = [] if results else _others(facts)
    return RunPage(
        title=printable(facts.info.title or facts.info.operation),
        subtitle=subtitle_of(facts.info),
        chips=[facts.info.operation, facts.info.status],
        alerts=[*ending_alerts(facts), *result_alerts(results, analysis=(facts.info.path / "analysis.json").is_file())],
        finding=finding or finding_of(results),
        sections=[
            *sections,
            *([Section("ranking", "Ranking", ranking)] if (ranking := ranking_parts(results)) else []),
            *_tables(results),
            *others,
            *episodes_section(results, facts),
            what_was_run(facts),
        ],
    )


def results_of(folder: Path) -> dict[str, Any]:
    """The results of a run that played episodes, from the first results file with content; empty if there is none."""
    return next((found for name in RESULTS if (found := read_json(folder / name))), {})


def result_alerts(results: Mapping[str, Any], *, analysis: bool = False) -> list[Alert]:
    """Failures and notes in results. analysis: omit the notes on stats that the analysis requested but did not find."""
    summary = results.get("summary")
    notes = summary.get("notes") if isinstance(summary, dict) else results.get("notes")
    alerts = [Alert(printable(str(note))) for note in notes] if isinstance(notes, list) else []
    if analysis:
        alerts = [alert for alert in alerts if not alert.text.startswith("--series-stat ")]
    return [*failure_alerts(results), *alerts]


def finding_of(results: Mapping[str, Any]) -> str:
    """The finding stored in the results; empty if they have none."""
    sentence = results.get("sentence")
    if isinstance(sentence, str):
        return printable(sentence)
    findings = results.get("findings")
    if isinstance(findings, list) and findings:
        return printable(str(findings[0]))
    overall = results.get("overall")
    if isinstance(overall, list) and overall and isinstance(overall[0], dict):
        return printable(str(overall[0].get("sentence", "")))
    pairs = results.get("pairs")
    if isinstance(pairs, list):
        overall = [pair for pair in pairs if isinstance(pair, dict) and pair.get("mission") is None]
        if len(overall) == 1:
            return printable(str(overall[0].get("sentence", "")))
    return ""


def ranking_parts(results: Mapping[str, Any]) -> list[Part]:
    """The ranking and the pairs in the results of an evaluation."""
    ranking, pairs = results.get("ranking"), results.get("pairs")
    if not isinstance(ranking, list) or not ranking:
        return []
    around = [bounds_in(row.get("ci")) for row in ranking]
    texts = estimates([finite(row.get("mean")) for row in ranking], around)
    rows = [
        [
            cell(row.get("rank")),
            cell(row.get("policy")),
            cell(mean, strong=True),
            cell(ci),
            cell(row.get("n")),
            cell(row.get("caveat") or ""),
        ]
        for row, mean, ci in zip(ranking, *texts, strict=True)
    ]
    columns = [
        Column("Rank", number=True),
        Column("Policy"),
        Column("Mean", number=True),
        Column("Interval", number=True),
        Column("Blocks", number=True),
        Column("Caveat"),
    ]
    parts: list[Part] = [Table(columns, rows)]
    if isinstance(pairs, list) and pairs:
        kinds = {"better": "decided", "worse": "decided", "equal": "equal", "identical": "equal"}
        sentences = []
        for pair in pairs:
            if isinstance(pair, dict) and pair.get("mission") is None:
                verdict = str(pair.get("verdict"))
                kind = kinds.get(verdict, "open")
                word = "decided" if kind == "decided" else verdict
                sentences.append((kind, printable(word), printable(str(pair.get("sentence", "")))))
        parts.append(Sentences(sentences))
    return parts


def _tables(results: Mapping[str, Any]) -> list[Section]:
    fields = {name: value for name, value in results.items() if name not in (*FRAME, "ranking", "pairs", "sentence")}
    simple = [
        (heading_of(name), shown(value)) for name, value in fields.items() if not nested(value) and value is not None
    ]
    sections = [Section("results", "Results", [Facts(simple)])] if simple else []
    for name, value in fields.items():
        if not nested(value):
            continue
        parts = parts_of(value)
        if parts:
            sections.append(Section(key_of(name), heading_of(name), parts))
    return sections


def _others(facts: RunFacts) -> list[Section]:
    """Results under other names, one section per file."""
    sections = []
    for path in sorted(facts.info.path.glob("*.json")):
        if path.name in SKIPPED or path.name.startswith("."):
            continue
        data = read_json(path)
        if data:
            parts = parts_of(data)
            sections.append(Section(key_of(path.stem), heading_of(path.stem), parts))
    return sections
