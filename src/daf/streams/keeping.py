"""Counted parts stored on disk, so that only the new part of a growing log is read.

A part's counts are reused only if nothing about it has changed: how it was counted (seed, sample size,
constants, place in the log), and its bytes. A part to the file's end must have the size and modification time that it
had; a part that ends where a later one begins, the same first and last 4 KB. Anything else means that the part is
counted again, and so do counts whose sample left out records that the whole log's may need. The last part of a file
that grew is thus read again from its offset; what lies before is not touched. Where `total_steps` moves inside the
file, its last value belongs to how every part is counted: all parts are then read again.

What a file was is noted before it is read: records that are appended meanwhile are found the next time.

A state begins with the checksum of its content. One that does not match it is noted in `Keeper.damaged`, and its part
is counted again.

The format is MessagePack of plain values and arrays, no pickle: reading a state runs no code.
"""

import hashlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daf.errors import DamagedFileError, StorageError
from daf.storage import atomic, reading
from daf.streams._aggregates import Aggregate
from daf.streams._damage import Damage
from daf.streams._moments import Binned, Cells
from daf.streams._sampling import Sample
from daf.streams._sketch import Sketch
from daf.streams._spans import Spans
from daf.streams._stride import Rises
from daf.streams._tallies import SourceTally, StretchTally
from daf.streams._visits import Visits
from daf.streams.planning import LogPart

VERSION = 5
_MAGIC = b"daf-log-state\n"
_DIGEST_BYTES = 32
_MOST_BYTES = 2**28
"""A state holds a sample and bins of one part of a log, some megabytes."""
_EDGE = 4_096
_CLASSES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Aggregate,
        Binned,
        Cells,
        Counter,
        Damage,
        Rises,
        Sample,
        Sketch,
        SourceTally,
        Spans,
        StretchTally,
        Visits,
    )
}


class Keeper:
    """Keeps the counts of parts in `folder`, for one `seed` and `sample_size`."""

    def __init__(self, folder: Path, seed: int, sample_size: int) -> None:
        self.folder = folder
        self.reused = 0
        """Parts that did not have to be read."""
        self.reused_bytes = 0
        self.damaged: list[str] = []
        """Why a state could not be used, though there was one; each names its file."""
        self._found: dict[Path, dict[str, Any]] = {}
        self._how = {"version": VERSION, "seed": seed, "sample_size": sample_size}

    def get(self, part: LogPart, bound: int) -> Aggregate | None:
        """What `part` holds, if it was counted before and is what it was, with all records whose hashes up to `bound`
        may enter the sample. Raises `StorageError` where the part cannot be read.
        """
        path = self._path(part)
        found = self._found[path] = _fingerprint(part)
        try:
            content = _unsealed(path)
            if content is None or content["how"] != self._described(part) or content["bytes"] != found:
                return None
            aggregate: Aggregate = _plain_to_object(content["counts"])
            reaches = aggregate.sample.reaches(bound)
        except (DamagedFileError, StorageError) as error:
            self.damaged.append(str(error))
            return None
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.damaged.append(str(DamagedFileError(path, f"{type(error).__name__}: {error}")))
            return None
        if not reaches:
            return None
        self.reused += 1
        self.reused_bytes += part.size
        return aggregate

    def put(self, part: LogPart, aggregate: Aggregate) -> None:
        """Keep what `part` holds, which was counted after `get` had been asked for it. Raises `StorageError`."""
        path = self._path(part)
        content = {
            "how": self._described(part),
            "bytes": self._found.pop(path),
            "counts": _object_to_plain(aggregate),
        }
        packed = msgspec.msgpack.encode(content)
        atomic.write_bytes(path, _MAGIC + _digest(packed) + packed)

    def _path(self, part: LogPart) -> Path:
        name = hashlib.blake2b(f"{part.plan.name}\0{part.start}".encode(errors="surrogateescape"), digest_size=12)
        return self.folder / f"{name.hexdigest()}.part"

    def _described(self, part: LogPart) -> dict[str, Any]:
        plan = asdict(part.plan) | {"slices": list(part.plan.slices)}
        plan["clock"] = list(part.plan.clock) if part.plan.clock else None
        return {**self._how, "start": part.start, "end": part.end, "constants": asdict(part.constants), "plan": plan}


def _unsealed(path: Path) -> dict[str, Any] | None:
    """A state's content, None where there is no state. Raises `DamagedFileError`, `StorageError`."""
    sealed = reading.read_bytes(path, limit=_MOST_BYTES)
    if sealed is None:
        return None
    start = len(_MAGIC) + _DIGEST_BYTES
    packed = sealed[start:]
    if not sealed.startswith(_MAGIC) or sealed[len(_MAGIC) : start] != _digest(packed):
        raise DamagedFileError(path, "its checksum does not match its content, or another version of DAF wrote it")
    content: dict[str, Any] = msgspec.msgpack.decode(packed, type=dict[str, Any])
    return content


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest()


def _fingerprint(part: LogPart) -> dict[str, Any]:
    """A fingerprint of the part's bytes, to check whether they are those that were counted. Raises `StorageError`."""
    try:
        if part.end is None:
            stat = part.path.stat()
            return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        with part.path.open("rb") as file:
            file.seek(part.start)
            first = file.read(_EDGE)
            file.seek(max(part.start, part.end - _EDGE))
            last = file.read(part.end - max(part.start, part.end - _EDGE))
    except OSError as error:
        raise StorageError(atomic.explain(error, f"reading {part.path}")) from error
    return {"size": part.end - part.start, "edges": hashlib.blake2b(first + last, digest_size=16).hexdigest()}


def _object_to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        contiguous = np.ascontiguousarray(value)
        return {"array": contiguous.tobytes(), "type": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return {"array": value.tobytes(), "type": value.dtype.str, "shape": []}
    if isinstance(value, dict):
        items = [[_object_to_plain(key), _object_to_plain(item)] for key, item in value.items()]
        return {"dict": items, "class": "Counter" if isinstance(value, Counter) else "dict"}
    if isinstance(value, tuple | list):
        return {"list" if isinstance(value, list) else "tuple": [_object_to_plain(item) for item in value]}
    if type(value).__name__ in _CLASSES:
        return {"object": type(value).__name__, "fields": _object_to_plain(vars(value))}
    return value


def _plain_to_object(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = np.frombuffer(value["array"], dtype=value["type"]).reshape(value["shape"])
        return array.copy() if value["shape"] else array[()]
    if "dict" in value:
        found = {_plain_to_object(key): _plain_to_object(item) for key, item in value["dict"]}
        return Counter(found) if value["class"] == "Counter" else found
    if "list" in value:
        return [_plain_to_object(item) for item in value["list"]]
    if "tuple" in value:
        return tuple(_plain_to_object(item) for item in value["tuple"])
    cls = _CLASSES[value["object"]]
    made: Any = object.__new__(cls)
    for name, item in _plain_to_object(value["fields"]).items():
        object.__setattr__(made, name, item)
    return made
