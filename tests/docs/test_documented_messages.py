"""Every message that docs/troubleshooting.md explains is one that DAF can print."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
VARIES = "…"
DOCUMENTED = re.findall(r"^#### `(.+)`$", PAGE.read_text(), re.MULTILINE)


def template(node: ast.expr) -> str | None:
    """The text of a string, with `…` for what is inserted; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else VARIES for part in node.values)
    return None


def nodes() -> list[ast.expr]:
    """All expressions of DAF's code but docstrings."""
    everything = [
        node for path in (ROOT / "src" / "daf").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
    ]
    alone = {id(node.value) for node in everything if isinstance(node, ast.Expr)}
    return [node for node in everything if isinstance(node, ast.expr) and id(node) not in alone]


NODES = nodes()
TEMPLATES = {text for node in NODES if (text := template(node)) is not None}
"""Every text of DAF's code."""
UNKNOWN = {
    template(node.args[0])
    for node in NODES
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "unknown" and node.args
}
"""What `daf.errors.unknown` reports: it makes `no KIND "NAME". Nearest: …` of it."""


def parts(text: str) -> list[str]:
    return [part for part in re.split(rf"\s*{VARIES}\s*", text) if re.search(r"\w", part)]


def exists(message: str) -> bool:
    """Whether one text of the code has the fixed parts of `message`, in order."""
    named = re.fullmatch(r'(?:\w+: )?no ([\w ]+) "…"\..*', message)
    if named is not None and named[1] in UNKNOWN:
        return True
    pattern = re.compile(".*".join(map(re.escape, parts(message))), re.DOTALL)
    return any(pattern.search(text) for text in TEMPLATES)


@pytest.mark.parametrize("message", DOCUMENTED)
def test_a_documented_message_exists(message: str) -> None:
    assert parts(message), "a message needs words that do not vary"
    assert exists(message), f"no text of src/daf is {message!r}"


def test_messages_are_found_and_others_are_not() -> None:
    assert len(DOCUMENTED) >= 35
    assert not exists("the moon is made of … cheese")
    assert not exists("a comparison needs at least three policies")
