"""Zipped policy bundles, extracted once under the hash of their content, whole or not at all.

`unpacked(archive, cache)` returns a folder whose files are on the disk and equal the archive's content: later damage by
a power loss or another program is detected by hash and repaired by extracting again. Hostile archives are refused
before anything is written: absolute or climbing paths, links, devices, names that other file systems take for one,
too many files, too many bytes, more bytes than compression explains.

Separators of Windows, one wrapping folder and the entries that macOS adds are understood.
"""

import contextlib
import logging
import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from daf.errors import DamagedFileError, PolicyError, quoted
from daf.storage import atomic, locks, reading
from daf.storage.hashing import hash_file

logger = logging.getLogger(__name__)

MAX_PATH = 1024
MAX_FILES = 20_000
MAX_BYTES = 8 * 2**30
MAX_RATIO = 100
"""Maximum extracted bytes per byte of the archive. Weights compress by 1.1, source code by 5."""
FREE_BYTES = 64 * 2**20
"""Extracted bytes up to which the ratio does not matter: a file of zeros may be small."""
MAX_DIRECTORY_BYTES = MAX_FILES * 512
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_CHUNK = 1 << 20
_UNIX = 3
"""The system that an entry names, if its attributes hold a Unix mode."""


def unpacked(archive: Path, cache: Path, *, markers: Collection[str]) -> Path:
    """The folder below `cache` with the content of `archive`.

    markers: a bundle has one of these names in its top folder. Raises `PolicyError`, `StorageError`.
    """
    size = archive.stat().st_size
    if size > MAX_BYTES:
        raise PolicyError(f"{archive}: has {size:,} bytes; a bundle has at most {MAX_BYTES:,}.")
    digest = hash_file(archive)
    folder, lock = cache / digest, cache / f"{digest}.lock"
    if not folder.is_dir():
        check(archive, markers=markers)  # a bad one is refused before anything is written
    with locks.exclusive(lock, f"{archive} is being unpacked by another process.", patience=600):
        if folder.is_dir():
            damaged = _damaged(folder)
            if damaged is None:
                return folder
            logger.warning("%s: %s in the cache is damaged; the bundle is unpacked again.", archive, damaged)
            shutil.rmtree(folder)
        _unpack(archive, folder, markers)
        remember(folder)
    return folder


def check(archive: Path, *, markers: Collection[str]) -> None:
    """Raise `PolicyError` if `unpacked` would refuse the archive. Nothing is written; contents are not read."""
    with _opened(archive, markers):
        pass


def remember(folder: Path) -> None:
    """Record the content of an extracted bundle's files, which `unpacked` compares with. Raises `StorageError`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    atomic.write_json(_notes(folder), {path.relative_to(folder).as_posix(): hash_file(path) for path in files})


def _notes(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.files.json")


def _damaged(folder: Path) -> str | None:
    """A file of an extracted bundle that was changed; None if all are intact."""
    try:
        known = reading.read_json(_notes(folder), dict[str, str])
    except DamagedFileError:
        known = None
    if known is None:
        return "the list of its files"
    for name, digest in known.items():
        path = folder / name
        if not path.is_file() or hash_file(path) != digest:
            return name
    return None


def _unpack(archive: Path, folder: Path, markers: Collection[str]) -> None:
    atomic.sweep(folder.parent)
    doing = f"unpacking {archive} into {folder.parent}"
    with (
        atomic.writing_folder(folder, doing=doing) as temporary,
        _opened(archive, markers) as (bundle, entries),
    ):
        temporary.mkdir()
        _write(bundle, entries, temporary)


@contextlib.contextmanager
def _opened(archive: Path, markers: Collection[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """The archive, checked, with its entries. Damage that shows in the block is a `PolicyError` too."""
    try:
        with archive.open("rb") as file:
            _check_directory(archive, file.seek(0, os.SEEK_END), _tail(archive))
            with zipfile.ZipFile(file) as bundle:
                yield bundle, _checked(bundle, archive, markers)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, LookupError) as error:
        raise PolicyError(f"{archive} is not a zip file, or a damaged one: {_short(error)}.") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; a method of compression that zipfile lacks
        raise PolicyError(f"{archive} can't be unpacked: {_short(error)}. Zip it again without a password.") from error


def _short(error: Exception) -> str:
    """zipfile's message, shortened: it may repeat the whole archive."""
    return quoted(str(error) or type(error).__name__)[1:-1]


