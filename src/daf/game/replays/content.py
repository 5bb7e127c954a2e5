"""A replay file's bytes, unpacked within bounds.

`unpack(path)` gives the JSON text of a file that is zlib, gzip or plain text, whatever it is called: the content
decides. Nothing larger than `MAX_BYTES` is ever held, so a small file that unpacks into terabytes is refused at that
bound. A file that ends early is refused, however late the cut is.
"""

import zlib
from pathlib import Path

from daf.errors import StorageError
from daf.game.replays.errors import ReplayError
from daf.storage.atomic import explain

MAX_BYTES = 1 << 29
"""512 MiB: the most that a file may hold, packed or unpacked. A 10,000-step episode of 32 agents has 33 MB."""


def unpack(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The JSON text in `path`. Raises `StorageError` (no such file), `ReplayError` (damaged, above `limit`)."""
    data = _read(path, limit)
    if not data:
        raise ReplayError(f"{path}: the file is empty.")
    kind = _packing(data)
    if kind is None:
        return data
    wrapped = 31 if kind == "gzip" else 15
    unpacking = zlib.decompressobj(wbits=wrapped)
    try:
        text = unpacking.decompress(data, limit + 1)
    except zlib.error as error:
        raise ReplayError(f"{path}: the {kind} data is damaged ({error}). Record or copy the replay again.") from error
    if len(text) > limit:
        raise ReplayError(f"{path}: unpacks to more than {limit:,} bytes, DAF's bound for a replay.")
    if not unpacking.eof:
        raise ReplayError(
            f"{path}: ends early: the {kind} data stops after {len(data):,} bytes. Copy the whole file again."
        )
    if unpacking.unused_data:
        raise ReplayError(f"{path}: {len(unpacking.unused_data):,} bytes follow the end of the {kind} data.")
    return text


def _read(path: Path, limit: int) -> bytes:
    if path.is_dir():
        raise StorageError(f"{path} is a folder, not a replay file.")
    if not path.is_file():
        raise StorageError(f"no replay file {path}. `daf evaluate … --save-replays best` records some.")
    try:
        size = path.stat().st_size
        if size > limit:
            raise ReplayError(f"{path}: has {size:,} bytes, above DAF's bound of {limit:,} for a replay.")
        return path.read_bytes()
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


def _packing(data: bytes) -> str | None:
    if data[:2] == b"\x1f\x8b":
        return "gzip"
    if data[0] & 0x0F == 8 and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "zlib"
    return None
