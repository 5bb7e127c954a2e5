"""Every command's help ends its description with examples, and every example is one that the command line accepts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import _click as click
from typer.core import TyperGroup

from daf.cli.main import COMMANDS, _app
from tests.docs.test_documented_commands import lines, parse


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command, or the commands of a group, with their full names."""
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    for inner in command.list_commands(click.Context(command)):
        found = command.get_command(click.Context(command), inner)
        if found is not None and not found.hidden:
            yield from leaves(f"{name} {inner}", found)


def examples(command: click.Command) -> list[str]:
    """The example commands in a command's help."""
    return [re.split(r"\s{2,}#", line.strip())[0] for line in (command.help or "").splitlines() if "daf " in line[:12]]


FOUND = [leaf for name in COMMANDS for leaf in leaves(f"daf {name}", _app().get_command(click.Context(_app()), name))]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "command"), FOUND, ids=[name for name, _ in FOUND])
def test_the_help_has_an_example_of_the_command_and_all_its_examples_parse(name: str, command: click.Command) -> None:
    shown = [line for example in examples(command) for line in lines(example)]
    assert any(line == name or line.startswith(f"{name} ") for line in shown), f"{name}: no example in {command.help}"
    for line in shown:
        parse(line)


def test_the_shell_completes_commands_and_options(tmp_path: Path) -> None:
    def completed(words: str, place: int) -> list[str]:
        environment = {"_DAF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        command = [sys.executable, "-m", "daf"]
        run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
        return run.stdout.split()

    assert completed("daf swe", 1) == ["sweep"]
    assert completed("daf evaluate --episode-", 2) == ["--episode-timeout"]


def test_completion_is_installed_for_the_shell(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "daf", "--install-completion", "bash"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "complete_bash" in (tmp_path / ".bash_completions" / "daf.sh").read_text()
    assert "daf.sh" in (tmp_path / ".bashrc").read_text()
