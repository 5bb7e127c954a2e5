"""DuckDB databases: built whole, and queried in isolation.

`building(path)` publishes a database under its name only after it was closed, reopened and found to contain what was
written; `write_parquet` does the same for one table as a Parquet file. `query` runs a user's SQL on a database that
may come from anywhere: in a process that has the database read-only and can neither open another file, nor load an
extension, nor use more than `MEMORY_MB` of memory or the given time (see `daf.storage.query_process`).

DuckDB's errors leave this module as DAF's.
"""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from daf.errors import DamagedFileError, LockedError, StorageError, UsageError
from daf.processes import lifeline
from daf.storage.atomic import explain_text, writing
from daf.storage.foreign_paths import plainly

if TYPE_CHECKING:
    import duckdb

MEMORY_MB = 384
"""Limit of DuckDB's buffers; its process as a whole may use twice as much."""
QUERY_SECONDS = 60.0
MOST_ROWS = 500_000
MOST_BYTES = 32 * 2**20
"""Maximum size of an answer, as JSON."""


class Question(msgspec.Struct):
    """What the process of a query reads. parquet: files by table. views: see `query`."""

    sql: str
    parquet: dict[str, list[str]] = {}
    views: str = ""


class Answer(msgspec.Struct):
    """What the process of a query writes. error: "", "sql", "empty", "large", "memory", "locked" or "damaged"."""

    names: list[str] = []
    rows: list[tuple[Any, ...]] = []
    error: str = ""
    message: str = ""


@contextlib.contextmanager
def building(path: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A connection to a new database that becomes `path` when the block succeeds. Raises `StorageError`.

    If the content cannot be read back (a full disk, a limit on file sizes), nothing is published.
    """
    import duckdb

    with writing(path) as unpublished, plainly(unpublished) as temporary:
        try:
            with _errors(f"writing {path}"):
                with duckdb.connect(str(temporary)) as connection:
                    yield connection
                    written = _content(connection)
                    connection.execute("checkpoint")
                with duckdb.connect(str(temporary), read_only=True) as connection:
                    if _content(connection) != written:
                        raise StorageError(f"{path} does not contain what was written to it; is the disk full?")
        finally:
            for suffix in (".wal", ".tmp"):
                with contextlib.suppress(OSError):
                    temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def write_parquet(connection: "duckdb.DuckDBPyConnection", table: str, path: Path) -> None:
    """Write `table` as the Parquet file `path`, whole or not at all. Raises `StorageError`."""
    with writing(path) as unpublished, plainly(unpublished) as temporary, _errors(f"writing {path}"):
        connection.execute(f"copy {table} to '{quoted(temporary)}' (format parquet)")
        if _checksum(connection, f"read_parquet('{quoted(temporary)}')") != _checksum(connection, table):
            raise StorageError(f"{path} does not contain what was written to it; is the disk full?")


def query(
    database: Path,
    sql: str,
    *,
    seconds: float = QUERY_SECONDS,
    parquet: Mapping[str, Sequence[Path]] | None = None,
    views: str = "",
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of `sql` on `database`. Values that JSON does not know (dates, lists) come as text.

    parquet: further tables by name, each the rows of all its Parquet files. views: SQL that creates views over the
    tables. With either of them the SQL can only read: other statements are refused.

    Raises `UsageError` if the SQL is wrong, needs files, or exceeds its limits of time or memory; `LockedError` if
    another process writes the database; `DamagedFileError` if it is not one.
    """
    if not sql.strip():
        raise UsageError(_EMPTY)
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the SQL is not valid text (character {error.start + 1}).") from error
    files = {table: [str(path.resolve()) for path in paths] for table, paths in (parquet or {}).items()}
    asked = msgspec.json.encode(Question(sql, files, views))
    if not database.is_file():
        raise UsageError(f"{database.parent} contains no tables ({database.name}).")
    process = subprocess.Popen(
        lifeline.command("daf.storage.query_process", str(database.resolve())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # Ctrl-C goes to this process only, which ends the query
        pass_fds=(lifeline.descriptor(),),
    )
    try:
        out, said = process.communicate(asked, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"the SQL ran longer than {seconds:g} s and was stopped. Narrow it down or raise the limit (--sql-timeout)."
        ) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        raise _died(database, process.returncode, said)
    return _rows(database, json.loads(out))


_EMPTY = 'the SQL is empty. Write a query, for example "select * from episodes"; "tables" lists the tables.'
_TOO_MUCH_MEMORY = f"the SQL needs more than {MEMORY_MB} MB of memory. Narrow it down with where, limit or group by."


def _rows(database: Path, data: dict[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
    answer = msgspec.convert(data, Answer)
    match answer.error:
        case "":
            return answer.names, answer.rows
        case "empty":
            raise UsageError(_EMPTY)
        case "large":
            raise UsageError(
                f"the answer has more than {MOST_ROWS:,} rows or {MOST_BYTES // 2**20} MB. Add a limit, or group rows."
            )
        case "memory":
            raise UsageError(_TOO_MUCH_MEMORY)
        case "locked":
            raise LockedError(f"{database} is being written by another process{answer.message}. Close it there first.")
        case "damaged":
            raise DamagedFileError(database, answer.message)
        case _:
            raise UsageError(f"the SQL failed: {answer.message}")


def _died(database: Path, code: int, said: bytes) -> Exception:
    if code < 0 and -code in (signal.SIGABRT, signal.SIGKILL):
        return UsageError(_TOO_MUCH_MEMORY)
    if code < 0:
        return DamagedFileError(database, f"DuckDB crashed on it ({signal.Signals(-code).name})")
    last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return StorageError(f"the process that queries {database} ended with exit code {code}: {last[0]:.300}")


@contextlib.contextmanager
def _errors(doing: str) -> Iterator[None]:
    """DuckDB's errors of files, memory and transactions as `StorageError`; others are bugs."""
    import duckdb

    try:
        yield
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as error:
        raise StorageError(explain_text(str(error).partition("\n")[0], doing)) from error


def _content(connection: "duckdb.DuckDBPyConnection") -> dict[str, tuple[Any, ...]]:
    """The checksum of every table, and the text of every view."""
    tables = [row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()]
    views = connection.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
    return {table: _checksum(connection, table) for table in tables} | {name: (sql,) for name, sql in views}


def _checksum(connection: "duckdb.DuckDBPyConnection", source: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(f"select count(*), sum(hash(t)) from {source} t").fetchone()
    assert found is not None
    return found


def quoted(path: Path) -> str:
    """`path` for a string literal of SQL."""
    return str(path).replace("'", "''")
