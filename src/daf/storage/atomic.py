"""Whole files or none.

`write_bytes(path, data)` makes `data` appear under `path` completely or not at all, also across a crash or a power
loss: a temporary file in the same folder, fsync, rename, fsync of the folder. A reader never sees a part, and what was
there before stays until the new content is whole.

Not promised: an order between two writers of one path; the last rename wins. On a network file system without atomic
rename the guarantee is that file system's.
"""

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daf.errors import StorageError

TEMPORARY_MARK = ".daf-tmp-"
"""Every unfinished file has this in its name, so that leftovers of a crash can be found and removed."""


def write_bytes(path: str | Path, data: bytes) -> None:
    """Let `data` appear under `path`, whole or not at all; parent folders are made. Raises `StorageError`."""
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as strict JSON (no NaN: a number that is not one must be `None`). Raises `ValueError` for NaN."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` for code that writes files itself; it becomes `path` when the block ends well.

    On an exception the temporary file is removed and `path` stays as it was. An `OSError` comes out as `StorageError`.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(explain(error, f"writing {target}")) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def explain(error: OSError, doing: str) -> str:
    """A sentence for `error`, met while `doing` ("writing /x/y"): what happened and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left while {doing}. Free some, or choose another place with --output-dir or DAF_OUTPUT_DIR."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission while {doing} ({error.strerror}). Choose another place, or change its permissions."
    return f"{error.strerror or error} while {doing}."


def explain_text(text: str, doing: str) -> str:
    """`explain` for a library that reports the system's error as text only, for example DuckDB and SQLite."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
        if os.strerror(number).lower() in text.lower():
            return explain(OSError(number, os.strerror(number)), doing)
    return f"{text.strip().rstrip('.')}, while {doing}."


def sync(path: Path) -> None:
    """Return when a file or folder is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
