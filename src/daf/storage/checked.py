"""A value in a file, together with the key that it belongs to.

`read(path, key, kind)` returns what `write(path, key, value)` wrote for the same key, or raises: a checksum over key
and value detects damage and entries under another's name, and the value is decoded, with bounds, into a declared type.
`kept` is for what can be worked out again: it ignores damage, and does without a file that cannot be written.
Types are those that msgspec reads and writes, and NumPy arrays.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from daf.errors import DamagedFileError, StorageError
from daf.storage import atomic, reading
from daf.storage.hashing import HASH_CHARACTERS, hash_bytes


def read(path: Path, key: str, kind: Any, *, limit: int = reading.DEFAULT_LIMIT) -> Any:
    """The value in `path`, a `kind`; None without the file. Raises `DamagedFileError`, `StorageError`."""
    content = reading.read_bytes(path, limit=limit)
    if content is None:
        return None
    checksum, data = content[:HASH_CHARACTERS], content[HASH_CHARACTERS:]
    if checksum != _checksum(key, data):
        raise DamagedFileError(path, "its checksum does not match its content")
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_array)
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedFileError(path, str(error) or type(error).__name__) from error


def write(path: Path, key: str, value: Any) -> None:
    """Write `value` under `key`. Raises `StorageError`."""
    data = msgspec.msgpack.encode(value, enc_hook=_plain)
    atomic.write_bytes(path, _checksum(key, data) + data)


def kept[T](path: Path, key: str, kind: Any, work_out: Callable[[], T], keep: Callable[[T], bool] | None = None) -> T:
    """The value in `path`, or, where it has none or a damaged one, what `work_out()` gives, which is written there.

    keep: whether a value that was worked out is written, asked before it is; it may raise `OSError` for no.
    """
    found: T | None = None
    with contextlib.suppress(DamagedFileError, StorageError):
        found = read(path, key, kind)
    if found is not None:
        return found
    found = work_out()
    with contextlib.suppress(StorageError, OSError):  # a read-only or full disk only costs the next command time
        if keep is None or keep(found):
            write(path, key, found)
    return found


def _checksum(key: str, data: bytes) -> bytes:
    return hash_bytes(key.encode() + data).encode()


def _plain(value: Any) -> Any:
    numpy = sys.modules.get("numpy")  # nobody has an array without it
    if numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        return {"kind": value.dtype.str, "shape": list(value.shape), "data": value.tobytes()}
    raise TypeError(f"a {type(value).__name__} can't be written")


def _array(kind: Any, value: Any) -> Any:
    import numpy as np

    if getattr(kind, "__origin__", kind) is not np.ndarray:
        raise TypeError(f"a {kind} can't be read")
    return np.frombuffer(value["data"], value["kind"]).reshape(value["shape"]).copy()
