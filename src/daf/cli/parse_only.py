"""Parse command lines without running them: `python -m daf.cli.parse_only`.

Reads a JSON object of command lines by name on stdin, and prints a JSON object with the error of each that its command
would refuse. Used by pipelines, to check the options of all stages before the first one runs.
"""

import json
import sys

import typer
from typer import _click as click
from typer.core import TyperGroup

from daf.cli.main import _app


def error_of(argv: list[str]) -> str | None:
    """The sentence with which the command refuses `argv`; None if it takes it."""
    try:
        context = _app().make_context("daf", list(argv), resilient_parsing=False)
        _descend(context)
    except click.exceptions.ClickException as error:
        return error.format_message()
    except typer.Exit:
        return None
    return None


def _descend(context: click.Context) -> None:
    """Parse what follows a group's name with its command, down to the command that would run."""
    command = context.command
    rest = [*context._protected_args, *context.args]
    if not isinstance(command, TyperGroup) or not rest:
        return
    name, inner, remaining = command.resolve_command(context, rest)
    if inner is not None:
        _descend(inner.make_context(name, remaining, parent=context))


if __name__ == "__main__":
    lines = json.load(sys.stdin)
    print(json.dumps({name: error for name, argv in lines.items() if (error := error_of(argv)) is not None}))
