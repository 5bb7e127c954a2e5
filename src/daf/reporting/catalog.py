"""All runs of an output directory as a table: `daf.runs()`, and SQL over them: `daf.runs_sql(query)`.

A query sees these tables, whose `run_id` says which run a row belongs to:

    runs              one row per run: kind, status, name, tags, note, title, times, result, …
    training_metrics  (part, step, update, metric, value): each line of metrics.jsonl
    evaluations       (part, step, mission, mean, low, high, episodes): evaluations during training
    trials            sweeps: (trial, status, value, steps, seconds, attempts, repeats, source, reason)
    trial_parameters  sweeps: (trial, parameter, value, number)
    trial_metrics     sweeps: (trial, metric, value)
    and the tables and views of `daf.episodes.tables`: episodes, episode_policies, agent_metrics, game_metrics, series,
    returns, policy_metrics, failures, slow_steps

part: null for the run itself, "trials/0003" for a training run within it. Only the tables that the query names are
read. The query runs in a separate process that can read these tables and nothing else (see `daf.storage.databases`). A
run whose files cannot be read is left out of that table, and `Answer.damaged` names it.
"""

import contextlib
import re
import tempfile
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from daf.core.recorded_training import EVALUATIONS, METRICS, evaluations_of, is_training_run, read_lines
from daf.errors import DAFError, UsageError, unknown
from daf.output_manager import RunInfo, list_runs
from daf.output_manager.kinds import Kind, kind_of
from daf.output_manager.layout import CHILD_FOLDERS
from daf.reporting.outcomes import Outcome, outcome_of
from daf.storage.numbers import finite

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from daf.sweeps.result import SweepTrialResult


@dataclass(frozen=True)
class Entry:
    """A run with its kind and outcome, which are read from its files once, and only if they are needed."""

    run: RunInfo

    @cached_property
    def kind(self) -> Kind:
        """What kind of run it is, from its files."""
        return kind_of(self.run.path)

    @cached_property
    def outcome(self) -> Outcome:
        """What it found."""
        return outcome_of(self.run.path, self.kind)

    def to_data(self) -> dict[str, Any]:
        """The row of the run in the table `runs`."""
        run, outcome = self.run, self.outcome
        return {
            "run_id": run.run_id,
            "operation": run.operation,
            "kind": self.kind,
            "status": run.status,
            "name": run.labels.name,
            "tags": list(run.labels.tags),
            "note": run.labels.note,
            "title": run.title,
            "started": run.started_at,
            "ended": run.ended_at,
            "seconds": run.duration_seconds,
            "result": outcome.text or None,
            "metric": outcome.metric,
            "value": outcome.value,
            "low": outcome.low,
            "high": outcome.high,
            "error": run.error,
            "command": run.command,
            "run_dir": str(run.path),
        }


@dataclass(frozen=True)
class Answer:
    """The answer to a query. damaged: a sentence for each file that could not be read and is left out."""

    names: list[str]
    rows: list[tuple[Any, ...]]
    damaged: list[str]


def selected(
    found: Sequence[RunInfo],
    *,
    kind: str | None = None,
    status: str | None = None,
    tags: Sequence[str] = (),
    search: str | None = None,
    sort: str = "started",
    reverse: bool = False,
) -> list[Entry]:
    """The runs that match all filters, in the order of `sort`; runs without a value come last.

    tags: the run has all of them. search: text in its name, title, note or command, in upper or lower case. sort:
    "started" (newest first), "result" (highest first), "took" and "size" (largest first), "name", "kind", "status".
    Raises `UsageError`.
    """
    if sort not in _SORTS:
        raise UsageError(unknown("order", sort, list(_SORTS)))
    if kind is not None and kind not in get_args(Kind):
        raise UsageError(unknown("kind", kind, get_args(Kind)))
    if status is not None and status not in STATUSES:
        raise UsageError(unknown("status", status, STATUSES))
    words = (search or "").lower()
    matching = [
        entry
        for run, entry in zip(found, map(Entry, found), strict=True)
        if (status is None or run.status == status)
        and set(tags) <= set(run.labels.tags)
        and words in "\n".join((run.labels.name or "", run.title, run.labels.note or "", run.command)).lower()
        and (kind is None or entry.kind == kind)
    ]
    value, falling = _SORTS[sort]
    valued = [(value(entry), entry) for entry in matching]
    known = sorted((each for each in valued if each[0] is not None), key=lambda each: each[0], reverse=falling)
    unknown_ones = [entry for each, entry in valued if each is None]
    ordered = [entry for _, entry in known]
    return [*(reversed(ordered) if reverse else ordered), *unknown_ones]


