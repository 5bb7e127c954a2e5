"""Importing the game leaves the application's logging alone."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("first", ["import mettagrid", "from daf.game import missions; missions.resolve('arena')"])
def test_the_root_logger_is_kept_whoever_imports_the_game(first: str) -> None:
    lines = ("import logging", "import daf.game", first, "import mettagrid", "root = logging.root")
    program = "\n".join([*lines, "print(root.handlers, root.level)"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[] 30\n"
