"""Locks on files: one process at a time, released by the operating system when that process dies.

`exclusive(path)` holds the lock for a block; `is_held(path)` asks whether another process holds it. The lock, not what
a file says about hosts and pids, decides whether work is still going on.

Not guaranteed: network file systems without `flock`.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from daf.errors import LockedError, StorageError
from daf.storage.atomic import explain

PROBE_SECONDS = 1.0
"""How long `is_held` of another process may stand in the way of a lock: it holds the lock for the time of a look."""


@contextlib.contextmanager
def exclusive(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> Iterator[BinaryIO]:
    """Hold the lock file `path`, which is made with its folder, for the block; yields the open file.

    message: what `LockedError` says where another process still holds it after `patience` seconds (infinite: wait).
    Raises `LockedError`, `StorageError`.
    """
    file = acquire(path, message, patience=patience)
    try:
        yield file
    finally:
        file.close()


def acquire(path: str | Path, message: str, *, patience: float = PROBE_SECONDS) -> BinaryIO:
    """`exclusive` without a block: the lock is held until the returned file is closed, or the process ends."""
    until = time.monotonic() + patience
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = Path(path).open("ab")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise StorageError(explain(error, f"opening the lock {path}")) from error
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                file.close()
                raise LockedError(message) from None
            time.sleep(0.02)
        except OSError as error:
            file.close()
            raise StorageError(explain(error, f"locking {path}")) from error
        else:
            return file


def is_held(path: str | Path) -> bool:
    """Whether a process holds the lock file `path` exclusively now. Raises `StorageError`."""
    try:
        with Path(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise StorageError(explain(error, f"looking at the lock {path}")) from error
    return False
