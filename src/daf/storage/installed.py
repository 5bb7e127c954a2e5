"""What an installed package consists of, as one hash, without importing it.

`fingerprint(package)` changes with the package's version, with the list of its files that was written when it was
installed (which has the hash of each), and with the path, size or time of any file with code, which shows edits in
place and packages that are not installed but importable.

Not guaranteed: noticing a file that was changed in place and given its old size and time.
"""

import functools
from importlib import metadata, util
from pathlib import Path

from daf.storage.hashing import hash_bytes, hash_json

_CODE = (".py", ".so", ".pyd", ".dylib")


@functools.cache
def fingerprint(package: str) -> str:
    """The hash of `package`, a top-level package, as it was when this process first asked."""
    return hash_json([version(package), _listed(package), _stamps(package)])


def version(package: str) -> str | None:
    """The installed version; None for a package that is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _listed(package: str) -> str | None:
    try:
        text = metadata.distribution(package).read_text("RECORD")
    except metadata.PackageNotFoundError:
        return None
    return None if text is None else hash_bytes(text.encode())


def _stamps(package: str) -> list[list[str | int]]:
    spec = util.find_spec(package)
    found: list[list[str | int]] = []
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for at, folders, names in Path(folder).walk():
            folders[:] = [name for name in folders if name != "__pycache__"]
            stats = {name: (at / name).stat() for name in names if name.endswith(_CODE)}
            found += [[str(at), name, info.st_size, info.st_mtime_ns] for name, info in stats.items()]
    return sorted(found)
