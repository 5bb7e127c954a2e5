"""Names, tags and notes of runs: `labels.json` in the run directory.

A label is what a person adds to a run: a name to find it by, tags to group it, a note to remember why. Labels describe
a run and change nothing in it, so they can be edited at any time, also while it runs. An edit reads and replaces the
file under a lock, so two edits at the same time are both kept.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from daf.errors import DamagedFileError, UsageError
from daf.output_manager.layout import SESSION_ID
from daf.storage import atomic, locks
from daf.storage.reading import read_object

FILE = "labels.json"
LOCK = ".labels.lock"
_MOST_BYTES = 2**20
NAME_LENGTH = 100
TAG_LENGTH = 60
MOST_TAGS = 50
NOTE_LENGTH = 20_000
_TAG = re.compile(r"\w[\w.:+=-]*")


@dataclass(frozen=True)
class Labels:
    """What a person calls a run. name and note: None without one. tags: in the order in which they were added."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None

    def __post_init__(self) -> None:
        """Check the labels. Raises `UsageError`."""
        if self.name is not None:
            _require_name(self.name)
        for tag in self.tags:
            _require_tag(tag)
        if len(self.tags) > MOST_TAGS:
            raise UsageError(f"a run can have up to {MOST_TAGS} tags, got {len(self.tags)}.")
        if self.note is not None and len(self.note) > NOTE_LENGTH:
            raise UsageError(f"a note can have up to {NOTE_LENGTH:,} characters, got {len(self.note):,}.")

    def __bool__(self) -> bool:
        return self != Labels()

    def tagged(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> "Labels":
        """With tags added and removed; a tag is kept once."""
        gone = set(remove)
        kept = (tag for tag in (*self.tags, *add) if tag not in gone)
        return replace(self, tags=tuple(dict.fromkeys(kept)))


class LabelsFile(TypedDict, total=False):
    """The fields of `labels.json`."""

    name: str | None
    tags: list[str]
    note: str | None


def read(folder: Path) -> Labels:
    """The labels of a run directory. Raises `DamagedFileError`, `StorageError`."""
    data = read_object(folder / FILE, LabelsFile, limit=_MOST_BYTES)
    if data is None:
        return Labels()
    try:
        return Labels(data.get("name"), tuple(data.get("tags", ())), data.get("note"))
    except UsageError as error:
        raise DamagedFileError(folder / FILE, str(error)) from error


def edit(folder: Path, change: Callable[[Labels], Labels]) -> Labels:
    """Replace the labels of a run directory by `change` of them, and return the new ones.

    Raises what `read` and `change` raise, `LockedError` if another process is editing them.
    """
    with locks.exclusive_if_supported(folder / LOCK, f"another process is editing the labels of {folder}."):
        labels = change(read(folder))
        atomic.write_json(folder / FILE, asdict(labels))
    return labels


def added(folder: Path, labels: Labels) -> Labels:
    """Add labels to those of a run directory: name and note replace earlier ones, tags are added."""

    def merged(before: Labels) -> Labels:
        return replace(
            before.tagged(labels.tags),
            name=before.name if labels.name is None else labels.name,
            note=before.note if labels.note is None else labels.note,
        )

    return edit(folder, merged)


def _require_name(name: str) -> None:
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        raise UsageError(
            f"a run's name must be one line of 1 to {NAME_LENGTH} characters without spaces around it, "
            f'got "{name:.60}".'
        )
    if "/" in name or "\\" in name or name == "latest" or SESSION_ID.fullmatch(name):
        raise UsageError(
            f'a run can\'t be named "{name:.60}": it reads as a path, a run id or `latest`. Choose another name.'
        )


def _require_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag) or len(tag) > TAG_LENGTH:
        raise UsageError(
            f"a tag must have 1 to {TAG_LENGTH} letters, digits or any of . : + = - _ and start with a letter or "
            f'digit, got "{tag:.60}".'
        )
