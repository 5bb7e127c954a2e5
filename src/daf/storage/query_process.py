"""The process in which a user's SQL runs: see `daf.storage.databases.query`, which starts it.

`python -m daf.storage.query_process DATABASE`, with a `Question` as JSON on stdin and an `Answer` on stdout. The order
of the settings matters: after `enable_external_access = false` nothing can be attached any more, and after
`lock_configuration = true` SQL cannot undo any of it. DuckDB's memory limit covers neither long strings nor a single
vector of them, and it checks for an interrupt only between vectors; therefore the process has a separate limit, and is
killed when its time is over.
"""

import json
import re
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from daf.storage.databases import MEMORY_MB, MOST_BYTES, MOST_ROWS, Question, quoted

if TYPE_CHECKING:
    import duckdb

_THREADS = 2
_FETCHED = 1000
_READING = {"StatementType.SELECT"}
_MESSAGE_LENGTH = 600
_SETTINGS = (
    f"memory_limit = '{MEMORY_MB}MB'",
    f"threads = {_THREADS}",
    "temp_directory = ''",  # in-memory databases would create .tmp in the working directory
    "python_enable_replacements = false",  # which would make this program's variables readable as tables
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_external_access = false",
    "lock_configuration = true",
)


def main() -> None:
    """Answer the query on stdin."""
    limit = 2 * MEMORY_MB << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import duckdb

    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    try:
        answer = _answer(Path(sys.argv[1]), question)
    except (MemoryError, duckdb.OutOfMemoryException):
        answer = '{"error": "memory"}'
    sys.stdout.buffer.write(answer.encode())


def _answer(database: Path, question: Question) -> str:
    import duckdb

    try:
        connection = opened(database, question)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        lock = "Could not set lock" in str(error)
        if lock:
            holder = re.search(r"\(PID \d+\)", str(error))
            return _error("locked", f" {holder[0]}" if holder else "")
        return _error("damaged", _first_line(error))
    try:
        if question.parquet or question.views:
            others = {str(one.type) for one in connection.extract_statements(question.sql)} - _READING
            if others:
                kind = min(others).rpartition(".")[2].lower()
                return _error("sql", f"a query can only read, and this is a statement of the kind {kind}.")
        result: Any = connection.execute(question.sql)  # None for SQL without a statement
        if result is None:
            return _error("empty", "")
        return _rows(result)
    except (duckdb.OutOfMemoryException, MemoryError):
        raise
    except (
        duckdb.IOException,
        duckdb.InternalException,
        duckdb.FatalException,
        duckdb.SerializationException,
    ) as error:
        return _error("damaged", _first_line(error))
    except duckdb.PermissionException as error:
        return _error("sql", f"{_first_line(error)}. A query sees only the tables of its run.")
    except (duckdb.Error, ValueError, TypeError, OverflowError, RuntimeError) as error:
        # the last four: values that Python or JSON cannot represent
        return _error("sql", str(error).strip()[:_MESSAGE_LENGTH])


def opened(database: Path, question: Question | None = None) -> "duckdb.DuckDBPyConnection":
    """A connection that has `database` read-only, the question's Parquet files, and no access to anything else."""
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute(f"attach '{quoted(database)}' as run (type duckdb, read_only)")
    if question is not None and question.parquet:
        files = sorted({file for paths in question.parquet.values() for file in paths})
        connection.execute(f"set allowed_paths = [{', '.join(_text(file) for file in files)}]")
        for table, paths in question.parquet.items():
            listed = ", ".join(_text(path) for path in paths)
            connection.execute(
                f"create view memory.main.{table} as select * from read_parquet([{listed}], union_by_name = true)"
            )
    if question is not None and question.views:
        connection.execute(f"set search_path = 'memory,run'; {question.views}")
    connection.execute("set search_path = 'run,memory'")
    for setting in _SETTINGS:
        connection.execute(f"set {setting}")
    return connection


def _text(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def _rows(result: "duckdb.DuckDBPyConnection") -> str:
    names = [column[0] for column in result.description or []]
    parts: list[str] = []
    count = size = 0
    while rows := result.fetchmany(_FETCHED):
        parts.append(json.dumps(rows, default=str)[1:-1])
        count, size = count + len(rows), size + len(parts[-1])
        if count > MOST_ROWS or size > MOST_BYTES:
            return _error("large", "")
    return f'{{"names": {json.dumps(names)}, "rows": [{", ".join(parts)}]}}'


def _error(kind: str, message: str) -> str:
    return json.dumps({"error": kind, "message": message})


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:_MESSAGE_LENGTH].rstrip(".")


if __name__ == "__main__":
    main()
