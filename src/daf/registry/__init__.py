"""Registries: bundles as releases under semantic versions, of which one is live."""

from daf.registry.folder import FolderRegistry
from daf.registry.interface import Event, PolicyReleases, Registry, Release, Stored, now, require_name
from daf.registry.opening import find_release, only_name, open_registry, selected
from daf.registry.versions import FIRST, Version, is_version, parse

__all__ = [
    "FIRST",
    "Event",
    "FolderRegistry",
    "PolicyReleases",
    "Registry",
    "Release",
    "Stored",
    "Version",
    "find_release",
    "is_version",
    "now",
    "only_name",
    "open_registry",
    "parse",
    "require_name",
    "selected",
]
