"""Every test that docs/guarantees.md names exists, and every guarantee names one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| guarantee")]


def functions_of(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_that_holds_a_guarantee_exists(file: str, name: str) -> None:
    assert name in functions_of(ROOT / file), f"{file} has no {name}"


def test_every_guarantee_names_the_test_that_holds_it() -> None:
    assert len(ROWS) >= 30
    assert [row for row in ROWS if not re.search(r"`tests/[\w/]+\.py::test_\w+` \|$", row)] == []
