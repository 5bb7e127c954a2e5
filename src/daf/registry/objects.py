"""A registry of objects at a URL: `s3://bucket/releases`.

    registry.json                              marks the registry
    NAME/versions/VERSION/SHA256.zip           the bundle, before its release
    NAME/versions/VERSION/release.json         created once, never changes
    NAME/events/0000000001.json, …             all events in order, each created once

Object stores have no locks and no rename. Two writers of one policy compete for the next event instead: one creates it,
the other reads what happened and decides again. The last event that made a release live decides which one is.

Not guaranteed: stores that can't create an object exclusively (see `daf.storage.remote`).
"""

from pathlib import Path
from typing import TypedDict

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
from daf.storage import remote
from daf.storage.hashing import canonical_json
from daf.storage.reading import decode_object
from daf.storage.remote.manifest import listed
from daf.storage.remote.publishing import content_of

MARK = "registry.json"
FORMAT = 1
LAYOUT = "objects"
_RELEASE = "release.json"
_ATTEMPTS = 100
_LIMIT = 2**20


class _Mark(TypedDict):
    format: int
    layout: str


class ObjectRegistry(Registry):
    """The registry at `url`, which is made when the first release is added."""

    def __init__(self, url: remote.Url) -> None:
        self.place = str(url)
        self._url = url
        self._store = remote.Store(url)

    def names(self) -> list[str]:
        self._check()
        found = {name.partition("/")[0] for name in self._store.listing() if name.endswith(f"/{_RELEASE}")}
        return sorted(found)

    def policy(self, name: str) -> PolicyReleases:
        self._check()
        events = self._events(name)
        gone = without_bundle(events)
        stored = [Stored(self._required(name, version), version not in gone) for version in self._versions(name)]
        return PolicyReleases(self.place, name, _live(events), newest_first(stored), tuple(events))

    def add(self, release: Release, bundle: Path) -> bool:
        name, version = require_name(release["name"]), release["version"]
        self._make()
        there = self._release(name, version)
        if there is not None and there["sha256"] != release["sha256"]:
            raise other_bytes(release, there, self._versions(name))
        if there is None or not self._is_whole(release):
            self._upload(release, bundle)
        if there is None:
            content = canonical_json(release)
            if self._store.create(_release_at(name, version), content):
                return True
            there = self._required(name, version)
            if there["sha256"] != release["sha256"]:
                self._store.remove(_bundle_at(release))
                raise other_bytes(release, there, self._versions(name))
        for _ in range(_ATTEMPTS):
            events = self._events(name)
            if version not in without_bundle(events) or self._append(
                name, len(events), bundle_event("restored", version)
            ):
                return False
        raise self._busy(name)

    def switch(self, name: str, event: Event, *, expected: str | None) -> None:
        for _ in range(_ATTEMPTS):
            events = self._events(name)
            switches = [one for one in events if "number" in one]
            if switches and switches[-1] == event:
                return
            live = _live(events)
            if live != expected:
                raise LockedError(live_changed(name, live, expected))
            release = self._release(name, event["version"])
            if release is None or event["version"] in without_bundle(events) or not self._is_there(release):
                raise no_bundle(name, event["version"])
            if self._append(name, len(events), event):
                return
        raise self._busy(name)

    def remove(self, name: str, version: str) -> None:
        for _ in range(_ATTEMPTS):
            events = self._events(name)
            if _live(events) == version:
                raise ReleaseError(f"{name} {version} is live; its bundle is not deleted.")
            if version in without_bundle(events) or self._append(name, len(events), bundle_event("removed", version)):
                self._store.remove(_bundle_at(self._required(name, version)))
                return
        raise self._busy(name)

    def where(self, release: Release) -> str:
        return str(self._url.child(_bundle_at(release)))

    def fetch(self, release: Release, folder: Path) -> Path:
        target = folder / f"{release['name']}-{release['version']}-{release['sha256'][:16]}.zip"
        if not self._is_there(release):
            raise no_bundle(release["name"], release["version"])
        self._store.download(_bundle_at(release), target, lambda path: self._compare(release, path))
        return target

    def _compare(self, release: Release, path: Path) -> None:
        if listed(path).sha256 != release["sha256"]:
            raise DamagedFileError(
                self.where(release),
                f"its bytes don't have the SHA-256 {release['sha256'][:12]}… of the release. Deploy the same bundle "
                "under the same version again, which replaces the object, or roll back to another release",
            )

    def _check(self) -> bool:
        """Whether the registry was made. Refuses a place that is something else."""
        content = self._store.read(MARK, limit=_LIMIT)
        if content is None:
            return False
        mark = decode_object(content, _Mark, where=str(self._url.child(MARK)))
        if mark["layout"] != LAYOUT or mark["format"] != FORMAT:
            raise DamagedFileError(
                str(self._url.child(MARK)),
                f"its layout is {quoted(mark['layout'])} in format {mark['format']}, this DAF reads {LAYOUT} in format "
                f"{FORMAT}; update DAF, or name another registry",
            )
        return True

    def _make(self) -> None:
        if self._check():
            return
        others = [name for name in self._store.listing() if not name.startswith(".")]
        if others:
            raise UsageError(
                f"{self.place} is not a registry: it has other objects ({others[0]}) and no {MARK}. Name an empty "
                "place with --registry."
            )
        self._store.create(MARK, canonical_json({"format": FORMAT, "layout": LAYOUT}))
        self._check()

    def _upload(self, release: Release, bundle: Path) -> None:
        if bundle.stat().st_size > BUNDLE_LIMIT or listed(bundle).sha256 != release["sha256"]:
            raise StorageError(f"{bundle} changed before it was copied into the registry. Run the command again.")
        self._store.upload(_bundle_at(release), bundle)
        if not self._is_there(release):
            raise StorageError(f"{self.where(release)} does not have all bytes of {bundle}. Run the command again.")

    def _is_there(self, release: Release) -> bool:
        folder, _, file = _bundle_at(release).rpartition("/")
        found = self._store.listing(folder).get(f"{folder}/{file}")
        return found is not None and found.size == release["bytes"]

    def _is_whole(self, release: Release) -> bool:
        return self._is_there(release) and content_of(self._store, _bundle_at(release)).sha256 == release["sha256"]

    def _versions(self, name: str) -> list[str]:
        folder = f"{require_name(name)}/versions"
        parts = [found.split("/") for found in self._store.listing(folder) if found.endswith(f"/{_RELEASE}")]
        return [part[2] for part in parts if len(part) == 4 and is_version(part[2])]

    def _release(self, name: str, version: str) -> Release | None:
        at = _release_at(name, version)
        content = self._store.read(at, limit=_LIMIT)
        if content is None:
            return None
        found = decode_object(content, Release, where=str(self._url.child(at)))
        if (found["name"], found["version"]) != (name, version):
            raise DamagedFileError(
                str(self._url.child(at)), f"it describes {quoted(found['name'])} {quoted(found['version'])}"
            )
        return found

    def _required(self, name: str, version: str) -> Release:
        found = self._release(name, version)
        if found is None:
            raise DamagedFileError(str(self._url.child(_release_at(name, version))), "it is missing")
        return found

    def _events(self, name: str) -> list[Event]:
        """All events in order."""
        folder = f"{require_name(name)}/events"
        numbers = sorted(found for found in self._store.listing(folder) if found.endswith(".json"))
        if numbers != [_event_at(name, number) for number in range(len(numbers))]:
            raise DamagedFileError(str(self._url.child(folder)), "events are missing, so the live release is unknown")
        events = []
        for at in numbers:
            content = self._store.read(at, limit=_LIMIT)
            if content is None:
                raise DamagedFileError(str(self._url.child(at)), "it was deleted")
            events.append(decode_object(content, Event, where=str(self._url.child(at))))
        return events

    def _append(self, name: str, number: int, event: Event) -> bool:
        """Create the event with this place in the order; False if another writer has created one there."""
        return self._store.create(_event_at(name, number), canonical_json(event))

    def _busy(self, name: str) -> LockedError:
        return LockedError(
            f"other processes keep changing the releases of {name} in {self.place}. Run the command again later."
        )


def _live(events: list[Event]) -> str | None:
    return next((event["version"] for event in reversed(events) if "number" in event), None)


def _release_at(name: str, version: str) -> str:
    return f"{require_name(name)}/versions/{version}/{_RELEASE}"


def _bundle_at(release: Release) -> str:
    return f"{require_name(release['name'])}/versions/{release['version']}/{release['sha256']}.zip"


def _event_at(name: str, number: int) -> str:
    return f"{require_name(name)}/events/{number + 1:010d}.json"
