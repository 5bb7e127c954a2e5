"""Whether a file changed, without reading it.

Anything other than a file or a directory has no signature: opening a pipe would block until it has a writer.
"""

import stat
from pathlib import Path

Signature = tuple[int, int, int]
"""Modification time in ns, size, inode."""


def signature(path: Path, *, special: bool = False) -> Signature | None:
    """The signature of the file or directory as it is now; None if there is none.

    special: also of pipes, devices and sockets, for callers that read through `storage.reading`, which rejects those.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if not special and not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
