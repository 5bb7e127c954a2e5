"""Registries of releases: what a folder and an HTTP endpoint have in common.

A *release* is a bundle under a policy's name and a semantic version. It never changes: adding the same bytes again has
no effect, other bytes under its version are refused. Of each policy at most one release is *live*. `switch` changes
which one, as one step: after a crash at any point the old or the new release is live, and its bundle is whole.

`switch` takes the release that the caller believes to be live, and fails if another one is: two deployments at the
same time can't both succeed on a comparison with the same release.

Not guaranteed: who made a release. Hashes detect damage and mistakes.
"""

import getpass
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from daf.errors import DamagedFileError, ReleaseError, quoted, unknown
from daf.registry import versions

BUNDLE_LIMIT = 8 * 2**30
"""Bytes, the most that a bundle may hold."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Release(TypedDict):
    """A release as it is stored. sha256: of the bundle, all 64 hex digits. added_at: ISO 8601, UTC.

    rollback: whether `daf rollback` may leave this release. facts: what the deployment recorded: versions, validation,
    gate.
    """

    name: str
    version: str
    sha256: str
    bytes: int
    added_at: str
    rollback: bool
    facts: dict[str, Any]


class Event(TypedDict):
    """A line of a policy's journal: which release became live, or whose bundle was deleted or stored again.

    number: counts the changes of the live release from 1; absent in other events. previous: the release that was live
    before. by: user and host.
    """

    event: Literal["released", "rolled back", "removed", "restored"]
    version: str
    at: str
    by: str
    number: NotRequired[int]
    previous: NotRequired[str | None]


@dataclass(frozen=True)
class Stored:
    """A release in a registry. kept: its bundle was not deleted."""

    release: Release
    kept: bool


@dataclass(frozen=True)
class PolicyReleases:
    """All releases of a policy, the newest version first, and its journal.

    live: the version that is live, if any. place: the registry's.
    """

    place: str
    name: str
    live: str | None
    releases: tuple[Stored, ...]
    events: tuple[Event, ...]

    def find(self, version: str) -> Stored:
        """The release with this version. Raises `ReleaseError`."""
        for stored in self.releases:
            if stored.release["version"] == version:
                return stored
        raise ReleaseError(unknown(f"release of {self.name} with version", version, self.versions()))

    def versions(self) -> list[str]:
        """All versions, the newest first, also those whose bundles were deleted."""
        return [stored.release["version"] for stored in self.releases]

    @property
    def live_release(self) -> Release | None:
        """The live release. Raises `DamagedFileError` if its files are missing."""
        if self.live is None:
            return None
        if all(stored.release["version"] != self.live for stored in self.releases):
            raise DamagedFileError(
                self.place,
                f"{self.name} {self.live} is live and its files are missing. Roll back to another release, or deploy "
                "the same bundle under that version again",
            )
        return self.find(self.live).release

    def before_live(self) -> str | None:
        """The version that was live when the live one was released last; None if there was none."""
        for event in reversed(self.events):
            if event["event"] == "released" and event["version"] == self.live:
                return event.get("previous")
        return None

    def next_event(self, kind: Literal["released", "rolled back"], version: str) -> Event:
        """The event that makes `version` live next."""
        number = max((event.get("number", 0) for event in self.events), default=0) + 1
        event = _event(kind, version)
        event["number"], event["previous"] = number, self.live
        return event


class Registry(ABC):
    """Releases by policy. place: the directory or URL, as messages show it."""

    place: str

    @abstractmethod
    def names(self) -> list[str]:
        """The policies that have releases, sorted.

        Raises `ServerError`, `AuthenticationError`, `DataError`, `StorageError`.
        """

    @abstractmethod
    def policy(self, name: str) -> PolicyReleases:
        """The releases of a policy; without any if nothing is released under the name. Raises as `names`."""

    @abstractmethod
    def add(self, release: Release, bundle: Path) -> bool:
        """Store a release that is not live yet; False if it was there with the same bytes.

        A bundle that was deleted, or is damaged, is stored again. Raises `ReleaseError` if the version exists with
        other bytes.
        """

    @abstractmethod
    def switch(self, name: str, event: Event, *, expected: str | None) -> None:
        """Make the event's version live. Switching twice with one event has no further effect.

        expected: the version that must be live now. Raises `LockedError` if another one is, `ReleaseError` if the
        version has no bundle.
        """

    @abstractmethod
    def remove(self, name: str, version: str) -> None:
        """Delete the bundle of a release that is not live. Its version stays taken. Raises `ReleaseError`."""

    @abstractmethod
    def where(self, release: Release) -> str:
        """The path or URL of a release's bundle, for people."""

    @abstractmethod
    def fetch(self, release: Release, folder: Path) -> Path:
        """The bundle of a release, verified; a remote registry's is downloaded to `folder`.

        Raises `ReleaseError` if it was deleted, `DamagedFileError` if its bytes are not those that were released.
        """


def now() -> str:
    """The time as releases record it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def bundle_event(kind: Literal["removed", "restored"], version: str) -> Event:
    """The event that a release's bundle was deleted or stored again."""
    return _event(kind, version)


def without_bundle(events: Sequence[Event]) -> set[str]:
    """The versions whose bundles were deleted."""
    gone: set[str] = set()
    for event in events:
        if event["event"] == "removed":
            gone.add(event["version"])
        elif event["event"] == "restored":
            gone.discard(event["version"])
    return gone


def require_name(name: str) -> str:
    """`name` if it can name a policy in a registry. Raises `ReleaseError`."""
    if _NAME.fullmatch(name) is None:
        raise ReleaseError(
            f"{quoted(name)} can't name a release: use up to 64 letters, digits or any of . _ - and start with a "
            "letter or digit."
        )
    return name


def newest_first(stored: Sequence[Stored]) -> tuple[Stored, ...]:
    """Releases in the order of their versions, the newest first."""
    return tuple(sorted(stored, key=lambda one: versions.parse(one.release["version"]), reverse=True))


def other_bytes(release: Release, there: Mapping[str, Any], taken: Iterable[str]) -> ReleaseError:
    """The refusal of a version that exists. taken: all versions of the policy."""
    free = max(versions.parse(version) for version in (*taken, release["version"])).next_patch()
    return ReleaseError(
        f"{release['name']} {release['version']} exists with other bytes (SHA-256 {there['sha256'][:12]}…, not "
        f"{release['sha256'][:12]}…). A release never changes: choose a version that is not taken, such as {free}."
    )


def no_bundle(name: str, version: str) -> ReleaseError:
    """The refusal to use a release whose bundle is not there."""
    return ReleaseError(
        f"the bundle of {name} {version} is not in the registry: it was deleted, as keep_previous_versions asks, or "
        "never stored. Deploy the same bundle under that version again to restore it."
    )


def live_changed(name: str, live: str | None, expected: str | None) -> str:
    """The message of the `LockedError` where another release is live than the caller expected."""
    return (
        f"{live or 'no release'} of {name} is live, not {expected or 'none'}: another deployment or rollback changed "
        "it in the meantime. Run the command again; it compares with the release that is live then."
    )


def _event(kind: Literal["released", "rolled back", "removed", "restored"], version: str) -> Event:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without an entry in the system's users
        user = "unknown"
    return {"event": kind, "version": version, "at": now(), "by": f"{user}@{socket.gethostname()}"}
