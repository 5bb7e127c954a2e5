"""Whether a file changed, without reading it.

What is neither a file nor a folder has no signature: whoever opened a pipe would wait for its writer.
"""

import stat
from pathlib import Path

Signature = tuple[int, int, int]
"""Modification time in ns, size, inode."""


def signature(path: Path, *, special: bool = False) -> Signature | None:
    """Of the file or folder as it is now; None where there is none.

    special: also of pipes, devices and sockets, for callers that read through `storage.reading`, which refuses those.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if not special and not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
