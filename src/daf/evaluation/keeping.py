"""What an evaluation leaves in its run folder: records, replays, tables, results and the report."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.results_file import FILE, EvaluationResults, read_results
from daf.episodes.run import RunResult
from daf.episodes.stored import read_result, write_result
from daf.episodes.tables import RunRow, build_tables
from daf.errors import DamagedFileError, DataError
from daf.evaluation._analysis import analyse
from daf.evaluation.result import Evaluation, results_data
from daf.output_manager import execution
from daf.playing.settings import settings_from
from daf.storage.atomic import write_json, write_text
from daf.storage.containment import own
from daf.storage.jsonable import jsonable
from daf.storage.names import file_name

if TYPE_CHECKING:
    from daf.output_manager import RunInfo


def keep(
    run_dir: Path, result: RunResult, replays: Mapping[str, Path], cache: EpisodeCache, *, records: bool = True
) -> dict[str, Path]:
    """Put plan, records and replays into the run folder, as links where that can be. Returns the replays' places."""
    write_result(run_dir, result, cache, keep_records=records)
    kept = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        source = replays.get(record.spec.key)
        if source is None:
            continue
        parts = [file_name(record.spec.mission), file_name(record.spec.name), f"{planned.index:03d}"]
        name = "-".join([*parts, record.spec.key[:8]]) + ".json.z"
        target = run_dir / "replays" / name
        link_or_copy(source, target)
        kept[record.spec.key] = target
    return kept


def write(evaluation: Evaluation, *, command: str | None = None) -> None:
    """Tables, results as JSON, and the report. command: the one that made the run, if not the present one."""
    result, run_dir = evaluation.result, evaluation.run_dir
    command = command_line() if command is None else command
    started = datetime.fromtimestamp(evaluation.started).isoformat(sep=" ", timespec="seconds")
    row = RunRow(evaluation.run_id, evaluation.operation, started, result.plan.seed, command)
    names = {key: path.name for key, path in evaluation.replays.items()}
    build_tables(own(run_dir, "stats"), row, result, names)
    write_json(own(run_dir, "results.json"), jsonable(results_data(evaluation)))
    if evaluation.settings.report:
        from daf.evaluation.page import render_html, render_markdown
        from daf.evaluation.report import report_of

        report = report_of(evaluation, started=started, command=command)
        write_text(own(run_dir, "report.html"), render_html(report))
        write_text(own(run_dir, "REPORT.md"), render_markdown(report))


def rebuild_tables(run: "RunInfo") -> Path:
    """Build a run's tables anew from its records. Raises `DataError` where it kept none."""
    result = read_result(run.path)
    started = run.started_at.astimezone().isoformat(sep=" ", timespec="seconds")[:19]
    replays = {path.name.removesuffix(".json.z").rpartition("-")[2]: path.name for path in _replay_files(run.path)}
    names = {r.spec.key: replays[r.spec.key[:8]] for r in result.records if r.spec.key[:8] in replays}
    row = RunRow(run.run_id, run.operation, started, result.plan.seed, run.command)
    return build_tables(own(run.path, "stats"), row, result, names)


def rebuild(run: "RunInfo") -> list[Path]:
    """Build everything that is derived from a run's records anew: tables, and for evaluations results and report.

    Of a comparison that decided while it played only the tables: its verdicts hold for the looks that were taken then.
    Returns what was written. Raises `DataError` where the run kept no records.
    """
    try:
        data = read_results(run.path) or {}
    except DamagedFileError:
        if run.operation not in ("evaluations", "comparisons"):
            return [rebuild_tables(run)]
        raise
    if run.operation not in ("evaluations", "comparisons") or "settings" not in data or "until_decided" in data:
        return [rebuild_tables(run)]
    evaluation = stored(run)
    settings = evaluation.settings
    write(evaluation, command=run.command)
    names = ["stats/episodes.duckdb", "results.json", *(["report.html", "REPORT.md"] if settings.report else [])]
    return [run.path / name for name in names]


def stored(run: "RunInfo") -> Evaluation:
    """The evaluation that a run was, analysed anew from its records.

    Raises `DataError` where the run kept no records, `DamagedFileError` where one of its files is damaged.
    """
    data = read_results(run.path, EvaluationResults)
    if data is None:
        raise DataError(f"{run.path} holds no {FILE}: it is no evaluation that came to its end.")
    result = read_result(run.path)
    settings = settings_from(data["settings"])
    replays = {
        entry["key"]: run.path / "replays" / Path(entry["replay"]).name for entry in data["episodes"] if entry["replay"]
    }
    return Evaluation(
        operation=run.operation,
        run_id=run.run_id,
        run_dir=run.path,
        title=data["title"],
        started=run.started_at.timestamp(),
        seconds=data["summary"]["seconds"],
        result=result,
        analysis=analyse(result, settings),
        replays=replays,
        settings=settings,
        cache=Path(data["cache"]),
    )


def _replay_files(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "replays").glob("*.json.z"))


def command_line() -> str:
    """The command that runs now, as it can be typed again."""
    return execution.command_line(sys.argv)
