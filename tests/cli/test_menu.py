"""`daf menu` turns a choice into an ordinary command."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from daf.cli.main import COMMANDS
from daf.cli.menu import ENTRIES
from tests.conftest import DafCall
from tests.docs.test_documented_commands import parse


def test_without_a_terminal_the_list_is_printed_and_the_exit_code_is_2(daf_call: DafCall) -> None:
    called = daf_call("menu")
    assert called.returncode == 2
    assert "1  Quick start" in called.stdout
    assert "no terminal" in called.stderr
    rows = json.loads(daf_call("menu", "--json").stdout)["entries"]
    assert ["daf", "compare"] in [row["command"] for row in rows]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title)
def test_every_entry_becomes_a_command_that_parses(entry) -> None:
    if entry.command[0] not in COMMANDS:
        pytest.skip(f"there is no daf {entry.command[0]}, and the menu leaves it out")
    parse(f"daf {' '.join(entry.words([question.default for question in entry.questions]))}")


def test_a_choice_in_a_terminal_runs_its_command(tmp_path: Path) -> None:
    shown = [entry.title for entry in ENTRIES if entry.command[0] in COMMANDS]
    number = shown.index("List the runs") + 1
    outer, inner = pty.openpty()
    environment = os.environ | {"DAF_OUTPUT_DIR": str(tmp_path), "TERM": "dumb"}
    command = [sys.executable, "-m", "daf", "menu"]
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    said = b""
    answered = 0
    while select.select([outer], [], [], 120)[0]:
        try:
            said += os.read(outer, 4096)
        except OSError:  # the other end is closed
            break
        if said.count(b"q to leave") > answered:
            os.write(outer, [b"99\n", f"{number}\n".encode()][answered])
            answered += 1
    assert process.wait(60) == 0
    text = said.decode()
    assert f"Choose a number from 1 to {len(shown)}." in text
    assert "\ndaf runs" in text.replace("\r", "")
    assert "No runs yet" in text
    os.close(outer)
