"""The state of the git repository that a policy's code lies in."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GitState:
    """dirty: tracked files differ from the commit, or a packed file is not in it; None if nobody recorded it."""

    commit: str
    dirty: bool | None


def state_of(files: Sequence[Path]) -> GitState | None:
    """The commit that `files` were at. None outside a repository, or without git.

    Other files that git does not track don't matter: the bundle itself may be one.
    """
    if not files:
        return None
    folder = files[0].resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    paths = [str(file.resolve()) for file in files]
    tracked = _git(folder, "ls-files", "--error-unmatch", "--", *paths) is not None
    return GitState(commit, changed != "" or not tracked)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails. Settings of the repository that start programs do not apply."""
    try:
        answer = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
