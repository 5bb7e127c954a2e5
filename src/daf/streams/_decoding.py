"""Blocks of whole records to columns, at the speed of msgspec.

A block is cut at the last place where one record ends and the next starts, the brackets of a JSON array are written
around it in place, and it is decoded at once. The cut is a guess that the decoder checks. A `BlockDecoder` is built for
one shape of record. Its struct types demand every path of the shape as a number, refuse unknown components and notice
every other field that would be read, so a block decodes only where all its records have exactly that shape; everything
else (another shape, null, NaN, damage) raises `msgspec.MsgspecError`, and the caller reads it the slow, exact way.

The columns come out of msgspec as well: a list of structs that hold only floats, encoded as MessagePack, is an array
of rows of one size (each float is a marker and eight bytes, each key constant), which numpy views in place. A field
that the shape lacks is left out of its row, so one that appears makes a row longer, and the block is refused.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from daf.streams._gathering import Rows
from daf.streams.records import FIXED, LogShape, RunConstants, is_flat, missing

MAX_DECODERS = 64
"""Most shapes of records that get a fast decoder; a log whose records all differ is read the exact way."""
_FLOAT = 0xCB
_NESTED = ("step", "total_steps", "position.x", "position.y", "position.map", "rewards.total", "rewards.step")
"""Fields of nested records that are read where they occur."""

type _Tree = dict[str, "_Tree | None"]


class TypedDecoder:
    """Reads blocks whose records have the shape and the separator of the last two that the exact reader read."""

    def __init__(self, constants: RunConstants) -> None:
        self._flat_fields = constants.flat_fields
        self._decoders: dict[LogShape, BlockDecoder | None] = {}
        self._shape: LogShape | None = None
        self._separator = b""

    def learn(self, text: bytes, separator: bytes | None, shape: LogShape, numbers: list[float]) -> None:
        """Expect records like `text`, which has this `shape`, with `separator` between them, if that is known."""
        self._shape = shape
        self._separator = self._separator if separator is None else separator

    def read(self, buffer: bytearray, at: int, stop: int, *, ended: bool, rows: Rows) -> int:
        """Gather the records of `buffer[at:stop]`, which nothing follows if it has `ended`; the place of the
        first byte that it does not read.
        """
        decoder, cut = self._decoder(), self._cut(buffer, at, stop, ended)
        if decoder is None or self._shape is None or not cut:
            return at
        before, after = buffer[at - 1], buffer[cut]
        as_lines = b"," not in self._separator and b"\n" in self._separator
        try:
            with memoryview(buffer) as view:
                if as_lines:
                    with view[at:cut] as piece:
                        found = decoder.lines(piece)
                else:
                    buffer[at - 1], buffer[cut] = 0x5B, 0x5D
                    with view[at - 1 : cut + 1] as piece:
                        found = decoder.array(piece)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return at
        finally:
            buffer[at - 1], buffer[cut] = before, after
        if not len(found) or decoder.overlooks(buffer, at, cut, len(found)):
            return at
        rows.put(self._shape, found)
        for problem in missing(self._shape):
            rows.report.problems.counts[problem] += len(found)
        return cut

    def _cut(self, buffer: bytearray, at: int, stop: int, ended: bool) -> int:
        """Where the last whole record before `stop` seems to end; 0 if no guess is possible."""
        if buffer[at] != 0x7B:
            return 0
        if ended:
            return buffer.rfind(b"}", at, stop) + 1
        return buffer.rfind(b"}" + self._separator + b"{", at, stop) + 1 if self._separator else 0

    def _decoder(self) -> "BlockDecoder | None":
        shape = self._shape
        if shape is None:
            return None
        if shape not in self._decoders:
            if len(self._decoders) >= MAX_DECODERS:
                return None
            try:
                self._decoders[shape] = BlockDecoder(shape, self._flat_fields)
            except ValueError:
                self._decoders[shape] = None
        return self._decoders[shape]


class BlockDecoder:
    """Decodes blocks of records of one `shape`."""

    def __init__(self, shape: LogShape, flat_fields: tuple[str, ...]) -> None:
        """`flat_fields`: the fields that are read of flat records. Readable fields that the shape lacks are decoded
        too, to notice when they appear. Raises `ValueError` for a shape that cannot be distinguished from the other
        kind.
        """
        if shape.kind == "nested" and not any("." in path for path in shape.paths):
            raise ValueError(f"no position and no rewards in {shape.paths}")
        if shape.kind == "flat" and not is_flat(shape.paths):
            raise ValueError(f"what makes a flat record is not among {shape.paths}")
        self.shape = shape
        optional = _NESTED if shape.kind == "nested" else (*FIXED, *(name for name in flat_fields if name != "levels"))
        absent = frozenset(path for path in optional if path not in shape.paths)
        self._rewards = sum(path.startswith("reward_") for path in shape.paths) if shape.kind == "flat" else None
        self._without_levels = "levels" in flat_fields and not any(path.startswith("levels.") for path in shape.paths)
        tree: _Tree = {}
        for path in (*shape.paths, *sorted(absent)):
            *parents, leaf = _split(path)
            node = tree
            for parent in parents:
                child = node.setdefault(parent, {})
                assert child is not None
                node = child
            node[leaf] = None
        if shape.kind == "nested":
            rewards = tree.setdefault("rewards", {})
            assert rewards is not None
            rewards.setdefault("components", {})
        others = ("rewards", "position") if shape.kind == "flat" else ()
        record = _struct("Record", tree, "", absent, others)
        self._array = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]
        self._lines = msgspec.json.Decoder(record)
        self._encoder = msgspec.msgpack.Encoder()
        self._packed = bytearray(1 << 16)
        self._layout = self._measure(tree, absent)

    def array(self, block: memoryview | bytearray | bytes) -> NDArray[np.void]:
        """The rows (n,) of a block that reads `[record, record, …]`, a field per path; a view that must be gone before
        the next call.

        Raises `msgspec.MsgspecError`.
        """
        return self._pack(self._array.decode(block))

    def lines(self, block: memoryview | bytearray | bytes) -> NDArray[np.void]:
        """As `array`, of a block of one record per line. Raises `msgspec.MsgspecError`."""
        return self._pack(self._lines.decode_lines(block))

    def overlooks(self, block: bytearray, start: int, end: int, n: int) -> bool:
        """Whether `block[start:end]`, decoded as `n` flat records, holds fields to be read that the shape lacks.

        Flat records may hold any other field, which the struct skips; a new `reward_…` or `levels` must not be skipped.
        """
        if self._rewards is None:
            return False
        if self._without_levels and block.find(b'"levels"', start, end) >= 0:
            return True
        if not self._rewards and block.find(b"w", start, end) < 0:
            return False  # as in every log without such a field: searching for a single byte takes no time
        return block.count(b'"reward_', start, end) != n * self._rewards

    def _pack(self, records: list[Any]) -> NDArray[np.void]:
        n = len(records)
        self._encoder.encode_into(records, self._packed)
        head = 1 if n < 16 else 3 if n < 65536 else 5
        if len(self._packed) != head + n * self._layout.itemsize:
            raise msgspec.DecodeError("rows of unequal size")
        return np.frombuffer(self._packed, self._layout, n, head)

    def _measure(self, tree: _Tree, absent: frozenset[str]) -> np.dtype[np.void]:
        """Where in an encoded record which path's float lies."""
        one = self._encoder.encode([self._lines.decode(_zeros(tree, absent))])[1:]
        order = [path for path in _leaves(tree, "") if path not in absent]
        offsets: list[int] = []
        _walk(one, 0, offsets)
        return np.dtype({"names": order, "formats": [">f8"] * len(order), "offsets": offsets, "itemsize": len(one)})


