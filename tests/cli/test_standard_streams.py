"""What becomes of a command's output does not decide what becomes of its run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import SMALLEST, DafCall

PLAY = (
    "evaluate",
    "-p",
    "noop",
    "-p",
    "random",
    "-m",
    SMALLEST,
    "-e",
    "2",
    "--executor",
    "serial",
    "--no-report",
    "--rerun",
)


def shell(folder: Path, command: str, arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """`command` in a shell, where "$@" is `daf` with `arguments`."""
    return subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "daf", *arguments],
        capture_output=True, text=True, errors="replace", cwd=folder, check=False, timeout=240,
        env=os.environ | {"DAF_OUTPUT_DIR": str(folder / "out")} | environment,
    )  # fmt: skip


def statuses(folder: Path) -> list[str]:
    return [json.loads(path.read_text())["status"] for path in folder.glob("out/*/*/execution_log.json")]


def test_a_reader_that_goes_away_ends_the_output_and_not_the_run(tmp_path: Path) -> None:
    done = shell(tmp_path, '"$@" | true; exit "${PIPESTATUS[0]}"', [*PLAY, "--quiet"])
    assert (done.returncode, done.stderr) == (0, "")
    assert statuses(tmp_path) == ["completed"]
    done = shell(tmp_path, '"$@" 2>&1 | head -n 1', [*PLAY, "--verbose"])
    assert "Traceback" not in done.stdout
    assert statuses(tmp_path) == ["completed"] * 2


@pytest.mark.thorough
def test_what_cannot_be_encoded_is_replaced(tmp_path: Path) -> None:
    done = shell(tmp_path, '"$@"', [*PLAY, "--verbose"], PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "?" in done.stdout
    assert statuses(tmp_path) == ["completed"]


def test_json_keeps_every_character_in_every_encoding(tmp_path: Path, daf_call: DafCall) -> None:
    ascii_only = shell(tmp_path, '"$@"', ["missions", "--json"], PYTHONIOENCODING="ascii").stdout
    assert json.loads(ascii_only) == json.loads(daf_call("missions", "--json").stdout)


def test_closed_streams_and_full_disks_leave_a_complete_run(tmp_path: Path) -> None:
    assert shell(tmp_path, '"$@" >&- 2>&-', PLAY).returncode == 0
    full = shell(tmp_path, '"$@" > /dev/full', [*PLAY, "--quiet"])
    assert full.returncode == 1
    assert full.stderr == "StorageError: cannot write to standard output: No space left on device.\n"
    assert statuses(tmp_path) == ["completed"] * 2
