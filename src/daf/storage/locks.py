"""Locks on files: released by the operating system when the process that holds them dies.

`exclusive(path)` holds the lock for a block; `is_held(path)` asks whether another process holds it. The lock, not the
hosts and pids in a file, decides whether work is still running. The holder may delete its lock file: a process that
waited for it then takes the lock of the file that is there now.

Not guaranteed: network file systems without `flock`; there `NoLocksError` is raised, except by
`exclusive_if_supported`.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from daf.errors import LockedError, NoLocksError, StorageError
from daf.storage.atomic import explain

PROBE_SECONDS = 1.0
"""How long another process's `is_held` may block a lock: it holds the lock for the time of its check."""
UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""The error numbers of `flock` on file systems that have no such locks."""


@contextlib.contextmanager
def exclusive(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> Iterator[BinaryIO]:
    """Hold the lock file `path`, which is made with its folder, for the block; yields the open file.

    message: the text of `LockedError` if another process still holds it after `patience` seconds (infinite: wait).
    Raises `LockedError`, `StorageError`.
    """
    file = acquire(path, message, patience=patience)
    try:
        yield file
    finally:
        release(file)


@contextlib.contextmanager
def exclusive_if_supported(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> Iterator[None]:
    """`exclusive`, or no lock at all where the file system has none."""
    try:
        file = acquire(path, message, patience=patience)
    except NoLocksError:
        yield
        return
    try:
        yield
    finally:
        release(file)


def acquire(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> BinaryIO:
    """`exclusive` without a block: the lock is held until `release`, or until the process ends."""
    return _acquired(Path(path), fcntl.LOCK_EX, message, patience)


def acquire_shared(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> BinaryIO:
    """As `acquire`, together with others that share the lock; it keeps out only those that want it exclusively."""
    return _acquired(Path(path), fcntl.LOCK_SH, message, patience)


def release(file: BinaryIO) -> None:
    """Release what `acquire` returned, even if a forked child inherited the open file."""
    with contextlib.suppress(OSError):  # closing releases it too
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()


def discard(file: BinaryIO, path: str | Path) -> None:
    """`release`, and delete the lock file at `path`: processes that wait for it notice (see above)."""
    with contextlib.suppress(OSError):  # then the file stays
        Path(path).unlink(missing_ok=True)
    release(file)


def is_held(path: str | Path) -> bool:
    """Whether a process holds the lock file `path` exclusively now. Raises `StorageError`."""
    try:
        with open(path, "rb", opener=_opener) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise _failed(error, f"looking at the lock {path}") from error
    return False


def _acquired(path: Path, kind: int, message: str, patience: float) -> BinaryIO:
    until = time.monotonic() + patience
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file: BinaryIO = open(path, "ab", opener=_opener)  # noqa: SIM115 (its holder closes it)
        except OSError as error:
            raise StorageError(explain(error, f"opening the lock {path}")) from error
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except BlockingIOError:
            if time.monotonic() >= until:
                file.close()
                raise LockedError(message) from None
            time.sleep(0.02)
        except OSError as error:
            file.close()
            raise _failed(error, f"locking {path}") from error
        file.close()


def _opener(path: str, flags: int) -> int:
    """Neither waits for the other end of a FIFO nor follows a link: a run directory may come from anywhere."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is the one at `path`, which another holder may have deleted in the meantime."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _failed(error: OSError, doing: str) -> StorageError:
    if error.errno in UNSUPPORTED:
        return NoLocksError(f"the file system has no locks ({error.strerror}) while {doing}.")
    return StorageError(explain(error, doing))
