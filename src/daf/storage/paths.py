"""Existing paths at the start of DAF's strings for policies, missions and teams.

These strings put options behind a path: `./runs/best,kw.temperature=0.5`. A path may contain every separator of these
languages, so existing files decide: `leading_path(text)` finds the longest start of `text`, up to a separator, that
names something on the disk. It accepts any text; no function here raises.
"""

from collections.abc import Callable
from pathlib import Path

LONGEST = 4096
"""Characters. Linux opens no longer path, and testing a longer text would take a system call per separator."""


def existing(text: str) -> Path | None:
    """The path that `text` names (`~` stands for the home directory), None if nothing exists there."""
    if not text or len(text) > LONGEST or "\0" in text:
        return None
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long a name, no permission, no such user, lone surrogates
        return None


def leading_path(
    text: str, separators: str = ",", *, accept: Callable[[Path], bool] = Path.exists
) -> tuple[Path, str] | None:
    """The longest existing path that `text` starts with, and the rest: empty, or from its separator on.

    accept: which of the existing paths count. None if there is none.
    """
    for end in [len(text), *(place for place in range(len(text) - 1, 0, -1) if text[place] in separators)]:
        path = existing(text[:end].strip()) if end <= LONGEST else None
        if path is not None and accept(path):
            return path, text[end:]
    return None
