"""Ctrl-C at any moment ends a command without a traceback, and with all of its processes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from .programs import PROGRAMS, said, start

UGLY = ("Traceback", "leaked", "Exception ignored", "Error in ", "KeyboardInterrupt")


def interrupt(name: str, moment: float, folder: Path, *, presses: int = 1) -> None:
    """Start the command, wait `moment` seconds, and press Ctrl-C as a terminal does: for the whole process group."""
    process = start(PROGRAMS[name], folder)
    time.sleep(moment)
    below = psutil.Process(process.pid).children(recursive=True)
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2 * (presses - 1))
        below += psutil.Process(process.pid).children(recursive=True)
    try:
        process.wait(timeout=90)
    except subprocess.TimeoutExpired:
        process.kill()  # its workers end with it
        raise
    text = said(folder)
    assert not [word for word in UGLY if word in text], text
    assert process.returncode in (130, -signal.SIGINT), text
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive, [worker.cmdline()[:4] for worker in alive]


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=pytest.mark.thorough) for moment in (0.0, 0.2, 0.6, 2.0)] + [1.2]
)
def test_ctrl_c_while_an_evaluation_starts_is_a_sentence(moment: float, tmp_path: Path) -> None:
    interrupt("evaluate", moment, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["train", "sweep", "logs"])
def test_ctrl_c_while_workers_start_is_a_sentence(name: str, tmp_path: Path) -> None:
    interrupt(name, 1.0, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_ctrl_c_at_twenty_moments_is_a_sentence(name: str, presses: int, tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        interrupt(name, 0.15 * number, folder, presses=presses)
