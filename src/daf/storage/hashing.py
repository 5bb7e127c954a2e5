"""Hashes that mean the same everywhere: of bytes, of files, of JSON values in one canonical form."""

import hashlib
import json
from pathlib import Path
from typing import Any

from daf.errors import StorageError
from daf.storage.atomic import explain

HASH_CHARACTERS = 40
"""Hex digits kept of SHA-256: 160 bits, beyond any accidental collision, and short enough for a file name."""


def hash_bytes(data: bytes) -> str:
    """SHA-256 of `data`, the first `HASH_CHARACTERS` hex digits."""
    return hashlib.sha256(data).hexdigest()[:HASH_CHARACTERS]


def hash_file(path: str | Path) -> str:
    """`hash_bytes` of a file's content, read in pieces. Raises `StorageError`."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_CHARACTERS]
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


def hash_tree(path: str | Path) -> str:
    """Hash of a file, or of a folder's files by their relative names and contents (bytecode caches left out)."""
    root = Path(path)
    if root.is_file():
        return hash_file(root)
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return hash_json([[p.relative_to(root).as_posix(), hash_file(p)] for p in files])


def canonical_json(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no spaces: equal values give equal bytes; 1, 1.0, true and "1" differ.

    Floats are written so that they read back exactly; NaN and the infinities are written by those names.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def hash_json(value: Any) -> str:
    """`hash_bytes` of `canonical_json(value)`."""
    return hash_bytes(canonical_json(value))
