"""Help pages: whole sentences in the list of commands, and no line that breaks inside a word.

Importing this module replaces the text wrapper of typer's help pages, which has no option for it and would break long
option names and examples at hyphens.
"""

import textwrap
from typing import Any

from typer import _click as click
from typer._click import _textwrap
from typer.core import TyperGroup

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class WholeWords(_textwrap.TextWrapper):
    """Lets a word that is longer than the line stick out."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **(settings | {"break_on_hyphens": False, "break_long_words": False}))

    _handle_long_word = textwrap.TextWrapper._handle_long_word  # which heeds the settings


_textwrap.TextWrapper = WholeWords  # type: ignore[misc]


class CommandGroup(TyperGroup):
    """A group whose help lists its commands with the whole first sentence of each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, first_sentence(command.help or "")))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    head, dot, _ = paragraph.partition(". ")
    return head + dot.strip()
