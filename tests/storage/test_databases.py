"""A user's SQL sees the tables of one database and nothing else, and what is published holds what was written."""

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from daf.errors import DamagedFileError, LockedError, UsageError
from daf.storage.atomic import TEMPORARY_MARK
from daf.storage.databases import building, query


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "it's here" / "episodes.duckdb"
    with building(path) as connection:
        connection.execute("create table t as select range as a, 'name ' || range as b from range(1000)")
        connection.execute("create view leak as select * from read_text('/etc/hostname')")
        connection.execute("create view doubled as select 2 * a as a from t")
    return path


def test_a_query_returns_names_and_rows(database: Path) -> None:
    assert query(database, "select a, b from t where a < 2 order by a") == (["a", "b"], [(0, "name 0"), (1, "name 1")])
    assert query(database, "select count(*), max(a) from doubled")[1] == [(1000, 1998)]
    assert query(database, "select null, 1.5::double, true, date '2026-11-30', [1, 2]")[1] == [
        (None, 1.5, True, "2026-11-30", [1, 2])
    ]


OUTSIDE = {
    "read a file": "select * from read_text('/etc/hostname')",
    "read a file by its name": "select * from '/etc/hostname'",
    "read a CSV": "select * from read_csv('/etc/passwd')",
    "list files": "select * from glob('/*')",
    "read through a view": "select * from leak",
    "write a file": "copy t to '{}/out.csv'",
    "export": "export database '{}/out'",
    "attach": "attach '{}/out.duckdb' as other",
    "attach in memory": "attach ':memory:' as other; select * from read_text('/etc/hostname')",
    "install": "install httpfs",
    "load": "load httpfs",
    "fetch": "select * from read_csv('https://127.0.0.1:9/x.csv')",
    "secrets": "create persistent secret s (type s3, key_id 'x')",
    "unlock": "set lock_configuration = false",
    "enable files": "set enable_external_access = true",
    "more memory": "set memory_limit = '64GB'",
    "change": "delete from t",
    "add": "create table u as select 1",
    "the program's variables": "select * from names",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_query_cannot_leave_its_database(name: str, database: Path, tmp_path: Path) -> None:
    before = database.read_bytes()
    with pytest.raises(UsageError, match="the SQL failed: "):
        query(database, OUTSIDE[name].format(tmp_path))
    assert database.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's here"]
    assert [path.name for path in database.parent.iterdir()] == [database.name]


@pytest.mark.parametrize("sql", ["", "  \n", "-- only a comment", ";"])
def test_empty_sql_is_a_sentence(sql: str, database: Path) -> None:
    with pytest.raises(UsageError, match="the SQL is empty"):
        query(database, sql)


@pytest.mark.parametrize(
    "sql", ["selec", "select '\udcff'", "select * from nowhere", "select 1 +", "select ('x')::int"]
)
def test_wrong_sql_is_a_sentence(sql: str, database: Path) -> None:
    with pytest.raises(UsageError, match="the SQL"):
        query(database, sql)


@pytest.mark.parametrize(
    "sql",
    ["select sum(range) from range(1000000000000)", "select sum(length(repeat('x', 1000))) from range(10000000000000)"],
)
def test_a_query_that_takes_too_long_is_stopped(sql: str, database: Path) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match="longer than 2 s"):
        query(database, sql, seconds=2)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "sql",
    [
        "select list(range) from range(1000000000)",
        "select repeat('x', 900000000)",
        "select repeat('x', 100000000) from range(100)",
        "select * from range(1000000000000)",
        "select repeat('x', 1000000) from range(1000)",
    ],
)
def test_a_query_that_needs_too_much_memory_is_refused(sql: str, database: Path) -> None:
    # In a process of its own: the largest child of this one may be another test's.
    code = "import resource, sys\nfrom pathlib import Path\nfrom daf.errors import UsageError\n"
    code += "from daf.storage.databases import query\n"
    code += "try: query(Path(sys.argv[1]), sys.argv[2])\n"
    code += "except UsageError as error: print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, error)"
    child = subprocess.run(
        [sys.executable, "-c", code, str(database), sql], capture_output=True, text=True, check=True, timeout=120
    )
    kilobytes, _, sentence = child.stdout.partition(" ")
    assert re.search(r"needs more than 384 MB|answer has more than 500,000 rows or 32 MB", sentence), child
    assert int(kilobytes) < 1024 * 1024


def test_a_database_that_another_process_writes_is_named_with_it(database: Path) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LockedError, match=rf"written by another process \(PID {other.pid}\)"):
            query(database, "select 1")


def test_a_file_that_is_not_a_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1000)
    (tmp_path / "empty").touch()
    sqlite3.connect(tmp_path / "sqlite").execute("create table t (a)").connection.close()
    for name in ("text", "empty", "sqlite"):
        with pytest.raises(DamagedFileError, match=name):
            query(tmp_path / name, "select 1")


def test_a_database_that_does_not_fit_is_not_published(tmp_path: Path) -> None:
    """Under a limit on the size of files, as on a full disk; DuckDB itself reports some of them, not all."""
    published = []
    for limit in (1, 5_000, 13_000, 40_000, 100_000, 200_000, 300_000, 400_000, 500_000, 2_000_000):
        folder = tmp_path / str(limit)
        code = f"""
import resource, sys
from pathlib import Path
from daf.errors import StorageError
from daf.storage.databases import building, write_parquet
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
folder = Path({str(folder)!r})
try:
    with building(folder / "t.duckdb") as connection:
        connection.execute("create table t as select hash(range) a, 'name ' || hash(range) b from range(8000)")
        write_parquet(connection, "t", folder / "t.parquet")
except StorageError as error:
    print(error)
    sys.exit(3)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), done.stderr
        files = sorted(path.name for path in folder.iterdir())
        assert not [name for name in files if TEMPORARY_MARK in name]
        for name in files:
            source = f"'{folder / name}'" if name.endswith("parquet") else "t"
            with duckdb.connect(":memory:" if name.endswith("parquet") else str(folder / name)) as connection:
                assert connection.execute(f"select count(*) from {source}").fetchone() == (8000,)
        assert ("t.duckdb" in files) == (done.returncode == 0)
        assert done.returncode == 0 or str(folder) in done.stdout
        published.append(done.returncode == 0)
    assert (published[0], published[-1]) == (False, True), published


def test_an_error_while_building_leaves_what_was_there(database: Path) -> None:
    before = database.read_bytes()
    with pytest.raises(duckdb.ConversionException), building(database) as connection:
        connection.execute("create table t as select 'x'::int")
    assert database.read_bytes() == before
