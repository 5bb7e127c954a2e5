"""Registries: bundles as releases under semantic versions, of which one is live."""

from daf.registry.folder import FolderRegistry
from daf.registry.http import HttpRegistry
from daf.registry.interface import Event, PolicyReleases, Registry, Release, Stored, now, other_bytes, require_name
from daf.registry.objects import ObjectRegistry
from daf.registry.opening import find_release, only_name, open_registry, selected
from daf.registry.pruning import prune
from daf.registry.versions import FIRST, Version, is_version, parse

__all__ = [
    "FIRST",
    "Event",
    "FolderRegistry",
    "HttpRegistry",
    "ObjectRegistry",
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
    "other_bytes",
    "parse",
    "prune",
    "require_name",
    "selected",
]
