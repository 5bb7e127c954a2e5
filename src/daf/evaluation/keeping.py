"""The files that an evaluation adds to its run directory, and rebuilding everything derived from records."""

from pathlib import Path
from typing import TYPE_CHECKING

from daf.episodes.results_file import FILE, EvaluationResults, read_results
from daf.episodes.stored import read_result
from daf.episodes.tables import RunRow, build_tables
from daf.errors import DamagedFileError, DataError
from daf.evaluation._analysis import analyse
from daf.evaluation.result import Evaluation, results_data
from daf.playing.run import stored_run
from daf.playing.settings import settings_from
from daf.storage.atomic import write_json, write_text
from daf.storage.containment import own
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import RunInfo


def write(evaluation: Evaluation) -> None:
    """Write the results as JSON, and the report."""
    run = evaluation.run
    write_json(own(run.run_dir, "results.json"), jsonable(results_data(evaluation)))
    if run.settings.report:
        from daf.evaluation.page import render_html, render_markdown
        from daf.evaluation.report import report_of

        report = report_of(evaluation)
        write_text(own(run.run_dir, "report.html"), render_html(report))
        write_text(own(run.run_dir, "REPORT.md"), render_markdown(report))


def rebuild_tables(run: "RunInfo") -> Path:
    """Rebuild the tables of a run from its records. Raises `DataError` if it kept none."""
    result = read_result(run.path)
    started = run.started_at.astimezone().isoformat(sep=" ", timespec="seconds")[:19]
    replays = {path.name.removesuffix(".json.z").rpartition("-")[2]: path.name for path in _replay_files(run.path)}
    names = {r.spec.key: replays[r.spec.key[:8]] for r in result.records if r.spec.key[:8] in replays}
    row = RunRow(run.run_id, run.operation, started, result.plan.seed, run.command)
    return build_tables(own(run.path, "stats"), row, result, names)


def rebuild(run: "RunInfo") -> list[Path]:
    """Rebuild everything derived from a run's records: tables, and for evaluations also results and report.

    For a sequential comparison, only the tables are rebuilt, because its verdicts depend on the interim looks during
    the run. Returns the paths written. Raises `DataError` if the run kept no records.
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
    evaluation.run.write_tables()
    write(evaluation)
    names = ["stats/episodes.duckdb", "results.json", *(["report.html", "REPORT.md"] if settings.report else [])]
    return [run.path / name for name in names]


def stored(info: "RunInfo") -> Evaluation:
    """Load the evaluation of a run and analyse it again from its records.

    Raises `DataError` if the run kept no records, `DamagedFileError` if one of its files is damaged.
    """
    data = read_results(info.path, EvaluationResults)
    if data is None:
        raise DataError(f"{info.path} has no {FILE}: it is not an evaluation that finished.")
    settings = settings_from(data["settings"])
    run = stored_run(info, data, settings)
    return Evaluation(run, analyse(run.result, settings))


def _replay_files(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "replays").glob("*.json.z"))