STATUSES = ("running", "completed", "failed", "interrupted", "saved", "damaged")
_SORTS: dict[str, tuple[Callable[[Entry], Any], bool]] = {
    "started": (lambda entry: entry.run.resumed_at or entry.run.started_at, True),
    "name": (lambda entry: entry.run.labels.name or entry.run.title or None, False),
    "kind": (lambda entry: entry.kind, False),
    "status": (lambda entry: entry.run.status, False),
    "took": (lambda entry: entry.run.duration_seconds, True),
    "result": (lambda entry: entry.outcome.value, True),
    "size": (lambda entry: entry.run.size_bytes, True),
}


def runs(output_dir: str | Path | None = None, operation: str | None = None) -> "pd.DataFrame":
    """All runs of an output directory as a data frame, the one that was started or resumed last first.

    Its columns are those of the table `runs`. started, ended: in UTC, ended NaT while a run is in progress. seconds:
    duration over all sessions. result: what the run found in one phrase; metric, value, low, high: the number in it
    with its interval.

    Raises `UsageError` for an unknown operation, `StorageError`.
    """
    import pandas as pd

    rows = [Entry(run).to_data() for run in list_runs(output_dir, operation)]
    names = [column.split()[0] for column in _TABLES["runs"][0]]
    frame = pd.DataFrame(rows, columns=names)
    for column in ("started", "ended"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame


def runs_sql(query: str, output_dir: str | Path | None = None, *, seconds: float = 60.0) -> "pd.DataFrame":
    """The answer to an SQL query over all runs as a data frame.

    The tables are those of this module's docstring. seconds: time limit of the query. Raises `UsageError` for wrong SQL
    or exceeded limits, and `DamagedFileError` if a file that the query needs cannot be read.
    """
    import pandas as pd

    answer = ask(list_runs(output_dir), query, seconds=seconds)
    if answer.damaged:
        raise UsageError(f"the query needs files that cannot be read: {' '.join(answer.damaged)}")
    return pd.DataFrame(answer.rows, columns=answer.names)


def ask_run(run: RunInfo, sql: str, *, seconds: float) -> Answer:
    """Answer `sql` over the tables of one run. Tables that its records should have but that are missing are rebuilt.

    Raises as `ask`, `DataError` if there is nothing to build them from.
    """
    if kind_of(run.path) not in ("training", "sweep", "adaptive") and not _parquet([run], "episodes"):
        from daf.evaluation.keeping import rebuild_tables

        rebuild_tables(run)
    return ask([run], sql, seconds=seconds)


def ask(found: Sequence[RunInfo], sql: str, *, seconds: float) -> Answer:
    """Answer `sql` over the tables of these runs; the query "tables" lists all tables and their columns.

    Raises `UsageError`, `DamagedFileError` if a run's Parquet file that the query needs is damaged, `StorageError`.
    """
    from daf.episodes.tables import VIEWS
    from daf.storage.databases import query

    if sql.strip() == "tables":
        sql = _LISTING
    with tables_of(found, set(re.findall(r"\w+", sql.lower()))) as tables:
        names, rows = query(tables.database, sql, seconds=seconds, parquet=tables.parquet, views=VIEWS)
        return Answer(names, rows, tables.damaged)


@dataclass(frozen=True)
class Tables:
    """database: holds the tables that were built. parquet: the files of those that runs have as Parquet files."""

    database: Path
    parquet: dict[str, list[Path]]
    damaged: list[str]


@contextlib.contextmanager
def tables_of(found: Sequence[RunInfo], wanted: Container[str]) -> Iterator[Tables]:
    """The tables of these runs inside the block; of those that are built here, only the `wanted` have rows.

    Raises `StorageError`.
    """
    from daf.episodes.tables import TABLES, create_tables
    from daf.storage.databases import building

    damaged: list[str] = []
    with tempfile.TemporaryDirectory(prefix="daf-query-") as folder:
        database = Path(folder) / "runs.duckdb"
        with building(database) as connection:
            for name, (columns, rows_of) in _TABLES.items():
                connection.execute(f"create table {name} ({', '.join(columns)})")
                if name in wanted:
                    _insert(connection, name, columns, _rows(found, rows_of, damaged))
            parquet = {table: _parquet(found, table) for table in TABLES if table not in _TABLES}
            create_tables(connection, [table for table, files in parquet.items() if not files])
        yield Tables(database, {table: files for table, files in parquet.items() if files}, damaged)


def built_tables() -> tuple[str, ...]:
    """The tables that are built from a run's other files."""
    return tuple(_TABLES)


_LISTING = (
    "select table_name as name, column_name as column, data_type as type from information_schema.columns "
    "order by table_name, ordinal_position"
)


def _parquet(found: Sequence[RunInfo], table: str) -> list[Path]:
    files = (run.path / "stats" / f"{table}.parquet" for run in found)
    return [file for file in files if file.is_file()]


def _rows(
    found: Sequence[RunInfo], rows_of: Callable[[RunInfo], Iterator[dict[str, Any]]], damaged: list[str]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for run in found:
        try:
            rows += [{"run_id": run.run_id, **row} for row in rows_of(run)]
        except DAFError as error:
            damaged.append(str(error))
    return rows


def _insert(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    if not rows:
        return
    import pandas as pd

    names = [column.split()[0] for column in columns]
    connection.register("rows", pd.DataFrame(rows, columns=names).astype(object))
    connection.execute(f"insert into {table} select {', '.join(names)} from rows")
    connection.unregister("rows")


def _run_row(run: RunInfo) -> Iterator[dict[str, Any]]:
    yield Entry(run).to_data()


def _training_folders(run: RunInfo) -> Iterator[tuple[str | None, Path]]:
    if is_training_run(run.path):
        yield None, run.path
    for place in CHILD_FOLDERS:
        parent = run.path / place
        if parent.is_dir():
            for child in sorted(parent.iterdir()):
                if not child.is_symlink() and is_training_run(child):
                    yield f"{place}/{child.name}", child


def _metric_rows(run: RunInfo) -> Iterator[dict[str, Any]]:
    for part, folder in _training_folders(run):
        for line in read_lines(folder / METRICS).rows:
            step, update = finite(line.get("step")), finite(line.get("update"))
            for metric, value in line.items():
                number = None if metric in ("step", "update") else finite(value)
                if step is not None and number is not None:
                    yield {"part": part, "step": step, "update": update, "metric": metric, "value": number}


def _evaluation_rows(run: RunInfo) -> Iterator[dict[str, Any]]:
    for part, folder in _training_folders(run):
        for one in evaluations_of(read_lines(folder / EVALUATIONS).rows):
            for mission, score in one.missions.items():
                yield {
                    "part": part, "step": one.step, "mission": mission, "mean": score.mean, "low": score.low,
                    "high": score.high, "episodes": score.n,
                }  # fmt: skip


def _trials(run: RunInfo) -> "Sequence[SweepTrialResult]":
    if not (run.path / "sweep.json").is_file():
        return ()
    from daf.sweeps.result import SweepResult

    return SweepResult.load(run.path).trials


def _trial_rows(run: RunInfo) -> Iterator[dict[str, Any]]:
    for trial in _trials(run):
        yield {
            "trial": trial.trial_id, "status": trial.status, "value": trial.primary_metric, "steps": trial.steps,
            "seconds": trial.seconds, "attempts": trial.attempts, "repeats": trial.repeats, "source": trial.source,
            "reason": trial.reason, "policy": trial.policy,
        }  # fmt: skip


def _parameter_rows(run: RunInfo) -> Iterator[dict[str, Any]]:
    for trial in _trials(run):
        for name, value in trial.hyperparameters.items():
            number = None if isinstance(value, bool) else finite(value)
            yield {"trial": trial.trial_id, "parameter": name, "value": str(value), "number": number}


def _trial_metric_rows(run: RunInfo) -> Iterator[dict[str, Any]]:
    for trial in _trials(run):
        for name, value in trial.all_metrics.items():
            yield {"trial": trial.trial_id, "metric": name, "value": value}


_ID = "run_id varchar"
_TABLES: dict[str, tuple[list[str], Callable[[RunInfo], Iterator[dict[str, Any]]]]] = {
    "runs": (
        [
            _ID, "operation varchar", "kind varchar", "status varchar", "name varchar", "tags varchar[]",
            "note varchar", "title varchar", "started timestamptz", "ended timestamptz", "seconds double",
            "result varchar", "metric varchar", "value double", "low double", "high double", "error varchar",
            "command varchar", "run_dir varchar",
        ],
        _run_row,
    ),
    "training_metrics": (
        [_ID, "part varchar", "step bigint", "update bigint", "metric varchar", "value double"],
        _metric_rows,
    ),
    "evaluations": (
        [
            _ID, "part varchar", "step bigint", "mission varchar", "mean double", "low double", "high double",
            "episodes bigint",
        ],
        _evaluation_rows,
    ),
    "trials": (
        [
            _ID, "trial bigint", "status varchar", "value double", "steps bigint", "seconds double", "attempts bigint",
            "repeats bigint", "source varchar", "reason varchar", "policy varchar",
        ],
        _trial_rows,
    ),
    "trial_parameters": (
        [_ID, "trial bigint", "parameter varchar", "value varchar", "number double"],
        _parameter_rows,
    ),
    "trial_metrics": ([_ID, "trial bigint", "metric varchar", "value double"], _trial_metric_rows),
}  # fmt: skip
