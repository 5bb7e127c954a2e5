"""The manifest of a published directory: its files with sizes and SHA-256.

It is written last and deleted first, so a directory with a manifest is whole: every file that it lists is there.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, TypedDict

import msgspec

from daf.errors import DamagedFileError, StorageError, UnsafePathError
from daf.storage.atomic import TEMPORARY_MARK, explain
from daf.storage.reading import decode_object
from daf.storage.remote.mirror import MARK

MANIFEST = ".daf-manifest.json"
"""In a published directory, and in its local copy as it was last published or downloaded."""
LISTED = ".daf-listed.json"
"""In a local directory of which only a part was downloaded: the manifest of all."""
PENDING = ".daf-publishing.jsonl"
"""In a local directory whose publication has begun: what was uploaded."""
LIMIT = 256 * 2**20
_FORMAT = "daf-manifest-1"
_NOT_PUBLISHED = (MANIFEST, LISTED, PENDING, MARK, ".reserved")
_PIECE = 2**20


class _Listed(TypedDict):
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _File(TypedDict):
    format: str
    files: dict[str, _Listed]


@dataclass(frozen=True)
class Listed:
    """A file of a manifest."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a directory by their relative names."""

    files: Mapping[str, Listed]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.files.values())

    @property
    def digest(self) -> str:
        """Of the whole manifest: equal content has equal digests."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The manifest as it is stored; equal manifests have equal bytes."""
        files = {name: {"size": one.size, "sha256": one.sha256} for name, one in sorted(self.files.items())}
        return json.dumps({"format": _FORMAT, "files": files}, indent=1, ensure_ascii=False).encode("utf-8") + b"\n"


def from_bytes(content: bytes, where: str) -> Manifest:
    """The manifest in `content`. Raises `DamagedFileError`, also for names that lead out of the directory."""
    data = decode_object(content, _File, where=where)
    if data["format"] != _FORMAT:
        raise DamagedFileError(where, f'its format is "{data["format"]:.40}", not {_FORMAT}')
    for name in data["files"]:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name or not is_published(name):
            raise UnsafePathError(f'{where} lists "{name:.200}", which is not the name of a file of a run.')
    return Manifest({name: Listed(one["size"], one["sha256"]) for name, one in data["files"].items()})


def of_folder(folder: Path) -> Manifest:
    """The manifest of a local directory. Raises `StorageError`, `UnsafePathError` for a link."""
    return Manifest({name: listed(folder / name) for name in names_below(folder)})


def names_below(folder: Path) -> list[str]:
    """The names of the files that are published of `folder`, sorted. Raises `UnsafePathError` for a link."""
    found = []
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise UnsafePathError(f"{path} is a link, which an object store can't hold. Put the file itself there.")
            if name in files and is_published(relative):
                found.append(relative)
    return sorted(found)


def is_published(name: str) -> bool:
    """Whether a file of a directory is published: locks, unfinished files and the state of publishing are not."""
    last = name.rpartition("/")[2]
    return not (last in _NOT_PUBLISHED or last.endswith(".lock") or TEMPORARY_MARK in name)


def listed(path: Path) -> Listed:
    """Size and SHA-256 of a file. Raises `StorageError`."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    return Listed(size, digest.hexdigest())
