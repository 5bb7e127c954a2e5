"""Every `daf` command of the documentation is one that the command line accepts."""

import re
import shlex

import pytest
from typer import _click as click
from typer.core import TyperGroup

from daf.cli.main import _app
from tests.docs.documented import PAGES, blocks

COMMAND = re.compile(r"`(daf [^`]+)`")
"""A command in running text or in a table."""


SHELL = ("<", ">", "|", "&&", ";")
"""Words that end a command, because the rest of the line is for the shell."""


def lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if line.startswith("daf ")]


SHOWN = [(block.place, line) for block in blocks("bash") for line in lines(block.text)]
MENTIONED = [
    (f"{page.name}:{number}", command)
    for page in PAGES
    for number, line in enumerate(page.read_text().splitlines(), 1)
    for command in COMMAND.findall(line)
]
"""Commands between single backticks. Those with `…` or alternatives (`a|b`) are abbreviated."""


def parse(line: str) -> None:
    """Parse the arguments of `line` as `daf` does, without running the command. Raises click's `UsageError`."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: next((place for place, word in enumerate(words) if word in SHELL), len(words))]
    name = "daf"
    command: click.Command = _app()
    context = None
    while isinstance(command, TyperGroup) and words:
        context = click.Context(command, parent=context, info_name=name)
        found, inner, words = command.resolve_command(context, words)
        assert inner is not None
        name, command = str(found), inner
    command.make_context(name, words, parent=context)


@pytest.mark.parametrize("line", [line for _, line in SHOWN], ids=[place for place, _ in SHOWN])
def test_a_documented_command_parses(line: str) -> None:
    parse(line)


def test_commands_in_running_text_parse_apart_from_omitted_arguments() -> None:
    wrong = []
    for place, line in MENTIONED:
        if "…" in line or "|" in line or line.startswith("daf --"):  # options of `daf` itself act while they are parsed
            continue
        try:
            parse(line)
        except (click.exceptions.MissingParameter, click.exceptions.NoArgsIsHelpError):
            continue
        except click.exceptions.UsageError as error:
            wrong.append(f"{place}: {line}: {error.format_message()}")
    assert not wrong, "\n".join(wrong)


def test_the_commands_are_found() -> None:
    assert len(SHOWN) >= 40
    assert len(MENTIONED) >= 60


def test_an_unknown_option_is_found() -> None:
    with pytest.raises(click.exceptions.UsageError, match="--no-such-option"):
        parse("daf evaluate -p starter --no-such-option")
