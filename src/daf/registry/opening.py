"""Which registry and which release a command means.

The registry is the one that is named, else `DAF_REGISTRY`, else `releases/` in the output directory. A release is
written NAME@VERSION; without @VERSION it is the live one, and without NAME the registry must hold one policy only.
"""

import os
from pathlib import Path

from daf.errors import ReleaseError, quoted, unknown
from daf.registry.folder import FolderRegistry
from daf.registry.http import TOKEN_VARIABLE, HttpRegistry
from daf.registry.interface import Registry, Release
from daf.registry.objects import ObjectRegistry
from daf.registry.versions import is_version, parse
from daf.storage import remote

VARIABLE = "DAF_REGISTRY"
FOLDER = "releases"


def open_registry(place: str | Path | None, *, base_dir: str | Path, token: str | None = None) -> Registry:
    """The registry at `place`: a directory, the URL of an endpoint (https://…) or of objects (s3://bucket/releases).

    token: for an endpoint; default: `DAF_REGISTRY_TOKEN`. Nothing is made there or requested yet. Raises `UsageError`.
    """
    where = str(place) if place is not None else os.environ.get(VARIABLE)
    if not where:
        where = str(remote.below(base_dir, FOLDER))
    if where.partition("://")[0] in ("http", "https"):
        return HttpRegistry(where, token=token or os.environ.get(TOKEN_VARIABLE) or None)
    path = remote.local(place if isinstance(place, Path) else where)
    there = remote.mirror_of(path)
    return FolderRegistry(path) if there is None else ObjectRegistry(there.url)


def only_name(registry: Registry) -> str:
    """The one policy in the registry. Raises `ReleaseError` if there are none or several."""
    names = registry.names()
    if not names:
        raise _empty(registry)
    if len(names) > 1:
        raise ReleaseError(
            f"{registry.place} has releases of several policies: {', '.join(names[:12])}. Write NAME@VERSION, or NAME "
            "for the live release."
        )
    return names[0]


def selected(registry: Registry, text: str | None) -> tuple[str, str | None]:
    """The policy and version that `text` names: "walker@1.2.0", "1.2.0", "walker", or None. Raises `ReleaseError`."""
    if text is None:
        return only_name(registry), None
    name, at, version = text.partition("@")
    if not at and is_version(text):
        return only_name(registry), text
    if at and (not name or not version):
        raise ReleaseError(f"{quoted(text)} does not name a release. Write NAME@VERSION, such as walker@1.2.0.")
    names = registry.names()
    if not names:
        raise _empty(registry)
    if name not in names:
        raise ReleaseError(unknown("released policy", name, names))
    return name, str(parse(version)) if at else None


def find_release(registry: Registry, text: str | None) -> Release:
    """The release that `text` names, as in `selected`; without a version the live one. Raises `ReleaseError`."""
    name, version = selected(registry, text)
    policy = registry.policy(name)
    if version is not None:
        return policy.find(version).release
    live = policy.live_release
    if live is None:
        raise ReleaseError(f"no release of {name} is live in {registry.place}. `daf deploy` makes one live.")
    return live


def _empty(registry: Registry) -> ReleaseError:
    return ReleaseError(f"there are no releases in {registry.place}. `daf deploy BUNDLE` makes one.")
