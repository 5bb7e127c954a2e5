"""`daf runs`: what was run, and what to do with it."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import JsonOption, OutputDirOption
from daf.cli._run_shown import runs_table, size
from daf.errors import UsageError
from daf.stats.sentences import counted

if TYPE_CHECKING:
    from daf.output_manager import RunInfo
    from daf.output_manager.labels import Labels
    from daf.reporting.catalog import Answer

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    help="List, show, label, query, publish, clean and export runs.",
)

RunArgument = Annotated[str, typer.Argument(help="Run id, a prefix of one, its name, OPERATION/ID, or latest.")]


SORTS = ("started", "name", "kind", "status", "took", "result", "size")


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, output_dir: OutputDirOption = None, as_json: JsonOption = False) -> None:
    """List, show, label, query, publish, clean and export runs. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(output_dir, Filter(), as_json)
    else:
        context.obj = {"output_dir": output_dir, "as_json": as_json}


@dataclass(frozen=True)
class Filter:
    """Which runs to list, and in which order."""

    operation: Annotated[
        str | None, typer.Option("--operation", help="Only runs of this operation: evaluations, comparisons, …")
    ] = None
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only runs of this kind: evaluation, training, sweep, …")
    ] = None
    status: Annotated[
        str | None, typer.Option("--status", help="Only runs of this status: completed, failed, interrupted, …")
    ] = None
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag. Repeatable.")] = None
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="TEXT", help="Only runs with TEXT in name, title, note, command."),
    ] = None
    sort: Annotated[str, typer.Option("--sort", help=f"Order by {', '.join(SORTS)}.")] = "started"
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="List up to N runs.")] = 30


@app.command("list")
@options
def list_command(
    context: typer.Context, chosen: Filter, output_dir: OutputDirOption = None, as_json: JsonOption = False
) -> None:
    """List runs, the newest first.

    \b
        daf runs list --kind training --tag baseline
        daf runs list --sort result --search arena
    """
    above = context.obj or {}
    _list(output_dir or above.get("output_dir"), chosen, as_json or above.get("as_json", False))


def _list(output_dir: Path | None, chosen: Filter, as_json: bool) -> None:
    from daf.cli.show import emit, out
    from daf.output_manager import list_runs
    from daf.reporting.catalog import selected

    everything = list_runs(output_dir, chosen.operation)
    found = selected(
        everything, kind=chosen.kind, status=chosen.status, tags=chosen.tags or (), search=chosen.search,
        sort=chosen.sort, reverse=chosen.reverse,
    )  # fmt: skip
    entries = found[: chosen.limit]
    if as_json:
        rows = [entry.run.to_data() | {"kind": entry.kind, "result": entry.outcome.to_data()} for entry in entries]
        emit({"run_id": None, "run_dir": None, "status": "ok", "runs": rows})
        return
    if not everything:
        out.print("No runs yet. Start one with `daf quickstart`.", markup=False)
        return
    if not found:
        out.print(f"None of the {counted(len(everything), 'run')} matches.", markup=False)
        return
    out.print(runs_table(entries, out.width))
    for entry in entries:
        if entry.run.status == "damaged":
            out.print(f"[red]damaged:[/red] {escape(f'{entry.run.path}: {entry.run.error}')}", soft_wrap=True)
        if entry.run.labels_error is not None:
            out.print(f"[red]damaged:[/red] {escape(entry.run.labels_error)}", soft_wrap=True)
    if len(found) > chosen.limit:
        out.print(f"{counted(len(found) - chosen.limit, 'more run')} (--limit).", markup=False)


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
        daf runs show latest --sql "select step, value from training_metrics where metric = 'loss/policy'"
    """
    from daf.output_manager import find_run

    found = find_run(run, output_dir)
    if sql is not None:
        _query(found, sql, sql_timeout, as_json)
        return
    from daf.cli._run_shown import run_data, show_run
    from daf.cli.show import emit

    if as_json:
        emit(run_data(found))
    else:
        show_run(found)


@app.command("sql")
def sql_command(
    query: Annotated[str, typer.Argument(help="SQL over all runs; the query `tables` lists the tables.")],
    sql_timeout: Annotated[
        float, typer.Option("--sql-timeout", metavar="S", min=0.1, help="Stop the query after S seconds.")
    ] = 60.0,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Query the tables of all runs: runs, episodes, training metrics, evaluations, trials.

    \b
        daf runs sql "select run_id, kind, value from runs where list_contains(tags, 'baseline')"
        daf runs sql "select run_id, max(value) from training_metrics where metric = 'episode/return' group by all"
    """
    from daf.output_manager import list_runs
    from daf.reporting.catalog import ask

    answer = ask(list_runs(output_dir), query, seconds=sql_timeout)
    _answer(answer, {"run_id": None, "run_dir": None}, as_json)


