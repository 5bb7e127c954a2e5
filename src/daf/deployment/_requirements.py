"""Installed packages that a policy's code needs, with their versions.

CoGames runs a bundle where cogames, mettagrid and what these depend on are installed. `missing_there` names the
requirements beyond that.
"""

import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
GAME = ("cogames", "mettagrid")


@dataclass(frozen=True, slots=True)
class Requirements:
    """pinned: "name==version", sorted. not_installed: imported packages that are not installed here."""

    pinned: tuple[str, ...]
    not_installed: tuple[str, ...]

    def missing_there(self) -> list[str]:
        """The pinned ones that CoGames does not bring."""
        brought = _closure(GAME)
        return [one for one in self.pinned if _normal(one.partition("==")[0]) not in brought]


def requirements_of(packages: Iterable[str]) -> Requirements:
    """The distributions that provide the imported top-level `packages`, and those of the game."""
    providers = importlib.metadata.packages_distributions()
    wanted, unknown = set(GAME), []
    for package in sorted(set(packages)):
        name = providers.get(package, [package])[0]  # editable installs have no list of their packages
        if _is_distribution(name):
            wanted.add(_normal(name))
        else:
            unknown.append(package)
    pinned = sorted(f"{name}=={importlib.metadata.version(name)}" for name in wanted)
    return Requirements(tuple(pinned), tuple(unknown))


def _is_distribution(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _closure(names: Iterable[str]) -> set[str]:
    """The distributions that `names` need, with them; those of extras left out."""
    found: set[str] = set()
    waiting = [_normal(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in needed:
            named = _NAME.match(line)
            if named is not None and "extra ==" not in line:
                waiting.append(_normal(named[0]))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
