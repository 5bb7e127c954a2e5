"""A replay file's bytes, decompressed within bounds.

`unpack(path)` gives the JSON text of a file that is zlib, gzip or plain text, whatever it is called: the content
decides. The text is decompressed in steps and never exceeds `MAX_BYTES`, nor `MAX_RATIO` times the size of a small
file, so a file made to fill the memory is refused after a fraction of a second. A file that ends early is refused,
however late the cut is.
"""

import io
import zlib
from pathlib import Path

from daf.errors import DamagedFileError, StorageError, UsageError
from daf.game.replays._errors import ReplayError
from daf.storage.atomic import explain
from daf.storage.reading import open_regular

MAX_BYTES = 1 << 28
"""256 MiB: the maximum of a file, compressed or not. A 10,000-step episode of 32 agents has 33 MB, the walls of a map
of 1000×1000 cells 75 MB.
"""
MAX_RATIO = 100
"""Real replays shrink to a sixth (long episodes) or a thirtieth (large maps), repeated bytes to a thousandth."""
ALWAYS = 1 << 25
"""Text of up to 32 MiB is accepted whatever its ratio."""
_STEP = 1 << 16


def unpack(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The JSON text in `path`.

    Raises `UsageError` (no such file), `ReplayError` (damaged, above `limit`), `StorageError`.
    """
    data = _read(path, limit)
    if not data:
        raise ReplayError(f"{path}: the file is empty.")
    kind = _packing(data)
    if kind is None:
        return data
    unpacking = zlib.decompressobj(wbits=31 if kind == "gzip" else 15)
    expected = max(ALWAYS, MAX_RATIO * len(data))
    text = io.BytesIO()
    try:
        for at in range(0, len(data), _STEP):
            pending = data[at : at + _STEP]
            while pending:
                text.write(unpacking.decompress(pending, _STEP * 16))
                pending = unpacking.unconsumed_tail
                _check_size(path, text.tell(), limit, expected, len(data))
            if unpacking.eof:
                follow = len(unpacking.unused_data) + max(len(data) - at - _STEP, 0)
                if follow:
                    raise ReplayError(f"{path}: {follow:,} bytes follow the end of the {kind} data.")
        text.write(unpacking.flush())
    except zlib.error as error:
        raise ReplayError(f"{path}: the {kind} data is damaged ({error}). Record or copy the replay again.") from error
    _check_size(path, text.tell(), limit, expected, len(data))
    if not unpacking.eof:
        raise ReplayError(
            f"{path}: ends early: the {kind} data stops after {len(data):,} bytes. Copy the whole file again."
        )
    return text.getvalue()


def _check_size(path: Path, size: int, limit: int, expected: int, packed: int) -> None:
    if size > limit:
        raise ReplayError(f"{path}: unpacks to more than {limit:,} bytes, DAF's bound for a replay.")
    if size > expected:
        raise ReplayError(
            f"{path}: {packed:,} bytes unpack to more than {expected:,}. Real replays shrink to no less than a "
            f"{MAX_RATIO}th; unpack the file yourself if you trust it, DAF reads plain JSON too."
        )


def _read(path: Path, limit: int) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a directory, not a replay file.")
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise UsageError(
            f"no replay file {path}. Use `daf evaluate … --save-replays best` to record replays."
        ) from error
    except DamagedFileError as error:
        raise ReplayError(f"{path}: {error.reason}.") from error
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    if len(data) > limit:
        raise ReplayError(f"{path}: larger than {limit:,} bytes, DAF's bound for a replay.")
    return data


def _packing(data: bytes) -> str | None:
    if data[:2] == b"\x1f\x8b":
        return "gzip"
    if data[0] & 0x0F == 8 and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "zlib"
    return None
