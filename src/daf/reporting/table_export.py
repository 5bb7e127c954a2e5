"""A run's tables as files: CSV or Parquet, one per table that has rows.

The rows are those of `daf runs show --sql`. CSV is written from the process that queries the tables, so that a damaged
Parquet file is an error and not a crash; Parquet files that the run has are copied as they are.
"""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from daf.errors import DataError, StorageError, UsageError, unknown
from daf.output_manager import RunInfo
from daf.output_manager.kinds import kind_of
from daf.reporting.catalog import Tables, built_tables, tables_of
from daf.storage.atomic import explain, writing

Format = Literal["csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)
PAGE_ROWS = 20_000
_SECONDS = 600.0


def export_tables(run: RunInfo, folder: str | Path, format: Format) -> list[Path]:
    """Write the tables of `run` into `folder`, which is created, and return the files' paths.

    Raises `UsageError` (an unknown format, a folder that is not empty), `DataError` (no table has rows; a damaged
    file), `StorageError`.
    """
    if format not in FORMATS:
        raise UsageError(unknown("format of tables", format, FORMATS))
    target = Path(folder).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists already and is not an empty directory. Name another with --to.")
    if kind_of(run.path) in ("evaluation", "comparison") and not (run.path / "stats" / "episodes.parquet").is_file():
        from daf.evaluation.keeping import rebuild_tables

        rebuild_tables(run)
    with tables_of([run], built_tables()) as tables:
        if tables.damaged:
            raise DataError(f"the run can't be exported whole: {' '.join(tables.damaged)}")
        names = _with_rows(tables)
        if not names:
            raise DataError(f"{run.operation}/{run.run_id} has no tables with rows.")
        write = _parquet if format == "parquet" else _csv
        return [write(tables, name, target) for name in names]


def _with_rows(tables: Tables) -> list[str]:
    from daf.storage.databases import query

    names = [*built_tables(), *tables.parquet]
    counts = " union all ".join(f"select '{name}', count(*) from {name}" for name in names)
    _, rows = query(tables.database, counts, seconds=_SECONDS, parquet=tables.parquet)
    return [name for name in names if dict(rows)[name]]


def _csv(tables: Tables, name: str, folder: Path) -> Path:
    pages = _pages(tables, name)
    columns, rows = next(pages)
    path = folder / f"{name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
            for _, more in pages:
                writer.writerows(more)
    except OSError as error:
        raise StorageError(explain(error, f"writing {path}")) from error
    return path


def _pages(tables: Tables, name: str) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    """The table in pages of rows, the first also if it is empty. DuckDB keeps the order of rows."""
    from daf.storage.databases import query

    offset = 0
    while True:
        sql = f"select * from {name} limit {PAGE_ROWS} offset {offset}"
        columns, rows = query(tables.database, sql, seconds=_SECONDS, parquet=tables.parquet)
        if rows or offset == 0:
            yield columns, rows
        if len(rows) < PAGE_ROWS:
            return
        offset += PAGE_ROWS


def _parquet(tables: Tables, name: str, folder: Path) -> Path:
    path = folder / f"{name}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    if name in tables.parquet:
        (source,) = tables.parquet[name]
        with writing(path) as temporary:
            shutil.copyfile(source, temporary)
        return path
    import duckdb

    from daf.storage.databases import write_parquet

    with duckdb.connect(str(tables.database), read_only=True) as connection:
        write_parquet(connection, name, path)
    return path
