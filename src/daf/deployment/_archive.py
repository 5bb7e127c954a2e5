"""Zip files that depend on their content only.

`write(path, files)` gives the same bytes for the same names and contents on any machine: entries are sorted, have one
time and mode, and are stored without compression, because the output of zlib differs between its versions and builds.
The file appears whole or not at all.
"""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from daf.storage import atomic

_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can hold."""
_UNIX, _MODE = 3, 0o100644


def write(path: Path, files: Mapping[str, bytes | Path]) -> None:
    """Write `files`, by their names in the zip: their bytes, or the file that holds them. Raises `StorageError`."""
    with atomic.writing(path) as temporary, zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = _UNIX, _MODE << 16
            content = files[name]
            if isinstance(content, bytes):
                archive.writestr(entry, content)
                continue
            entry.file_size = content.stat().st_size  # zipfile decides by it whether to use 64-bit fields
            with content.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
