"""The promised names out of contract.yaml, one case per promise."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CONTRACT: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "contract.yaml").read_text(encoding="utf-8"))
REQUIRED = object()
"""Stands for "no default is promised"."""


@dataclass(frozen=True)
class Promised:
    """A name of a module, or a method of a class: `path` below its module."""

    module: str
    path: str
    spec: dict[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Promised argument names with their defaults; `REQUIRED` where none is promised."""
        return parsed(self.spec.get("arguments") or "")


def parsed(arguments: str) -> dict[str, Any]:
    """`"a, b=5, **c"` as `{"a": REQUIRED, "b": 5, "**c": REQUIRED}`."""
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in arguments.split(","))):
        name, equals, default = part.partition("=")
        found[name] = ast.literal_eval(default) if equals else REQUIRED
    return found


def names() -> list[Any]:
    """A case for every promised name of every module."""
    cases = []
    for module, entries in CONTRACT["modules"].items():
        for name, entry in entries.items():
            spec = {"arguments": entry} if isinstance(entry, str) else entry
            case = Promised(module, name, spec)
            cases.append(pytest.param(case, id=f"{module}.{name}"))
    return cases


def methods() -> list[Any]:
    """A case for every promised method of every class."""
    cases = []
    for module, entries in CONTRACT["modules"].items():
        for name, entry in entries.items():
            for method, arguments in (entry.get("methods", {}) if isinstance(entry, dict) else {}).items():
                case = Promised(module, f"{name}.{method}", {"arguments": arguments})
                cases.append(pytest.param(case, id=f"{module}.{case.path}"))
    return cases


def operations() -> list[Any]:
    """A case for every operation: the functions named daf_…, apart from loading a file."""
    return [
        pytest.param(Promised(module, name, {}), id=f"{module}.{name}")
        for module, entries in CONTRACT["modules"].items()
        for name in entries
        if name.startswith("daf_") and name != "daf_load_config"
    ]


def commands() -> list[Any]:
    """A case for every command: its words and the kind that decides its common options."""
    cases = []
    for group, entry in CONTRACT["commands"].items():
        found = {group: entry} if isinstance(entry, str) else {f"{group} {name}": kind for name, kind in entry.items()}
        cases += [pytest.param(tuple(words.split()), kind, id=words) for words, kind in found.items()]
    return cases


def playing_commands() -> list[Any]:
    """A case for every command that plays or trains in a run directory; "without --name" has none."""
    return [
        pytest.param(case.values[0], id=case.id)
        for case in commands()
        if str(case.values[1]).startswith(("play", "train")) and "--name" not in str(case.values[1]).split()
    ]


def common_options(kind: str | None) -> list[str]:
    """The common options of a kind of command; "play without --seed" is the kind play, less one option."""
    name, _, without = (kind or "report").partition(" without ")
    return [option for option in CONTRACT["common_options"][name] if option not in without.split()]
