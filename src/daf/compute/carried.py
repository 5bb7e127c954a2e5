"""Files that tasks read, on whatever machine they run.

The caller of an executor names the files, and a task asks `path_here(path)` where one of them is. On the caller's
machine, and wherever a shared file system has the same content under the same path, that is the path itself. On other
machines the executor has made a copy, below a folder that mirrors the file system.

Not guaranteed: files that nobody named. A policy that opens a table next to its module finds it only on a machine that
has it under the same path.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

Files = Callable[[], Iterable[Path]]
"""Called only by an executor whose tasks may run on another machine. Directories stand for all files below them."""

_mirror: Path | None = None


def path_here(path: str | Path) -> Path:
    """Where the file or directory `path` of the caller's machine is on this one."""
    copy = _copy_of(Path(path))
    return copy if copy is not None and copy.exists() else Path(path)


def use_mirror(mirror: Path | None) -> None:
    """From now on, `path_here` looks below `mirror` first; None for a machine that has the files themselves."""
    global _mirror
    _mirror = mirror


def single_files(paths: Iterable[Path]) -> list[Path]:
    """The files that `paths` stand for: absolute, each once, in order; without bytecode caches."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
            found |= dict.fromkeys(file.absolute() for file in below)
        elif path.exists():  # a task that reads a missing file reports it better
            found[path.absolute()] = None
    return sorted(found)


def below(mirror: Path, path: Path) -> Path:
    """The place of the absolute `path` below `mirror`."""
    return mirror / path.relative_to(path.anchor)


def _copy_of(path: Path) -> Path | None:
    return None if _mirror is None or not path.is_absolute() else below(_mirror, path)
