"""Bounded, typed reading of files.

`read_json(path, kind)` returns a whole, valid `kind` or raises with the reason: only regular files are opened (a FIFO,
a device or a folder is refused at once and never waited for), no more than `limit` bytes are read, and the content is
decoded into a declared type, so that no caller trusts the shape of a file.

A missing file is not damage: the functions return None. Damage is `DamagedFileError`, which names the file and the
reason; code that reads many files (a list of runs) catches it and reports that one file.
"""

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from daf.errors import DamagedFileError, StorageError
from daf.storage.atomic import explain

DEFAULT_LIMIT = 64 * 2**20
"""Bytes. The largest JSON file that DAF writes, results with every episode of a large comparison, is smaller."""


def open_regular(path: str | Path) -> BinaryIO:
    """`path` opened for reading in binary mode. Follows links to regular files.

    Raises `FileNotFoundError` if nothing is there, `DamagedFileError` if it is not a regular file, and `StorageError`
    if it cannot be opened.
    """
    try:
        # O_NONBLOCK: opening a FIFO without a writer would wait for one; it has no effect on regular files.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedFileError(path, "not a regular file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: str | Path, *, limit: int = DEFAULT_LIMIT) -> bytes | None:
    """The content of the regular file `path`, None if there is no such file.

    limit: maximum number of bytes. Raises `DamagedFileError` for a larger file and if it is not a regular file,
    `StorageError` if reading fails.
    """
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > limit:
        raise DamagedFileError(path, f"larger than {limit:,} bytes")
    return content


def read_text(path: str | Path, *, limit: int = DEFAULT_LIMIT) -> str | None:
    """`read_bytes` decoded as UTF-8; other bytes are `DamagedFileError`."""
    content = read_bytes(path, limit=limit)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(path, f"not UTF-8 text (byte {error.start})") from error


def read_json[T](path: str | Path, kind: type[T], *, limit: int = DEFAULT_LIMIT) -> T | None:
    """The JSON file `path` as a `kind` (a `msgspec.Struct`, `dict[str, Any]`, …), None if there is no such file.

    Raises `DamagedFileError` if the content is not valid JSON or does not have that type, `StorageError` if reading
    fails.
    """
    content = read_bytes(path, limit=limit)
    return None if content is None else decode_json(content, kind, where=path)


def read_object[T](path: str | Path, kind: type[T], *, limit: int = DEFAULT_LIMIT) -> T | None:
    """`read_json` for a `TypedDict`: the object is checked against it, and fields that it does not name are kept."""
    content = read_bytes(path, limit=limit)
    return None if content is None else decode_object(content, kind, where=path)


def decode_object[T](content: bytes | str, kind: type[T], *, where: str | Path) -> T:
    """`content` as a `TypedDict` with all its fields, also those that `kind` does not name. where: as `decode_json`."""
    value = decode_json(content, dict[str, Any], where=where)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise DamagedFileError(where, str(error)) from error
    return cast("T", value)


def decode_json[T](content: bytes | str, kind: type[T], *, where: str | Path) -> T:
    """`content` decoded as a `kind`. where: the file, or the file and line, named in `DamagedFileError`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedFileError(where, str(error) or type(error).__name__) from error


def _unreadable(path: str | Path, error: OSError | ValueError) -> StorageError:
    if isinstance(error, OSError):
        return StorageError(explain(error, f"reading {path}"))
    return StorageError(f"{path!s:.200} is not a path that can be read: {error}.")