def _tail(archive: Path) -> bytes:
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 66_000))
        return file.read()


def _check_directory(archive: Path, size: int, tail: bytes) -> None:
    """Refuse an archive whose list of entries alone would fill the memory; zipfile reads it in one piece."""
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise zipfile.BadZipFile("it has no end of its list of entries")
    listed = int(struct.unpack_from("<L", tail, place + 12)[0])
    place_64 = tail.rfind(_END_64, 0, place)
    if place_64 >= 0 and len(tail) >= place_64 + 48:
        listed = max(listed if listed != 0xFFFFFFFF else 0, int(struct.unpack_from("<Q", tail, place_64 + 40)[0]))
    if min(listed, size) > MAX_DIRECTORY_BYTES:
        raise PolicyError(f"{archive}: its list of entries has {listed:,} bytes, more than {MAX_FILES:,} files need.")


def _checked(bundle: zipfile.ZipFile, archive: Path, markers: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    """The entries by the path that each gets in the bundle. Raises `PolicyError`."""
    infos = bundle.infolist()
    if len(infos) > MAX_FILES:
        raise PolicyError(f"{archive}: {len(infos):,} entries are more than a bundle may hold ({MAX_FILES:,}).")
    size, packed = sum(entry.file_size for entry in infos), archive.stat().st_size
    if size > MAX_BYTES:
        raise PolicyError(f"{archive}: {size:,} bytes unpacked are more than a bundle may hold ({MAX_BYTES:,}).")
    if size > max(FREE_BYTES, MAX_RATIO * packed):
        raise PolicyError(
            f"{archive}: {packed:,} bytes that unpack to {size:,} are not a policy (at most {MAX_RATIO} times as many "
            "are unpacked). Pass the unpacked directory if it is one."
        )
    found: dict[str, zipfile.ZipInfo] = {}
    folded: dict[str, str] = {}
    for entry in infos:
        path = _place(entry, archive)
        if not path.parts or entry.is_dir() or entry.filename.endswith("\\") or _of_macos(path):
            continue
        if str(path) in found:
            raise PolicyError(f"{archive} holds {quoted(entry.filename)} twice.")
        for part in (path, *path.parents):
            other = folded.setdefault(plain_name(str(part)), str(part))
            if other != str(part):
                raise PolicyError(
                    f"{archive}: the entries {quoted(other)} and {quoted(str(part))} are one file where names ignore "
                    "case or Unicode's composition. Rename one."
                )
        found[str(path)] = entry
    files = set(found)
    for name in found:
        for parent in PurePosixPath(name).parents:
            if str(parent) in files:
                raise PolicyError(
                    f"{archive}: the entry {quoted(str(parent))} is a file, and the folder of {quoted(name)}."
                )
    return _unwrapped(found, markers)


def plain_name(name: str) -> str:
    """What `name` is on file systems that ignore case, or how characters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _place(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The path of an entry in the bundle. Raises `PolicyError` for one that must not be unpacked."""
    shown = f"{archive}: the entry {quoted(entry.orig_filename)}"
    if "\0" in entry.orig_filename:
        raise PolicyError(f"{shown} has a NUL character in its name.")
    if len(entry.filename) > MAX_PATH:  # before it is compared with others, directory by directory
        raise PolicyError(f"{shown} has a path of {len(entry.filename):,} characters, more than {MAX_PATH:,}.")
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in str(path).partition("/")[0]:
        raise PolicyError(f"{shown} leads out of the bundle.")
    kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == _UNIX else 0
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise PolicyError(f"{shown} is a link, which a bundle must not hold.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise PolicyError(f"{shown} is a device, a pipe or a socket, which a bundle must not hold.")
    return path


def _of_macos(path: PurePosixPath) -> bool:
    return path.parts[:1] == ("__MACOSX",) or path.name == ".DS_Store"


def _unwrapped(entries: Mapping[str, zipfile.ZipInfo], markers: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    """The entries without the one folder around all of them, if that folder is the bundle."""
    tops = {name.partition("/")[0] for name in entries}
    top = next(iter(tops), "")
    if len(tops) == 1 and any(f"{top}/{marker}" in entries for marker in markers):
        return {name.partition("/")[2]: entry for name, entry in entries.items()}
    return dict(entries)


def _write(bundle: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], into: Path) -> None:
    for name, entry in entries.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with bundle.open(entry) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)  # zipfile ends at the size that was checked
