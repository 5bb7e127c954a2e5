"""Every dotted name below `daf` in README and docs exists."""

import importlib
import re
import tomllib
from importlib.util import find_spec

from daf.mission_analysis.failure_signs import MODES
from tests.docs.documented import PAGES, ROOT

NAME = re.compile(r"\bdaf(?:\.[A-Za-z_]\w*)+")


def exists(name: str) -> bool:
    """Whether `name` is a module, or a name inside one."""
    module, _, last = name.rpartition(".")
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:  # its parent is not a package
        pass
    return find_spec(module) is not None and hasattr(importlib.import_module(module), last)


def test_documented_names_exist() -> None:
    missing = [
        f"{page.name}:{number}: {name}"
        for page in PAGES
        for number, line in enumerate(page.read_text().splitlines(), 1)
        for name in NAME.findall(line)
        if not exists(name.removesuffix(".md"))  # a link to a page of the reference
    ]
    assert not missing, "\n".join(missing)


def test_a_name_that_does_not_exist_is_found() -> None:
    assert exists("daf.core._ppo")
    assert exists("daf.comparison.daf_compare_policies")
    assert not exists("daf.core.no_such_module")


def test_every_failure_mode_is_documented() -> None:
    page = " ".join((ROOT / "docs" / "analysis.md").read_text().split())
    assert [mode.title for mode in MODES if mode.title not in page] == []


def test_the_architecture_names_every_layer() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = [set(re.findall(r"daf\.\w+", layer)) for layer in layers]
    operations = max(named, key=len)
    assert [name for names in named if names is not operations for name in names if f"`{name}`" not in page] == []
    assert any(f"`{name}`" in page for name in operations)