def _split(path: str) -> list[str]:
    """The keys of a path; a component's name may contain dots."""
    if path.startswith("rewards.components."):
        return ["rewards", "components", path.removeprefix("rewards.components.")]
    if re.fullmatch(r"levels\.\d+|position\.\w+|rewards\.\w+", path):
        return path.split(".")
    return [path]


def _leaves(tree: _Tree, prefix: str) -> Iterator[str]:
    for key, child in tree.items():
        if child is None:
            yield prefix + key
        else:
            yield from _leaves(child, f"{prefix}{key}.")


def _zeros(tree: _Tree, absent: frozenset[str], prefix: str = "") -> str:
    """A record of this tree without the `absent` paths as JSON, all numbers 0."""
    children = [
        (key, "0" if child is None else _zeros(child, absent, f"{prefix}{key}."))
        for key, child in tree.items()
        if prefix + key not in absent
    ]
    if prefix == "levels.":
        return "[" + ",".join(text for _, text in children) + "]"
    return "{" + ",".join(f"{msgspec.json.encode(key).decode()}:{text}" for key, text in children) + "}"


def _struct(
    name: str, tree: _Tree, prefix: str, absent: frozenset[str], others: tuple[str, ...] = ()
) -> type[msgspec.Struct]:
    """A struct type for `tree`; its fields have positions for names, renamed to the keys, since a key can be any
    string. `others`: keys that must be absent or null, since with them a record is of the other kind.
    """
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for position, (key, child) in enumerate(tree.items()):
        field = f"f{position}"
        rename[field] = key
        path = prefix + key
        if child is None:
            fields.append((field, float, math.nan) if path in absent else (field, float))
        else:
            part = _struct(key, child, f"{path}.", absent)
            demanded = any(leaf not in absent for leaf in _leaves(child, f"{path}."))
            fields.append((field, part) if demanded else (field, part, msgspec.field(default_factory=part)))
    for position, key in enumerate(others):
        fields.append((f"other{position}", None, None))
        rename[f"other{position}"] = key
    return msgspec.defstruct(
        "Part",
        fields,
        rename=None if name == "levels" else rename,
        array_like=name == "levels",
        forbid_unknown_fields=name in ("levels", "components"),
        omit_defaults=True,
        kw_only=True,
        gc=False,  # structs of floats can't form cycles; tracking them would slow down the collector
    )


def _walk(packed: bytes, at: int, offsets: list[int]) -> int:
    """Follow one MessagePack value from `at`, noting where floats begin; the position after it."""
    head = packed[at]
    if head == _FLOAT:
        offsets.append(at + 1)
        return at + 9
    is_map = head & 0xF0 == 0x80 or head in (0xDE, 0xDF)
    width = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}.get(head, 0)
    n = int.from_bytes(packed[at + 1 : at + 1 + width], "big") if width else head & 0x0F
    at += 1 + width
    for _ in range(n):
        at = _walk(packed, _after_text(packed, at) if is_map else at, offsets)
    return at


def _after_text(packed: bytes, at: int) -> int:
    head = packed[at]
    if head & 0xE0 == 0xA0:
        return at + 1 + (head & 0x1F)
    width = {0xD9: 1, 0xDA: 2, 0xDB: 4}[head]
    return at + 1 + width + int.from_bytes(packed[at + 1 : at + 1 + width], "big")
