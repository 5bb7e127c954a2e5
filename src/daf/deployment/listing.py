"""The releases of a registry as plain data, for `daf releases` and `--json`."""

from typing import Any, TypedDict

from daf.registry import Event, PolicyReleases, Registry


class ListedRelease(TypedDict):
    """A release. live: it is the live one. kept: its bundle was not deleted. bundle: path or URL."""

    name: str
    version: str
    live: bool
    kept: bool
    added_at: str
    sha256: str
    bytes: int
    rollback: bool
    bundle: str
    facts: dict[str, Any]


def listed(registry: Registry, policy: PolicyReleases) -> list[ListedRelease]:
    """The releases of a policy, the newest version first."""
    found: list[ListedRelease] = []
    for stored in policy.releases:
        release = stored.release
        found.append(
            {
                "name": release["name"],
                "version": release["version"],
                "live": release["version"] == policy.live,
                "kept": stored.kept,
                "added_at": release["added_at"],
                "sha256": release["sha256"],
                "bytes": release["bytes"],
                "rollback": release["rollback"],
                "bundle": registry.where(release),
                "facts": release["facts"],
            }
        )
    return found


def all_listed(registry: Registry) -> list[ListedRelease]:
    """The releases of all policies in the registry."""
    return [row for name in registry.names() for row in listed(registry, registry.policy(name))]


def events_of(policy: PolicyReleases, version: str) -> list[Event]:
    """What happened to a release, in order."""
    return [event for event in policy.events if version in (event["version"], event.get("previous"))]
