"""Paths that come out of files stay inside their root.

A name read from a file (a run id, an entry of an archive, a file of a manifest) is not trusted. `inside(root, name)`
resolves links and `..` on both sides and returns the path only if it lies below the resolved root. All code that
writes, deletes or reads by such a name uses it.

Not guaranteed: protection from a link that another process creates between this check and the use of the path.
"""

import os
from pathlib import Path

from daf.errors import UnsafePathError


def inside(root: str | Path, *names: str | Path) -> Path:
    """The resolved path of `names` below `root`. It need not exist; links on the way are followed before the check.

    Raises `UnsafePathError` if it lies outside `root`, is `root` itself, or is not a path.
    """
    top = Path(root).resolve()
    named = "/".join(str(name) for name in names)
    try:
        found = top.joinpath(*names).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UnsafePathError(f'"{named:.200}" is not a path below {root}: {error}.') from error
    if found == top or not found.is_relative_to(top):
        raise UnsafePathError(f'"{named:.200}" leads out of {root}; nothing outside it is read, written or deleted.')
    return found


def own(root: str | Path, *names: str | Path) -> Path:
    """`names` below `root` as they are, without resolving links, for writing into a known directory.

    Raises `UnsafePathError` if a link on the way leads out of `root`.
    """
    inside(root, *names)
    return Path(root).joinpath(*names)


def require_own(root: str | Path) -> None:
    """Raise `UnsafePathError` if a link below `root` leads out of it: writes there would land elsewhere.

    For code that resumes writing in an existing directory.
    """
    top = Path(root).resolve()
    for folder, below, files in os.walk(top):
        for name in (*below, *files):
            path = Path(folder, name)
            if path.is_symlink():
                try:
                    inside(top, path)
                except UnsafePathError as error:
                    raise UnsafePathError(
                        f"{path} is a link that leads out of {root}; nothing is written through it. Put the directory "
                        "or file itself there."
                    ) from error
