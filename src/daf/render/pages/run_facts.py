"""What every report ends with: the command, the configuration, the environment, the outcome, and the run's files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daf.errors import DamagedFileError, StorageError
from daf.output_manager import RunInfo, execution
from daf.output_manager.kinds import read_json
from daf.output_manager.layout import EXECUTION_LOG, EXPERIMENT_CONFIG
from daf.output_manager.runs import DAMAGED
from daf.render.pages.parts import Alert, Cell, Code, Column, Facts, Heading, Part, Section, Table, Text, cell
from daf.render.text import ABSENT, duration, printable, same_decimals
from daf.stats.sentences import counted
from daf.storage.printable import printable_lines
from daf.storage.reading import read_json as storage_json

MOST_FILES = 400
LONGEST_VALUE = 2_000
OBJECTS = (
    EXPERIMENT_CONFIG, "results.json", "result.json", "analysis.json", "metrics.json", "power.json",
    "ablation.json", "benchmark.json",
    "variants.json", "pipeline.json", "experiment.json",
)  # fmt: skip
"""Files of a run that hold one JSON object. Pages read them field by field, if the field has the expected type."""
OWN = ("report.html", "REPORT.md", "report.pdf", "sweep.html", "sweep.pdf")
"""Files that a page does not list: it would list itself, and differ the second time."""


@dataclass(frozen=True)
class RunFacts:
    """A run with its execution log and its configuration, as stored in its directory.

    damaged: a sentence for each of its files that cannot be read; the page shows them before any number.
    """

    info: RunInfo
    log: Mapping[str, Any]
    config: Mapping[str, Any]
    damaged: tuple[str, ...] = ()

    def with_damage(self, sentence: str) -> "RunFacts":
        """The same facts with one more damaged file; each file is listed only once."""
        return replace(self, damaged=tuple(dict.fromkeys([*self.damaged, sentence])))


def facts_of(info: RunInfo) -> RunFacts:
    """Read both files; a missing configuration is empty, and so is a damaged file, which `damaged` reports."""
    log = {} if info.status == DAMAGED else execution.read(info.path) or {}
    facts = RunFacts(info, log, read_json(info.path / EXPERIMENT_CONFIG) or {})
    for name in OBJECTS:
        try:
            storage_json(info.path / name, dict[str, Any])
        except (DamagedFileError, StorageError) as error:
            facts = facts.with_damage(str(error))
    return facts


def subtitle_of(info: RunInfo) -> str:
    """ "Run 20261120_101500 of training · 2026-11-20 10:15:00 · 3 min 5 s"."""
    started = info.started_at.isoformat(sep=" ", timespec="seconds")[:19]
    took = "" if info.duration_seconds is None else f" · {duration(info.duration_seconds)}"
    sessions = f" in {info.sessions} sessions" if info.sessions > 1 and took else ""
    return printable(f"Run {info.run_id} of {info.operation} · {started}{took}{sessions}")


def ending_alerts(facts: RunFacts) -> list[Alert]:
    """How the run ended, if it did not end well, or that it is still running."""
    damaged = [Alert(printable(f"Damaged: {sentence}"), bad=True) for sentence in facts.damaged]
    return [*damaged, *_ending(facts.info)]


def _ending(info: RunInfo) -> list[Alert]:
    error = info.error or ""
    first, _, rest = error.partition("\n")
    match info.status:
        case "failed":
            text = f"The run failed: {printable(first)}" if first.strip() else "The run failed."
            return [Alert(text, bad=True, detail=printable_lines(rest.strip()))]
        case "interrupted":
            why = f": {printable(first)}" if first.strip() else ""
            return [Alert(f"The run was interrupted{why}. The page shows what had finished by then.", bad=True)]
        case "damaged":
            text = f"The run is damaged: {printable(error)}. This page shows what its other files hold."
            return [Alert(text, bad=True)]
        case "running":
            return [Alert("The run is still in progress: this page shows its state when the page was written.")]
    return []


def what_was_run(facts: RunFacts, *, before: Sequence[Part] = (), note: str = "") -> Section:
    """The section. before: parts between the command and the configuration. note: a sentence below the command."""
    parts: list[Part] = [Code(printable(facts.info.command))]
    if note:
        parts.append(Text([note], muted=True))
    return Section("run", "Command and configuration", [*_damage(facts), *parts, *before, *_details(facts)])


def run_details(facts: RunFacts) -> Section:
    """The section for a page that already shows the command."""
    return Section("run-in-full", "Run details", [*_damage(facts), *_details(facts)])


def _damage(facts: RunFacts) -> list[Part]:
    return [Text([f"Damaged: {printable(sentence)}"]) for sentence in facts.damaged]


def _details(facts: RunFacts) -> list[Part]:
    """Configuration, environment, earlier attempts, and files."""
    log, parts = facts.log, list[Part]()
    settings = flat(facts.config)
    if settings:
        parts += [
            Heading("Configuration"),
            Facts(settings, folded="1 setting" if len(settings) == 1 else f"{len(settings)} settings"),
        ]
    parts += [Heading("Environment"), Facts(environment(log))]
    earlier = [entry for entry in log.get("previous", []) if isinstance(entry, dict)]
    if earlier:
        parts += [Heading("Earlier attempts"), _attempts(earlier)]
    listed = files(facts.info.path)
    if listed:
        parts.append(listed)
    return parts


def environment(log: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions, machine, commit and directory, from an execution log."""
    versions = log.get("versions")
    facts = [(str(name), str(value)) for name, value in versions.items()] if isinstance(versions, dict) else []
    names = {"platform": "platform", "host": "host", "git_commit": "git commit", "working_directory": "folder"}
    facts += [(shown, str(log[key])) for key, shown in names.items() if log.get(key)]
    return [(printable(name), printable(value)) for name, value in facts]


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings by dotted name; absent ones as "not set"."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{key}.")
        else:
            found.append((printable(key), shown(value)))
    return found


