"""A disk that fails at any moment ends a command with a sentence, or costs it what it can do without."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALLEST

FAILING = """
import errno, os, sys
from pathlib import Path
wanted, number, persistent = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "persistent"
only = os.environ["FAILS"]
seen = 0
def fail(event, args):
    global seen
    path = str(args[0]) if event == "open" else ""
    if path.startswith(os.environ["DAF_OUTPUT_DIR"]) and only in path:
        seen += 1
        if seen == wanted or (persistent and seen > wanted):
            raise OSError(number, os.strerror(number), path)
sys.argv = ["daf", *sys.argv[4:]]
from daf.cli import main
sys.addaudithook(fail)
try:
    main()
finally:
    os.write(2, f"\\nopened {seen}\\n".encode())
"""
"""`daf` on a disk where opening fails from the n-th time on, or only then."""

PLAY = ("evaluate", "-p", "noop", "-m", SMALLEST, "-e", "1", "--executor", "serial")
NUMBERS = (errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EIO, errno.EROFS)
EACH = [NUMBERS[0], *(pytest.param(number, marks=pytest.mark.thorough) for number in NUMBERS[1:])]


def play(folder: Path, wanted: int, number: int, how: str, only: str = "") -> tuple[int, str, int]:
    """Exit code, what was said, and how often something was opened. only: what the paths that fail contain."""
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(wanted), str(number), how, *PLAY],
        capture_output=True, text=True, check=False, timeout=240, cwd=folder,
        env=os.environ
        | {"DAF_OUTPUT_DIR": str(folder / "out"), "DAF_MONITOR_SYSTEM_STATS": "true", "FAILS": only},
    )  # fmt: skip
    said, _, opened = done.stderr.rpartition("\nopened ")
    return done.returncode, said, int(opened)


def check(folder: Path, wanted: int, number: int, how: str) -> None:
    code, said, _ = play(folder, wanted, number, how)
    assert "Traceback" not in said, (wanted, errno.errorcode[number], how, said)
    assert code in (0, 1, 2), said
    if code:
        last = said.strip().splitlines()[-1]
        assert last.startswith(("StorageError: ", "EpisodeError: ", "UsageError: ")), said
        for log in folder.glob("out/evaluations/*/execution_log.json"):
            status = json.loads(log.read_text())["status"]
            assert status in ("failed", "running") or (log.parent / "results.json").is_file(), (wanted, status, said)


@pytest.mark.parametrize("number", EACH, ids=lambda number: errno.errorcode[number])
def test_a_disk_that_begins_to_fail_is_a_sentence(number: int, tmp_path: Path) -> None:
    place = 3 + 5 * NUMBERS.index(number)
    check(tmp_path, place, number, "persistent")


@pytest.mark.parametrize("number", EACH, ids=lambda number: errno.errorcode[number])
def test_a_log_that_cannot_be_opened_costs_the_log_only(number: int, tmp_path: Path) -> None:
    code, said, opened = play(tmp_path, 1, number, "persistent", only="/logs/")
    assert (code, opened) == (0, 1), said
    assert "RuntimeWarning: logging stops: " in said
    assert "Traceback" not in said
    (log,) = tmp_path.glob("out/evaluations/*/execution_log.json")
    assert json.loads(log.read_text())["status"] == "completed"


def test_statistics_that_cannot_be_written_cost_the_statistics_only(tmp_path: Path) -> None:
    code, said, opened = play(tmp_path, 2, errno.EROFS, "persistent", only="system.jsonl")
    assert (code, opened) == (0, 2), said
    assert "Traceback" not in said
    (log,) = tmp_path.glob("out/evaluations/*/logs/evaluations.jsonl")
    assert "system statistics stopped: no permission while appending to" in log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["once", "persistent"])
def test_a_disk_that_fails_at_any_place_is_a_sentence(how: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    code, said, opened = play(tmp_path / "whole", 0, errno.EIO, "once")
    assert code == 0, said
    assert opened > 20
    for place in range(1, opened + 1):
        folder = tmp_path / str(place)
        folder.mkdir()
        check(folder, place, NUMBERS[place % len(NUMBERS)], how)
