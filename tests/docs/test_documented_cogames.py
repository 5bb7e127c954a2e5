"""Every command and option of CoGames that docs/migrating.md compares with exists in the installed CoGames."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
COMMANDS = re.findall(r"`(cogames (?!play`)[^`]+)`", PAGE)
SECTION = re.compile(r"^## Options of (.*?)\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def cogames() -> Any:
    from daf.game import compat

    compat.install()
    from cogames.main import app

    return typer.main.get_command(app)


def found(command: Any, words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` lead to, and the words after it."""
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_cogames_exists_with_its_options(line: str, cogames: Any) -> None:
    command, rest = found(cogames, shlex.split(line)[1:])
    assert command is not cogames, f"cogames has no command {rest[0]}"
    if not hasattr(command, "commands"):
        given = {word for word in rest if word.startswith("-")}
        if command.name != "diagnose":  # it parses its own options
            assert given <= options(command)


def test_the_options_side_by_side_are_options_of_cogames(cogames: Any) -> None:
    sections = SECTION.findall(PAGE)
    assert len(sections) == 2
    for title, table in sections:
        lines = re.findall(r"`(cogames [^`]+)`", title)
        rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
        named = {word for row in rows for word in re.findall(r"`(--?[\w-]+)`", row)}
        assert len(named) >= 8
        for line in lines:
            command, _ = found(cogames, line.split()[1:])
            assert named <= options(command), f"{line}: {sorted(named - options(command))}"


def test_the_defaults_that_the_page_shows_are_those_of_cogames(cogames: Any) -> None:
    for line in ("cogames run", "cogames tutorial train"):
        command, _ = found(cogames, line.split()[1:])
        defaults = {name: p.default for p in command.params for name in p.opts}
        table = next(table for title, table in SECTION.findall(PAGE) if line in title)
        for name, shown in re.findall(r"^\| `(--[\w-]+)`(?:, `-\w`)? \(`?([\w./,]+)`?\)", table, re.MULTILINE):
            assert str(defaults[name]) == shown.replace(",", ""), f"{line} {name}"
