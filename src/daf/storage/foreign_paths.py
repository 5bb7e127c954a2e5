"""Paths for other programs and libraries that interpret more in a path than a name.

A folder may be called `take:2`, `50%`, `a?b`, `[x]` or `-o`: a URL ends at `?` and `#` and decodes `%20`, ffmpeg takes
`take:` for a protocol, command lines take `-o` for an option, DuckDB takes `?` for a URL's query and `[x]` for a
pattern. Code that passes a path to such a program uses one of these functions.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NOT_PLAIN = frozenset("?*[]{}%#")


def argument(path: str | Path) -> str:
    """`path` for a command line: absolute, so that it starts neither like an option nor like a protocol."""
    return os.path.abspath(path)  # noqa: PTH100 links stay


def sqlite_url(path: str | Path) -> str:
    """The SQLAlchemy URL of the SQLite database `path`. Needs SQLAlchemy, which Optuna and MLflow bring."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=argument(path)).render_as_string(hide_password=False)


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[Path]:
    """A path for a library that takes some characters of `path` for patterns or URLs, links resolved.

    It is `path` itself if it has none of them; else a file in the system's temporary folder, copied to `path` when the
    block succeeds. Raises `OSError` if it cannot be copied.
    """
    place = Path(argument(path))
    if not _NOT_PLAIN & set(str(place)):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="daf-plain-") as folder:
        staged = Path(folder) / "file"
        yield staged
        shutil.copyfile(staged, place)
