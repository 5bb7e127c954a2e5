"""A registry in a directory.

    registry.json                         marks the directory
    NAME/current.json                     the event that made the live release live; replaced atomically
    NAME/journal.jsonl                    all events, in order
    NAME/versions/VERSION/release.json    never changes
    NAME/versions/VERSION/bundle.zip

`current.json` decides. It is replaced after the release is on the disk and before the journal gets its line, so a crash
leaves at most the journal's last line missing: readers add it, and the next writer writes it. If `current.json` is
missing, the journal's last line counts. Writers of one policy lock each other out.

Not guaranteed: file systems without locks; there, writing raises `NoLocksError`.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, cast

from daf.errors import DamagedFileError, LockedError, ReleaseError, StorageError, UsageError, quoted
from daf.registry.interface import (
    BUNDLE_LIMIT,
    Event,
    PolicyReleases,
    Registry,
    Release,
    Stored,
    bundle_event,
    live_changed,
    newest_first,
    no_bundle,
    other_bytes,
    require_name,
    without_bundle,
)
from daf.registry.versions import is_version
from daf.storage import atomic, journal, locks
from daf.storage.atomic import explain
from daf.storage.containment import inside
from daf.storage.reading import open_regular, read_object

MARK = "registry.json"
CURRENT = "current.json"
JOURNAL = "journal.jsonl"
VERSIONS = "versions"
RELEASE = "release.json"
BUNDLE = "bundle.zip"
FORMAT = 1
_LOCK = ".lock"
_PATIENCE_SECONDS = 60.0
"""A writer holds the lock for as long as copying a bundle takes."""


class _Mark(TypedDict):
    format: int


class FolderRegistry(Registry):
    """The registry in `root`, which is made when the first release is added."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        self.place = str(self.root)

    def names(self) -> list[str]:
        self._check()
        try:
            found = [path.name for path in self.root.iterdir() if (path / VERSIONS).is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError(explain(error, f"listing {self.root}")) from error
        return sorted(name for name in found if not name.startswith("."))

    def policy(self, name: str) -> PolicyReleases:
        self._check()
        events, current = self._events(name)
        gone = without_bundle(events)
        found = [(version, self._release(name, version)) for version in self._versions(name)]
        stored = [Stored(release, version not in gone) for version, release in found if release is not None]
        live = current["version"] if current is not None else None
        return PolicyReleases(self.place, name, live, newest_first(stored), tuple(events))

    def add(self, release: Release, bundle: Path) -> bool:
        name, version = require_name(release["name"]), release["version"]
        folder = self._folder(name, VERSIONS, version)
        with self._writing(name):
            there = self._release(name, version)
            if there is None:
                with atomic.writing_folder(folder) as temporary:
                    temporary.mkdir()
                    _copy(bundle, temporary / BUNDLE, release["sha256"])
                    atomic.write_json(temporary / RELEASE, release)
                return True
            if there["sha256"] != release["sha256"]:
                raise other_bytes(release, there, self._versions(name))
            if _sha256(folder / BUNDLE) != release["sha256"]:
                with atomic.writing(folder / BUNDLE) as temporary:
                    _copy(bundle, temporary, release["sha256"])
            if version in without_bundle(self._events(name)[0]):
                journal.append(self._folder(name, JOURNAL), dict(bundle_event("restored", version)))
            return False

    def switch(self, name: str, event: Event, *, expected: str | None) -> None:
        with self._writing(name):
            events, current = self._events(name)
            if current == event:
                return
            live = current["version"] if current is not None else None
            if live != expected:
                raise LockedError(live_changed(name, live, expected))
            bundle = self._folder(name, VERSIONS, event["version"]) / BUNDLE
            if event["version"] in without_bundle(events) or not bundle.is_file():
                raise no_bundle(name, event["version"])
            self._complete(name, events)
            atomic.write_json(self._folder(name, CURRENT), event)
            journal.append(self._folder(name, JOURNAL), dict(event))

    def remove(self, name: str, version: str) -> None:
        with self._writing(name):
            events, current = self._events(name)
            if current is not None and current["version"] == version:
                raise ReleaseError(f"{name} {version} is live; its bundle is not deleted.")
            self._complete(name, events)
            if version not in without_bundle(events):
                journal.append(self._folder(name, JOURNAL), dict(bundle_event("removed", version)))
            atomic.remove(self._folder(name, VERSIONS, version) / BUNDLE)

    def where(self, release: Release) -> str:
        return str(self.root / release["name"] / VERSIONS / release["version"] / BUNDLE)

    def fetch(self, release: Release, folder: Path) -> Path:
        name, version = release["name"], release["version"]
        path = self._folder(name, VERSIONS, version) / BUNDLE
        there = _sha256(path)
        if there is None:
            raise no_bundle(name, version)
        if there != release["sha256"]:
            raise DamagedFileError(
                path,
                f"its SHA-256 is {there[:12]}…, not {release['sha256'][:12]}… as it was released. Deploy the same "
                "bundle under the same version again, which replaces the file, or roll back to another release",
            )
        return path

    def _check(self) -> None:
        """Refuse a directory that is something else."""
        try:
            others = [path.name for path in self.root.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise UsageError(
                f"{self.root} is not a directory, so it can't be a registry. Name one with --registry."
            ) from None
        except OSError as error:
            raise StorageError(explain(error, f"reading the registry {self.root}")) from error
        mark = read_object(self.root / MARK, _Mark, limit=2**16)
        if mark is not None and mark["format"] != FORMAT:
            raise DamagedFileError(
                self.root / MARK, f"its format is {mark['format']}, this DAF reads {FORMAT}; update DAF"
            )
        if mark is None and others:
            raise UsageError(
                f"{self.root} is not a registry: it has other files and no {MARK}. Name an empty or a new directory "
                "with --registry."
            )

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        self._check()
        if not (self.root / MARK).exists():
            try:
                atomic.write_json(self.root / MARK, {"format": FORMAT})
            except StorageError as error:
                reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
                raise StorageError(
                    f"{self.root} can't be written, so it can't be a registry ({reason}). Name another directory with "
                    "--registry or DAF_REGISTRY."
                ) from error
        busy = f"another process changes the releases of {name} in {self.root}. Run the command again when it is done."
        with locks.exclusive(self._folder(name, _LOCK), busy, patience=_PATIENCE_SECONDS):
            atomic.sweep_below(self._folder(name))
            yield

    def _folder(self, name: str, *parts: str) -> Path:
        return inside(self.root, require_name(name), *parts)

    def _versions(self, name: str) -> list[str]:
        try:
            return [path.name for path in self._folder(name, VERSIONS).iterdir() if is_version(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(explain(error, f"listing {self._folder(name, VERSIONS)}")) from error

    def _release(self, name: str, version: str) -> Release | None:
        path = self._folder(name, VERSIONS, version) / RELEASE
        found = read_object(path, Release)
        if found is None and path.parent.is_dir():
            raise DamagedFileError(path.parent, f"it has no {RELEASE}; delete the directory and deploy again")
        if found is not None and (found["name"], found["version"]) != (name, version):
            raise DamagedFileError(path, f"it describes {quoted(found['name'])} {quoted(found['version'])}")
        return found

    def _events(self, name: str) -> tuple[list[Event], Event | None]:
        """All events in order, and the one that made the live release live."""
        try:
            events = cast("list[Event]", list(journal.read(self._folder(name, JOURNAL), Event)))
        except DamagedFileError as error:
            raise DamagedFileError(
                error.path, f"{error.reason}. Move the file away: {CURRENT} still says which release is live"
            ) from error
        path = self._folder(name, CURRENT)
        try:
            current = read_object(path, Event, limit=2**20)
        except DamagedFileError as error:
            raise DamagedFileError(
                path, f"{error.reason}. Delete the file: the last line of {JOURNAL} then says which release is live"
            ) from error
        switches = [event for event in events if "number" in event]
        if current is None:
            current = switches[-1] if switches else None
        elif current.get("number") not in [event.get("number") for event in switches]:
            events.append(current)
        return events, current

    def _complete(self, name: str, events: list[Event]) -> None:
        """Append what a crash kept out of the journal."""
        there = sum(1 for _ in journal.read(self._folder(name, JOURNAL)))
        for event in events[there:]:
            journal.append(self._folder(name, JOURNAL), dict(event))


def _sha256(path: Path) -> str | None:
    """The SHA-256 of the file; None without one."""
    try:
        open_regular(path).close()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a bundle whose bytes are known. Raises `StorageError` if it changed in the meantime."""
    with open_regular(source) as file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
    if target.stat().st_size > BUNDLE_LIMIT or _sha256(target) != sha256:
        raise StorageError(f"{source} changed while it was copied into the registry. Run the command again.")
