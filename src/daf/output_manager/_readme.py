"""`README.md` of a run directory: what was run, how it ended, and its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.output_manager.layout import EXECUTION_LOG, EXPERIMENT_CONFIG, PARTS
from daf.storage.printable import markdown_code, markdown_text, printable


def readme_text(execution: Mapping[str, Any], folder: Path) -> str:
    """The page for a run from its execution log, listing the parts that `folder` contains now."""
    earlier = execution["previous"]
    first, seconds = (earlier or [execution])[0], execution["duration_seconds"]
    if seconds is not None:
        seconds += sum(attempt.get("duration_seconds") or 0.0 for attempt in earlier)
    facts = [
        ("status", execution["status"]),
        ("started", first.get("started_at", execution["started_at"])),
        ("sessions", len(earlier) + 1 if earlier else None),
        ("ended", execution["ended_at"]),
        ("seconds", _seconds(seconds)),
        ("error", execution["error"]),
        ("host", execution["host"]),
        ("git commit", execution["git_commit"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in execution["versions"].items())),
    ]
    lines = [
        f"# {markdown_text(execution['title'])}",
        "",
        f"Run `{execution['run_id']}` of {execution['operation']}.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in facts if value is not None),
        "",
        "Started with",
        "",
        markdown_code(_one_line(execution["command"])),
        "",
        f"- `{EXPERIMENT_CONFIG}`: the requested configuration",
        f"- `{EXECUTION_LOG}`: how it was run and how it ended",
        *(f"- `{part}/`: {meaning}" for part, meaning in PARTS.items() if (folder / part).is_dir()),
    ]
    return "\n".join(lines) + "\n"


def summary_text(title: str, data: Mapping[str, Any]) -> str:
    """Names and values as a Markdown page; nested mappings become sections."""
    lines = [f"# {markdown_text(title)}", ""]
    plain = {name: value for name, value in data.items() if not isinstance(value, dict)}
    _table(lines, plain)
    for name, value in data.items():
        if isinstance(value, dict):
            lines += [f"## {markdown_text(str(name))}", ""]
            _table(lines, value)
    return "\n".join(lines).rstrip() + "\n"


def _table(lines: list[str], values: Mapping[str, Any]) -> None:
    if values:
        lines += ["| | |", "|---|---|", *(f"| {_cell(name)} | {_cell(value)} |" for name, value in values.items()), ""]


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


def _one_line(text: object) -> str:
    return printable(" ".join(str(text).split()))


def _cell(value: object) -> str:
    text = "n/a" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return markdown_text(text)
