"""The manifest of a bundle: what it was made of, and the SHA-256 of every other entry.

CoGames ignores the file. It holds no paths of the machine, no host and no time, so that a bundle packed again from the
same files has the same bytes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypedDict

from daf.errors import DamagedFileError
from daf.storage.reading import read_object

FILE = "daf_manifest.json"
FORMAT = 1
_LONGEST = 64 * 2**20


class BundleEntry(TypedDict):
    """An entry's content. sha256: all 64 hex digits."""

    sha256: str
    bytes: int


class CommitRecord(TypedDict):
    """dirty: None where only the commit was recorded."""

    commit: str
    dirty: bool | None


class MissionResults(TypedDict):
    """Mean return per agent on a mission over n finished episodes; null without one.

    keys: of the episodes, failed ones included; null in runs that did not record them.
    """

    mission: str
    mean: float | None
    n: int
    failed: int
    keys: list[str] | None


class PolicyResults(TypedDict):
    """An evaluation of the packed policy. seed: of each mission's first episode, where it is recorded."""

    source: Literal["training", "run"]
    seed: int | None
    missions: list[MissionResults]


class Manifest(TypedDict):
    """The fields of the manifest. requirements: "name==version" of what the code imports from outside the bundle."""

    format: int
    name: str
    files: dict[str, BundleEntry]
    versions: dict[str, str]
    requirements: list[str]
    git: CommitRecord | None
    licence: str | None
    results: list[PolicyResults]


def entry_of(content: bytes | Path) -> BundleEntry:
    """Size and hash of an entry's content."""
    if isinstance(content, bytes):
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    with content.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "bytes": content.stat().st_size}


def read(root: Path) -> Manifest | None:
    """The manifest of an unpacked bundle, None without one. Raises `DamagedFileError`, `StorageError`."""
    found: Manifest | None = read_object(root / FILE, Manifest, limit=_LONGEST)
    if found is not None and found["format"] != FORMAT:
        raise DamagedFileError(root / FILE, f"its format is {found['format']}, this DAF reads {FORMAT}")
    return found


def differences(manifest: Manifest, files: Mapping[str, BundleEntry]) -> Iterable[str]:
    """How the entries differ from what the manifest lists, one sentence each."""
    for name, listed in sorted(manifest["files"].items()):
        if name not in files:
            yield f"{name} is missing"
        elif dict(files[name]) != dict(listed):
            yield f"{name} was changed: its SHA-256 is {files[name]['sha256'][:12]}…, not {listed['sha256'][:12]}…"
    for name in sorted(files.keys() - manifest["files"].keys()):
        yield f"{name} was added: the manifest does not list it"
