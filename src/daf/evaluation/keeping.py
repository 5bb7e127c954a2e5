"""What an evaluation leaves in its run folder: records, replays, tables, results and the report."""

import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.run import RunResult
from daf.episodes.tables import RunRow, build_tables
from daf.evaluation.result import Evaluation, results_data
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable


def keep(
    run_dir: Path, result: RunResult, replays: Mapping[str, Path], cache: EpisodeCache, *, records: bool = True
) -> dict[str, Path]:
    """Put records and replays into the run folder, as links where that can be. Returns the replays' places there."""
    for record in result.records if records else ():
        if record.ok:
            cache.link(record, run_dir / "records")
    kept = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        source = replays.get(record.spec.key)
        if source is None:
            continue
        parts = [_file_name(record.spec.mission), _file_name(record.spec.name), f"{planned.index:03d}"]
        name = "-".join([*parts, record.spec.key[:8]]) + ".json.z"
        target = run_dir / "replays" / name
        link_or_copy(source, target)
        kept[record.spec.key] = target
    return kept


def write(evaluation: Evaluation) -> None:
    """Tables, results as JSON, and the report."""
    result, run_dir = evaluation.result, evaluation.run_dir
    started = datetime.fromtimestamp(evaluation.started).isoformat(sep=" ", timespec="seconds")
    row = RunRow(evaluation.run_id, evaluation.operation, started, result.plan.seed, command_line())
    names = {key: path.name for key, path in evaluation.replays.items()}
    build_tables(run_dir / "stats", row, result, names)
    write_json(run_dir / "results.json", jsonable(results_data(evaluation)))
    if evaluation.settings.report:
        from daf.evaluation.report import report_of
        from daf.render.report import render_html, render_markdown

        report = report_of(evaluation, started=started, command=command_line())
        write_text(run_dir / "report.html", render_html(report))
        write_text(run_dir / "REPORT.md", render_markdown(report))


def command_line() -> str:
    """The command that runs now, as it can be typed again."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    if program in ("__main__.py", "daf"):
        program = "daf"
    return shlex.join([program, *sys.argv[1:]])


def _file_name(text: str) -> str:
    return "".join(character if character.isalnum() or character in "._=+" else "_" for character in text)[:80]
