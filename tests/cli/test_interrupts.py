"""A Ctrl-C within an import is neither swallowed nor turned into another error."""

import subprocess
import sys
from pathlib import Path

import pytest

from daf.cli.show import EpisodeProgress
from daf.errors import Interrupted

PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from daf.cli._interrupts import watched
with watched():
    try:
        import swallowing
        for _ in range(10_000_000):
            pass
        print("never interrupted")
    except KeyboardInterrupt:
        print("interrupted", swallowing.WHOLE)
"""
SWALLOWING = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
    import json.tool
except BaseException as error:
    raise ImportError("something else") from None
WHOLE = True
"""
HANGING = """
import signal, time
signal.raise_signal(signal.SIGINT)
try:
    while True:
        time.sleep(0.01)
        {press}
except KeyboardInterrupt:
    pass
WHOLE = "no"
raise KeyboardInterrupt
"""


def outcome(folder: Path, module: str) -> str:
    (folder / "swallowing.py").write_text(module)
    program = PROGRAM.format(folder=str(folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_an_import_that_would_swallow_a_ctrl_c_ends_first(tmp_path: Path) -> None:
    assert outcome(tmp_path, SWALLOWING) == "interrupted True\n"


@pytest.mark.parametrize("press", ["signal.raise_signal(signal.SIGINT)", "pass"])
def test_an_import_that_hangs_is_ended_by_a_second_ctrl_c_or_after_seconds(press: str, tmp_path: Path) -> None:
    assert "name 'swallowing' is not defined" in outcome(tmp_path, HANGING.format(press=press))


def test_every_command_that_plays_names_the_command_that_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["daf", "metrics", "-m", "a b"])

    def interrupted(finished: int) -> None:
        with EpisodeProgress(quiet=True) as progress:
            progress.total, progress.finished = 2, finished
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped after 1 of 2 episodes.*: daf metrics -m 'a b'$"):
        interrupted(1)
    with pytest.raises(Interrupted, match=r"before the first episode ended.*: daf metrics -m 'a b'$"):
        interrupted(0)


def test_an_error_that_replaces_a_ctrl_c_is_no_traceback(tmp_path: Path) -> None:
    """As pydantic's serializer does: its error names no cause."""
    program = """
import importlib, signal, sys
cli = importlib.import_module("daf.cli.main")
sys.argv = ["daf", "doctor"]
def stopped(*_, **__):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        error = TypeError("cannot serialize")
    raise error
cli._app = lambda: type("App", (), {"main": stopped})()
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "Interrupted: stopped. The same command resumes the work.\n")
