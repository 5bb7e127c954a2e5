"""Creating and deleting folders, with errors that say what to do."""

import contextlib
import os
import shutil
from pathlib import Path

from daf.errors import StorageError
from daf.storage import atomic

RESERVED = ".reserved"
RESERVED_BYTES = 64 * 1024
MIN_FREE_BYTES = 32 * 1024 * 1024
"""With less free space, no run starts."""


def made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(atomic.explain(error, f"creating the directory {folder}")) from error
    return folder


def require_space(base: Path) -> None:
    free = shutil.disk_usage(base).free
    if free < MIN_FREE_BYTES:
        raise StorageError(
            f"not enough space for a run: {free / 2**20:.0f} MB free in {base}, {MIN_FREE_BYTES / 2**20:.0f} MB needed."
            " Free some, or choose another place with --output-dir or DAF_OUTPUT_DIR."
        )


def reserve(folder: Path) -> None:
    """Reserve the space that the final log entries need, so that they can be written when the disk is full."""
    atomic.write_bytes(folder / RESERVED, os.urandom(RESERVED_BYTES))


def release(folder: Path) -> None:
    """Free that space, for the final log entries."""
    with contextlib.suppress(OSError):  # if it is gone already, the write reports it
        (folder / RESERVED).unlink(missing_ok=True)
