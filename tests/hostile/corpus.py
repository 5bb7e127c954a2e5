"""What a hostile input is, and the ways in which any file can be spoilt."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """work: the current folder of the command, the only one it may write to. outside: what it must leave alone.

    made: valid runs, checkpoints and replays to copy from.
    """

    work: Path
    outside: Path
    made: Path


@dataclass(frozen=True)
class Input:
    """One hostile input and what must become of it.

    make: writes its files and gives the arguments for `daf` (for a dashboard: the request). says: what the refusal must
    match. codes: exit codes (for a dashboard: statuses) that are right.
    """

    name: str
    make: Callable[[Place], list[str]]
    says: str
    codes: tuple[int, ...] = (1, 2)


type Spoiler = Callable[[Path], None]
"""Puts something at a path."""


def content(data: bytes | str) -> Spoiler:
    """A file with this content."""

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)

    return write


def changed(edit: Callable[[Any], Any]) -> Spoiler:
    """The JSON file that is there, with its value changed."""

    def write(path: Path) -> None:
        content(json.dumps(edit(json.loads(path.read_bytes()))))(path)

    return write


def cut(part: float) -> Spoiler:
    """The file that is there, cut off."""

    def write(path: Path) -> None:
        data = path.read_bytes()
        content(data[: int(len(data) * part)])(path)

    return write


def flipped(part: float) -> Spoiler:
    """The file that is there, with one byte changed."""

    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(int(len(data) * part), len(data) - 1)] ^= 0x55
        content(bytes(data))(path)

    return write


def fifo(path: Path) -> None:
    """A pipe that nobody writes to."""
    _clear(path)
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder where a file is expected."""
    _clear(path)
    path.mkdir()


def link(target: str) -> Spoiler:
    """A symbolic link."""

    def write(path: Path) -> None:
        _clear(path)
        path.symlink_to(target)

    return write


def huge(path: Path) -> None:
    """A sparse file of 20 GB."""
    _clear(path)
    with path.open("wb") as file:
        file.truncate(20 << 30)


NOT_FILES: dict[str, Spoiler] = {
    "fifo": fifo,
    "folder": folder,
    "zeros without end": link("/dev/zero"),
    "a link to itself": lambda path: link(path.name)(path),
    "a dangling link": link("nowhere/at/all"),
    "20 GB": huge,
}
"""What lies where a file is expected."""

NOT_JSON: dict[str, Spoiler] = {
    "empty": content(b""),
    "null": content("null"),
    "a list": content("[1, 2, 3]"),
    "a number": content("17"),
    "an empty object": content("{}"),
    "a torn object": content('{"a": [1, 2'),
    "nested 100,000 deep": content("[" * 100_000),
    "deep objects": content('{"a":' * 50_000 + "1" + "}" * 50_000),
    "not UTF-8": content(b'{"a": "\xff\xfe\x80"}'),
    "UTF-16": content('{"a": 1}'.encode("utf-16")),
    "a lone surrogate": content('{"a": "\\ud800"}'),
    "NaN": content('{"a": NaN, "b": -Infinity}'),
    "an integer of 10,000 digits": content('{"a": ' + "9" * 10_000 + "}"),
    "a key twice": content('{"a": 1, "a": 2}'),
    "NUL bytes": content(b"\0" * 4096),
}
"""What stands where a JSON object with fields is expected."""


def spoilt(spoilers: dict[str, Spoiler]) -> Iterator[tuple[str, Spoiler]]:
    """Each of them with its name."""
    yield from spoilers.items()


def _clear(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
