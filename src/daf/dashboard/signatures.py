"""Whether a file changed, without reading it."""

from pathlib import Path

Signature = tuple[int, int, int]
"""Modification time in ns, size, inode."""


def signature(path: Path) -> Signature | None:
    """Of the file or folder as it is now; None where there is none, or none to read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
