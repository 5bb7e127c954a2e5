"""`daf runs`: what was run, and what to do with it."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._options import JsonOption, OutputDirOption
from daf.errors import DamagedFileError, StorageError, UsageError

if TYPE_CHECKING:
    from daf.core.training_file import TrainingFile
    from daf.episodes.results_file import RankingRow, ResultsFile

app = typer.Typer(rich_markup_mode=None, add_completion=False, help="List, show, query, clean and export runs.")

RunArgument = Annotated[str, typer.Argument(help="Run id, a prefix of one, OPERATION/ID, or latest.")]


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, output_dir: OutputDirOption = None, as_json: JsonOption = False) -> None:
    """List, show, query, clean and export runs. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(output_dir, None, 30, as_json)
    else:
        context.obj = {"output_dir": output_dir, "as_json": as_json}


@app.command("list")
def list_command(
    context: typer.Context,
    operation: Annotated[
        str | None, typer.Option("--operation", help="Only runs of this operation: evaluations, comparisons, …")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="The N newest runs.")] = 30,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    above = context.obj or {}
    _list(output_dir or above.get("output_dir"), operation, limit, as_json or above.get("as_json", False))


def _list(output_dir: Path | None, operation: str | None, limit: int, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table, seconds
    from daf.output_manager import list_runs

    found = list_runs(output_dir, operation)
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "runs": [run.to_data() for run in found[:limit]]})
        return
    if not found:
        out.print("No runs yet. Start one with `daf quickstart`.", markup=False)
        return
    table = plain_table("runs")
    for column in ("run", "operation", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("title")
    colours = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan", "damaged": "red"}
    for run in found[:limit]:
        colour = colours.get(run.status, "default")
        took = seconds(run.duration_seconds) if run.duration_seconds is not None else "–"
        status = f"[{colour}]{run.status}[/{colour}]"
        table.add_row(run.run_id, run.operation, status, took, _size(run.size_bytes), escape(run.title))
    out.print(table)
    for run in found[:limit]:
        if run.status == "damaged":
            out.print(f"[red]damaged:[/red] {escape(f'{run.path}: {run.error}')}", soft_wrap=True)
    if len(found) > limit:
        out.print(f"… and {len(found) - limit} older ones (--limit).", markup=False)


@app.command("show")
def show_command(
    run: RunArgument = "latest",
    sql: Annotated[str | None, typer.Option("--sql", help="Query the run's tables; --sql tables lists them.")] = None,
    sql_timeout: Annotated[
        float, typer.Option("--sql-timeout", metavar="S", min=0.1, help="Stop a query after S seconds.")
    ] = 60.0,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run, or query its tables.

    \b
        daf runs show latest
        daf runs show latest --sql "select mission, contender, mean from returns"
    """
    from daf.output_manager import find_run

    found = find_run(run, output_dir)
    if sql is not None:
        _query(found, sql, sql_timeout, as_json)
        return
    from daf.cli.show import emit, out
    from daf.core.training_file import read_training
    from daf.episodes.results_file import read_results

    data: ResultsFile = {}
    training: TrainingFile | None = None
    damaged = []
    try:
        data = read_results(found.path) or {}
    except (DamagedFileError, StorageError) as error:
        damaged.append(str(error))
    try:
        training = read_training(found.path)
    except (DamagedFileError, StorageError) as error:
        damaged.append(str(error))
    if as_json:
        emit(found.to_data() | {"results": data or training, "damaged": damaged})
        return
    out.print(f"{found.operation}/{found.run_id}  {found.status}  {found.title}", markup=False, soft_wrap=True)
    out.print(f"command: {found.command}", markup=False, soft_wrap=True)
    if training is not None:
        _training(found.path, training)
    if found.error:
        out.print(f"[red]error:[/red] {escape(found.error)}", soft_wrap=True)
    for sentence in damaged:
        out.print(f"[red]damaged:[/red] {escape(sentence)}", soft_wrap=True)
    for note in data["summary"]["notes"] if "summary" in data else ():
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    if ranking := data.get("ranking"):
        _ranking(ranking)
    for pair in data.get("pairs", ()):
        if pair["mission"] is None:
            out.print(f"  {pair['sentence']}", markup=False, soft_wrap=True)
    for path in sorted(found.path.iterdir()):
        out.print(f"  {path}{'/' if path.is_dir() else ''}", markup=False, soft_wrap=True)


def _training(run_dir: Path, training: "TrainingFile") -> None:
    from daf.cli.show import out

    reached = f"{training.get('status', 'unknown')}: {training.get('steps', 0):,} agent steps"
    out.print(f"training {reached} in {training.get('updates', 0):,} updates", markup=False, soft_wrap=True)
    checkpoint = training.get("final_checkpoint")
    if checkpoint is not None:
        out.print(f"checkpoint: {run_dir / checkpoint}", markup=False, soft_wrap=True)


def _ranking(rows: "list[RankingRow]") -> None:
    from daf.cli.show import out, ranking_table
    from daf.stats.summaries import PolicySummary

    def pair(bounds: Sequence[float] | None) -> tuple[float, float] | None:
        return (bounds[0], bounds[1]) if bounds else None

    summaries = [
        PolicySummary(
            policy=index,
            name=row["policy"],
            rank=row["rank"],
            mean=row["mean"],
            ci=pair(row["ci"]),
            iqm=row["iqm"],
            iqm_ci=pair(row["iqm_ci"]),
            n=row["n"],
            method=row["method"],
            caveat=row["caveat"],
        )
        for index, row in enumerate(rows)
    ]
    out.print(ranking_table("Reward per agent", summaries))


def _query(run: Any, sql: str, seconds: float, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.episodes.tables import DATABASE
    from daf.storage.databases import query

    if sql.strip() == "tables":
        sql = "select table_name as name, column_name as column, data_type as type from information_schema.columns"
    database = run.path / "stats" / DATABASE
    if not database.is_file():
        from daf.evaluation.keeping import rebuild_tables

        rebuild_tables(run)
    names, rows = query(database, sql, seconds=seconds)
    if as_json:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        emit({"run_id": run.run_id, "run_dir": str(run.path), "status": "ok", "rows": found})
        return
    table = plain_table("")
    for name in names:
        table.add_column(escape(name))
    for row in rows:
        table.add_row(*(escape(_shown(value)) for value in row))
    out.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@app.command("rebuild")
def rebuild_command(
    run: RunArgument = "latest", output_dir: OutputDirOption = None, as_json: JsonOption = False
) -> None:
    """Rebuild a run's tables from its records, and the results and report of an evaluation or comparison."""
    from daf.cli.show import emit, out
    from daf.evaluation.keeping import rebuild
    from daf.output_manager import find_run

    found = find_run(run, output_dir)
    written = rebuild(found)
    if as_json:
        emit({"run_id": found.run_id, "run_dir": str(found.path), "status": "ok", "written": [str(p) for p in written]})
        return
    for path in written:
        out.print(str(path), markup=False, soft_wrap=True)


@app.command("clean")
def clean_command(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Delete runs older than AGE: 30d, 12h, 2w.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Clear the cache of episodes; runs keep their records.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without confirmation.")] = False,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete old runs (--older-than), or the cache of episodes (--cache).

    Deletes only directories that DAF created, and never a run in progress. Unfinished files of killed commands are
    deleted too.
    """
    if older_than is None and not cache:
        raise UsageError(
            "nothing to delete is named. Use --older-than 30d for runs, --cache for the cache of episodes."
        )
    from daf.cli.show import emit, out
    from daf.episodes.cache import EpisodeCache
    from daf.evaluation import default_cache
    from daf.output_manager.layout import base_folder
    from daf.output_utils import cleanup_old_sessions, sweep_up
    from daf.storage.atomic import sweep_below

    days = _days(older_than) if older_than is not None else None
    base = base_folder(output_dir)
    old = cleanup_old_sessions(days, dry_run=True, base_dir=base) if days is not None else []
    episodes = EpisodeCache(default_cache(base))
    files, size = episodes.size() if cache else (0, 0)
    sizes = {run.path: run.size_bytes for run in old}
    if not dry_run and not yes and not as_json and (old or files):
        if not sys.stdin.isatty():
            raise UsageError(
                "this deletes files, and there is no terminal for a confirmation. Add --yes, or use --dry-run first."
            )
        what = _counted(len(old), "run") + (f" and {_counted(files, 'file')} of the cache" if cache else "")
        typer.confirm(f"Delete {what}?", abort=True, err=True)
    leftovers = 0
    if not dry_run:
        if cache:
            episodes.clear()
        leftovers = len(sweep_up(base)) + len(sweep_below(episodes.root))
        if days is not None:
            old = cleanup_old_sessions(days, dry_run=False, base_dir=base)
    if as_json:
        removed = [{"run_id": run.run_id, "operation": run.operation, "run_dir": str(run.path)} for run in old]
        cached = {"path": str(episodes.root), "files": files, "bytes": size} if cache else None
        data = {"dry_run": dry_run, "runs": removed, "cache": cached, "leftovers": leftovers}
        emit({"run_id": None, "run_dir": None, "status": "ok", **data})
        return
    verb = "would be deleted" if dry_run else "deleted"
    for run in old:
        out.print(f"{run.operation}/{run.run_id} ({_size(sizes.get(run.path, 0))}) {verb}", markup=False)
    if days is not None:
        out.print(f"{_counted(len(old), 'run')} {verb}", markup=False)
    if leftovers:
        out.print(f"{_counted(leftovers, 'unfinished entry')} of killed commands deleted", markup=False)
    if cache:
        out.print(
            f"{_counted(files, 'file')} ({_size(size)}) of the cache {episodes.root} {verb}",
            markup=False,
            soft_wrap=True,
        )


def _counted(count: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw]?)", text.strip())
    if found is None:
        raise UsageError(f'--older-than must be an age such as 30d, 12h or 2w; got "{text}".')
    return float(found[1]) * {"h": 1 / 24, "d": 1.0, "w": 7.0, "": 1.0}[found[2]]


@app.command("export")
def export_command(
    run: RunArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The archive to write (default: OPERATION_ID.tar.gz in the current directory)."),
    ] = None,
    folder: Annotated[bool, typer.Option("--folder", help="Write a directory instead of an archive.")] = False,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a run with everything it needs, as one archive."""
    from daf.cli.show import emit, out
    from daf.output_manager import find_run
    from daf.output_utils import export_session

    found = find_run(run, output_dir)
    path = export_session(str(found.path), to, compress=not folder, base_dir=output_dir)
    if as_json:
        emit({"run_id": found.run_id, "run_dir": str(found.path), "status": "ok", "exported": str(path)})
    else:
        out.print(str(path), markup=False, soft_wrap=True)


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
