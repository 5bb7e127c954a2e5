"""The files in a run directory: listed, and found by name without ever leaving the directory.

A name from a browser is checked part by part, then resolved to a file; a link that leads out of the run directory is
rejected too. Only regular files are opened.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.errors import StorageError, UsageError
from daf.output_manager.layout import relative

MOST_FILES = 2000
KINDS = {
    ".html": "page",
    ".png": "image",
    ".svg": "image",
    ".gif": "image",
    ".jpg": "image",
    ".webp": "image",
    ".mp4": "video",
    ".jsonl": "lines",
    ".log": "text",
    ".txt": "text",
    ".md": "text",
    ".yaml": "text",
    ".csv": "text",
    ".json": "text",
    ".pdf": "pdf",
}
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
}
REPLAY_SUFFIXES = (".json.z", ".json.gz")


@dataclass(frozen=True, slots=True)
class RunFile:
    """path: relative to the run directory. kind: "replay", "page", "image", …, "other"."""

    path: str
    size: int
    modified: float
    kind: str

    def to_data(self) -> dict[str, Any]:
        """As JSON data."""
        return {"path": self.path, "size": self.size, "modified": self.modified, "kind": self.kind}


def kind_of(name: str) -> str:
    """The kind of a file, by its name."""
    return "replay" if name.endswith(REPLAY_SUFFIXES) else KINDS.get(Path(name).suffix.lower(), "other")


def media_type(name: str) -> str:
    """The media type sent to a browser; files that it cannot render are shown as text, or saved."""
    suffix = Path(name).suffix.lower()
    fallback = "text/plain; charset=utf-8" if kind_of(name) in ("text", "lines") else "application/octet-stream"
    return MEDIA_TYPES.get(suffix, fallback)


def list_files(folder: Path, *, shallow: tuple[str, ...] = ()) -> tuple[list[RunFile], bool]:
    """The files below a run directory, by path, and whether these are all; up to `MOST_FILES` are listed.

    Hidden files and links are left out, and so are subdirectories of the directories named in `shallow`.
    """
    found: list[RunFile] = []
    for root, folders, names in os.walk(folder):
        deeper = not (Path(root).parent == folder and Path(root).name in shallow)
        folders[:] = sorted(name for name in folders if deeper and not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            try:
                facts = path.lstat()
            except OSError:  # deleted while the directory was listed
                continue
            if name.startswith(".") or not stat.S_ISREG(facts.st_mode):
                continue
            if len(found) == MOST_FILES:
                return found, False
            found.append(RunFile(path.relative_to(folder).as_posix(), facts.st_size, facts.st_mtime, kind_of(name)))
    return found, True


def inside(folder: Path, name: str) -> Path:
    """The regular file that `name` means in a run directory.

    Raises `UsageError` for a name that leads out of the directory, `StorageError` if there is no such file.
    """
    path = folder / relative(name, "the file")
    try:
        real = path.resolve(strict=True)
        regular = stat.S_ISREG(real.stat().st_mode)
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"no file {name} in {folder}.") from error
    if not real.is_relative_to(folder.resolve()):
        raise UsageError(f'the file "{name}" is a link that leads out of the run directory, so it is not shown.')
    if not regular:
        raise StorageError(f"{name} in {folder} is not a regular file.")
    return real