def shown(value: object) -> str:
    """The value of a setting as text."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        text = ", ".join(str(item) for item in value) or "none"
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} … ({len(text):,} characters)"
    return printable(text)


def setting_column(values: Sequence[object]) -> list[str]:
    """The values of one setting in several runs as text: numbers share their decimals, and a dash stands for None."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == sum(value is not None for value in values) and any(isinstance(n, float) for n in numbers):
        return same_decimals([None if value is None else float(str(value)) for value in values])
    return [ABSENT if value is None else shown(value) for value in values]


def files(folder: Path) -> Table | None:
    """The run's files with links; beyond `MOST_FILES`, only the first are listed, with the number left out."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in OWN
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        return None
    rows = []
    for path in found[:MOST_FILES]:
        name = path.relative_to(folder).as_posix()
        rows.append([Cell(printable(name), link=name), Cell(size_text(path.stat().st_size))])
    left = len(found) - len(rows)
    note = f"{left:,} more files are not listed." if left else ""
    count = counted(len(found), "file")
    return Table([Column("File"), Column("Size")], rows, note=note, folded=f"{count} of this run")


def size_text(size: int) -> str:
    """ "950 B", "12.3 kB"."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _attempts(earlier: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for entry in earlier:
        seconds = entry.get("duration_seconds")
        status = str(entry.get("status", ""))
        rows.append(
            [
                cell(str(entry.get("started_at", ""))[:19].replace("T", " ")),
                cell(status, tag="ok" if status == "completed" else "failed"),
                cell(duration(seconds) if isinstance(seconds, int | float) else None),
                cell(entry.get("error") or ""),
                cell(entry.get("command", ""), code=True),
            ]
        )
    columns = [Column("Started"), Column("Ended"), Column("Took"), Column("Error"), Column("Command")]
    return Table(columns, rows)


__all__ = [
    "EXECUTION_LOG",
    "RunFacts",
    "ending_alerts",
    "environment",
    "facts_of",
    "files",
    "flat",
    "read_json",
    "run_details",
    "shown",
    "size_text",
    "subtitle_of",
    "what_was_run",
]
