"""Whole files or none.

`write_bytes(path, data)` makes `data` appear under `path` completely or not at all, across crashes and power loss:
temporary file in the same folder, fsync, rename, fsync of the folder. Readers never see a partial file, and the old
content stays until the new content is whole. `writing_folder` makes a folder and `remove` deletes one the same way:
nobody sees half of it.

`sweep` deletes what a killed process left behind, and never what a live process is writing: a writer holds a shared
lock on the folder that it writes to, and `sweep` takes that lock exclusively or leaves the folder alone.

Not guaranteed: an order between two writers of one path; the last rename wins. On a network file system without atomic
rename the guarantee is that file system's; one without locks on folders is never swept.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daf.errors import DAFError, StorageError
from daf.storage.names import MOST_BYTES, shortened

TEMPORARY_MARK = ".daf-tmp-"
"""Part of the name of every unfinished or half-deleted file and folder, so that `sweep` finds them after a crash."""
_LEFTOVER = re.compile(
    rf"\..+(?:{re.escape(TEMPORARY_MARK)}\d+-[0-9a-f]+(?:\.wal|\.tmp)?|\.deleted-[0-9a-f]{{8}})", re.DOTALL
)
"""The names that `temporary_name` gives, files that DuckDB adds to them, and half-deleted folders before 0.1.0."""


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; parent folders are made. Raises `StorageError`."""
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as strict JSON (no NaN: a number that is not one must be `None`). Raises `ValueError` for NaN."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path next to `path` for code that writes files itself; it becomes `path` when the block succeeds.

    On an exception the temporary file is removed and `path` stays as it was. An `OSError` is raised as `StorageError`.
    """
    target = Path(path)
    temporary = temporary_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with announced(target.parent):
            yield temporary
            sync(temporary)
            temporary.replace(target)
            sync(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(explain(error, f"writing {target}")) from error
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        # Libraries fail again while they clean up: matplotlib's PDF on a full disk ends with a zlib.error.
        found = machine_error(error, f"writing {target}") if isinstance(error, Exception) else None
        if found is not None:
            raise found from error
        raise


@contextlib.contextmanager
def writing_folder(path: str | Path, *, doing: str | None = None) -> Iterator[Path]:
    """`writing` for a folder: the block makes the folder at the path that it gets, and it replaces one at `path`.

    doing: what an error message says that the block does; default: "writing PATH".
    """
    target = Path(path)
    temporary = temporary_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with announced(target.parent):
            try:
                yield temporary
                sync_tree(temporary)
                if target.exists():
                    remove(target)
                temporary.rename(target)
                sync(target.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StorageError(explain(error, doing or f"writing {target}")) from error


def temporary_name(path: Path) -> Path:
    """A name next to `path` for an unfinished or half-deleted file; use it inside `announced(path.parent)`."""
    mark = f"{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{shortened(path.name, most=MOST_BYTES - 1 - len(mark))}{mark}")


@contextlib.contextmanager
def announced(folder: Path) -> Iterator[None]:
    """A block that makes temporary files in `folder`, which `sweep` leaves alone during that time.

    Where the file system has no locks on folders there is nothing to announce: `sweep` does nothing there.
    """
    descriptor = _locked(folder, fcntl.LOCK_SH)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a file, or a folder in such a way that nobody sees half of it. Raises `StorageError`."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        with announced(path.parent):
            doomed = temporary_name(path)
            path.rename(doomed)
            shutil.rmtree(doomed)
    except OSError as error:
        raise StorageError(explain(error, f"deleting {path}")) from error


def sweep(folder: Path) -> list[Path]:
    """Delete what killed processes left unfinished or half-deleted in `folder`; returns the paths, sorted.

    Deletes only names that DAF gives to such files, does not descend into folders, and does nothing while a process
    writes to `folder`. Raises `StorageError`.
    """
    if not any(map(_is_leftover, _names(folder))):
        return []
    descriptor = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None:
        return []
    try:
        found = sorted(folder / name for name in _names(folder) if _is_leftover(name))
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(explain(error, f"deleting unfinished files in {folder}")) from error
    finally:
        os.close(descriptor)
    return found


def sweep_below(root: Path) -> list[Path]:
    """`sweep` of `root` and of every folder below it; links are not followed."""
    found: list[Path] = []
    for folder, below, _ in os.walk(root):
        found += sweep(Path(folder))
        below[:] = [name for name in below if not _is_leftover(name)]
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageError(explain(error, f"listing {folder}")) from error


def _is_leftover(name: str) -> bool:
    return _LEFTOVER.fullmatch(name) is not None


def _locked(folder: Path, kind: int) -> int | None:
    """A descriptor of `folder` that holds the lock, None if there is no such lock or another process has it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # missing, or not readable: then `sweep` cannot list it either
        return None
    try:
        fcntl.flock(descriptor, kind)
    except OSError:  # held by another, or not supported
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


MACHINE_ERRORS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENODEV, errno.ENXIO),
        *(errno.ENAMETOOLONG, errno.ELOOP),
    }
)
"""Errors that a machine, or the path that it is given, causes at any time; they are not faults of the program."""


def machine_error(error: BaseException, doing: str) -> StorageError | None:
    """A `StorageError` if the machine caused `error`, or the error during which it was raised; else None.

    The last resort, where no nearer code knew better: errors of DAF stay as they are.
    """
    link: BaseException | None = error
    while link is not None and not isinstance(link, DAFError):
        if isinstance(link, OSError) and link.errno in MACHINE_ERRORS:
            where = f" ({os.fsdecode(link.filename)})" if isinstance(link.filename, str | bytes) else ""
            return StorageError(explain(link, f"{doing}{where}"))
        link = link.__cause__ or link.__context__
    return None


def explain(error: OSError, doing: str) -> str:
    """A sentence for `error`, raised while `doing` ("writing /x/y"): what happened and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left while {doing}. Free some, or choose another place (of runs: --output-dir)."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission while {doing} ({error.strerror}). Choose another place, or change its permissions."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many open files while {doing}. Use fewer workers (--jobs), or raise the limit (ulimit -n)."
    if error.errno == errno.EFBIG:
        return f"file too large while {doing}. The file system or `ulimit -f` limits the size of files."
    return f"{error.strerror or error} while {doing}."


def explain_text(text: str, doing: str) -> str:
    """`explain` for a library that reports the system's error only as text, for example DuckDB and SQLite."""
    for number in MACHINE_ERRORS:
        if os.strerror(number).lower() in text.lower():
            return explain(OSError(number, os.strerror(number)), doing)
    return f"{text.strip().rstrip('.')}, while {doing}."


def sync(path: Path) -> None:
    """Return once a file or folder is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Return once all files and folders below `folder` are on the disk. Raises `OSError`."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            sync(path)