@app.command("rename")
def rename_command(
    run: RunArgument,
    name: Annotated[str | None, typer.Argument(help="The new name; without it the run's name is removed.")] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a run. Its directory and id stay as they are.

    \b
        daf runs rename latest "first try"
    """
    from dataclasses import replace

    _label(run, output_dir, as_json, lambda labels: replace(labels, name=name))


@app.command("tag")
def tag_command(
    run: RunArgument,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Tag to remove. Repeatable.")] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to a run, or remove them.

    \b
        daf runs tag latest baseline arena
        daf runs tag latest --remove baseline
    """
    if not tags and not remove:
        raise UsageError("no tag is given. Name tags to add, or --remove TAG.")
    _label(run, output_dir, as_json, lambda labels: labels.tagged(tags or (), remove or ()))


@app.command("note")
def note_command(
    run: RunArgument,
    note: Annotated[str | None, typer.Argument(help="The note; without it the run's note is removed.")] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note about a run. It replaces an earlier one.

    \b
        daf runs note latest "with the new reward"
    """
    from dataclasses import replace

    _label(run, output_dir, as_json, lambda labels: replace(labels, note=note))


def _label(run: str, output_dir: Path | None, as_json: bool, change: "Callable[[Labels], Labels]") -> None:
    from daf.cli.show import emit, out
    from daf.output_manager import find_run
    from daf.output_manager.publication import edit_labels

    found = find_run(run, output_dir)
    new = edit_labels(found.path, change)
    if as_json:
        data = {"name": new.name, "tags": list(new.tags), "note": new.note}
        emit({"run_id": found.run_id, "run_dir": str(found.path), "status": "ok", **data})
        return
    shown = [f'name "{new.name}"' if new.name else "no name", f"tags {', '.join(new.tags)}" if new.tags else "no tags"]
    out.print(f"{found.operation}/{found.run_id}: {', '.join(shown)}", markup=False, soft_wrap=True)
    if new.note:
        out.print(new.note, markup=False)


def _query(run: "RunInfo", sql: str, seconds: float, as_json: bool) -> None:
    from daf.reporting.catalog import ask_run

    _answer(ask_run(run, sql, seconds=seconds), {"run_id": run.run_id, "run_dir": str(run.path)}, as_json)


def _answer(answer: "Answer", identity: dict[str, Any], as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table

    if as_json:
        rows = [dict(zip(answer.names, row, strict=True)) for row in answer.rows]
        emit(identity | {"status": "ok", "rows": rows, "damaged": answer.damaged})
        return
    table = plain_table("")
    for name in answer.names:
        table.add_column(escape(name))
    for row in answer.rows:
        table.add_row(*(escape(_shown(value)) for value in row))
    out.print(table)
    for sentence in answer.damaged:
        out.print(f"[red]left out:[/red] {escape(sentence)}", soft_wrap=True)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@app.command("rebuild")
def rebuild_command(
    run: RunArgument = "latest", output_dir: OutputDirOption = None, as_json: JsonOption = False
) -> None:
    """Rebuild a run's tables from its records, and the results and report of an evaluation or comparison.

    \b
        daf runs rebuild latest
    """
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

    \b
        daf runs clean --older-than 30d --dry-run
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
    files, cached_bytes = episodes.size() if cache else (0, 0)
    sizes = {run.path: run.size_bytes for run in old}
    if not dry_run and not yes and not as_json and (old or files):
        if not sys.stdin.isatty():
            raise UsageError(
                "this deletes files, and there is no terminal for a confirmation. Add --yes, or use --dry-run first."
            )
        what = counted(len(old), "run") + (f" and {counted(files, 'file')} of the cache" if cache else "")
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
        cached = {"path": str(episodes.root), "files": files, "bytes": cached_bytes} if cache else None
        data = {"dry_run": dry_run, "runs": removed, "cache": cached, "leftovers": leftovers}
        emit({"run_id": None, "run_dir": None, "status": "ok", **data})
        return
    verb = "would be deleted" if dry_run else "deleted"
    for run in old:
        out.print(f"{run.operation}/{run.run_id} ({size(sizes.get(run.path, 0))}) {verb}", markup=False)
    if days is not None:
        out.print(f"{counted(len(old), 'run')} {verb}", markup=False)
    if leftovers:
        out.print(f"{counted(leftovers, 'unfinished entry')} of killed commands deleted", markup=False)
    if cache:
        out.print(
            f"{counted(files, 'file')} ({size(cached_bytes)}) of the cache {episodes.root} {verb}",
            markup=False,
            soft_wrap=True,
        )


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw]?)", text.strip())
    if found is None:
        raise UsageError(f'--older-than must be an age such as 30d, 12h or 2w; got "{text}".')
    return float(found[1]) * {"h": 1 / 24, "d": 1.0, "w": 7.0, "": 1.0}[found[2]]


@app.command("publish")
def publish_command(
    run: Annotated[
        str | None, typer.Argument(help="The run, as for `daf runs show` (default: all that are not published).")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Then read everything back, and compare it with the manifest.")
    ] = False,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish runs at the URL of the output directory, and resume what was cut off.

    A run is published when it ends. This is for runs that were interrupted, or that the store refused.

    \b
        daf runs publish --output-dir s3://bucket/runs
        daf runs publish latest --verify --output-dir s3://bucket/runs
    """
    from daf.cli.show import emit, out
    from daf.output_manager.publication import publish_runs

    done = publish_runs(run, output_dir, verify=verify)
    if as_json:
        rows = [{"run_id": one.run_id, "operation": one.operation, "url": one.url} for one in done]
        emit({"run_id": None, "run_dir": None, "status": "ok", "published": rows})
        return
    for one in done:
        out.print(f"{one.operation}/{one.run_id}: {one.url}", markup=False, soft_wrap=True)
    if not done:
        out.print("Every run is published.", markup=False)


@app.command("export")
def export_command(
    run: RunArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="What to write (default: OPERATION_ID.tar.gz, or OPERATION_ID_csv/, … here)."),
    ] = None,
    folder: Annotated[bool, typer.Option("--folder", help="Write a directory instead of an archive.")] = False,
    format_: Annotated[
        str | None, typer.Option("--format", help="Write the run's tables instead, a file each: csv or parquet.")
    ] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a run with everything it needs, as one archive, or write its tables as CSV or Parquet files.

    \b
        daf runs export latest
        daf runs export latest --format csv --to tables
    """
    from daf.cli.show import emit, out
    from daf.output_manager import find_run
    from daf.output_utils import export_session

    found = find_run(run, output_dir)
    if format_ is not None:
        if folder:
            raise UsageError("--folder can't be combined with --format, which writes a directory anyway.")
        _export_tables(found, to, format_, as_json)
        return
    path = export_session(str(found.path), to, compress=not folder, base_dir=output_dir)
    if as_json:
        emit({"run_id": found.run_id, "run_dir": str(found.path), "status": "ok", "exported": str(path)})
    else:
        out.print(str(path), markup=False, soft_wrap=True)


def _export_tables(run: "RunInfo", to: Path | None, format_: str, as_json: bool) -> None:
    from daf.cli.show import emit, out
    from daf.reporting.table_export import export_tables

    target = to or Path(f"{run.operation}_{run.run_id}_{format_}")
    written = export_tables(run, target, format_)  # type: ignore[arg-type]
    if as_json:
        tables = {path.stem: str(path) for path in written}
        emit(
            {"run_id": run.run_id, "run_dir": str(run.path), "status": "ok", "exported": str(target), "tables": tables}
        )
        return
    for path in written:
        out.print(str(path), markup=False, soft_wrap=True)
