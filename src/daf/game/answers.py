"""Answers of the game that were worked out before, so that asking again does not import it.

`answer(question, kind, work_out)` returns what `work_out()` returned for the same question, in this or an earlier
process. An answer belongs to its question and to the code that gave it: the versions and files of cogames and
mettagrid, and DAF's own code between them and the answer. After a change in any of them, the question is asked again.

An entry carries a checksum over itself and its question, and is read with bounds and into a declared type; a damaged
entry, or one under another's name, is ignored and replaced. Entries lie in `$XDG_CACHE_HOME/daf/answers` (by default
`~/.cache/daf/answers`), which may be deleted at any time. Where nothing can be written, questions are always asked.
"""

import contextlib
import functools
import logging
import os
import platform
from collections.abc import Callable, Iterable
from importlib import metadata, util
from pathlib import Path
from typing import Any

import msgspec

from daf.errors import DamagedFileError, StorageError
from daf.storage import atomic, reading
from daf.storage.hashing import HASH_CHARACTERS, hash_bytes, hash_json

logger = logging.getLogger(__name__)

FORMAT = 1
"""Part of every key. Raise it when the meaning of an answer changes."""
MOST_BYTES = 64 * 2**20
MOST_ENTRIES = 1_000
"""Entries are about 40 KB; beyond this number, the oldest are removed."""
_GAME = ("cogames", "mettagrid")
_LIBRARIES = (*_GAME, "pydantic", "pydantic-core", "msgspec")
_CODE = (".py", ".so", ".pyd", ".dylib")


def answer[T](
    question: Iterable[Any], kind: type[T], work_out: Callable[[], T], *, lasting: Callable[[T], bool] | None = None
) -> T:
    """The answer to `question`, as kept or as `work_out()` gives it now.

    question: JSON values that determine the answer, together with the code. kind: the type of the answer, one that
    msgspec writes and reads. lasting: whether an answer may be kept (default: always).
    """
    folder = _folder()
    if folder is None:
        return work_out()
    key = hash_json([FORMAT, list(question), game_code()])
    path = folder / key[:2] / key
    try:
        return _read(path, key, kind)
    except (LookupError, DamagedFileError, StorageError):
        found = work_out()
    if lasting is None or lasting(found):
        data = msgspec.msgpack.encode(found)
        with contextlib.suppress(StorageError, OSError):  # a read-only or full disk only costs the next command time
            _prune(folder)
            atomic.write_bytes(path, _checksum(key, data) + data)
    return found


@functools.cache
def game_code() -> str:
    """Hash of what determines the game's answers: the installed code of cogames and mettagrid, and DAF's around it.

    Installed code counts by its list of files with their hashes, and by every file's size and time, which shows edits
    in place; DAF's code counts by content.
    """
    own = Path(__file__).parent
    files = [*sorted(own.rglob("*.py")), own.parent / "storage" / "yaml_strict.py"]
    return hash_json(
        {
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in _LIBRARIES},
            "installed": [[name, _listed(name), _stamps(name)] for name in _GAME],
            "own": [hash_bytes(file.read_bytes()) for file in files],
        }
    )


def _folder() -> Path | None:
    """Where entries lie; None for a user without a home directory."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(named) if named else Path.home() / ".cache") / "daf" / "answers"
    except RuntimeError:
        return None


def _read[T](path: Path, key: str, kind: type[T]) -> T:
    """The entry at `path`. Raises `LookupError` if there is none, `DamagedFileError`, `StorageError`."""
    content = reading.read_bytes(path, limit=MOST_BYTES)
    if content is None:
        raise LookupError(key)
    checksum, data = content[:HASH_CHARACTERS], content[HASH_CHARACTERS:]
    if checksum != _checksum(key, data):
        raise DamagedFileError(path, "its checksum does not match its content")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedFileError(path, str(error)) from error


def _checksum(key: str, data: bytes) -> bytes:
    return hash_bytes(key.encode() + data).encode()


def _prune(folder: Path) -> None:
    """Remove the oldest quarter of the entries if there are too many. Raises `OSError`."""
    found = [(entry.stat().st_mtime, entry) for entry in folder.glob("??/*")]
    if len(found) < MOST_ENTRIES:
        return
    for _, entry in sorted(found)[: MOST_ENTRIES // 4]:
        entry.unlink(missing_ok=True)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _listed(package: str) -> str | None:
    """Hash of the installed package's list of files, which has the hash of each."""
    try:
        text = metadata.distribution(package).read_text("RECORD")
    except metadata.PackageNotFoundError:
        return None
    return None if text is None else hash_bytes(text.encode())


def _stamps(package: str) -> str | None:
    """Hash of the path, size and time of every file with code of an importable package; nothing is imported."""
    spec = util.find_spec(package)
    if spec is None:
        return None
    found = []
    for folder in spec.submodule_search_locations or ():
        for at, folders, names in Path(folder).walk():
            folders[:] = [name for name in folders if name != "__pycache__"]
            stats = {name: (at / name).stat() for name in names if name.endswith(_CODE)}
            found += [[str(at), name, info.st_size, info.st_mtime_ns] for name, info in stats.items()]
    return hash_json(sorted(found))
