"""The copies of checkpoints that an experiment keeps: whole or not there, whatever is killed while one is made."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daf.core.adaptive import _parents as parents
from daf.core.adaptive import record
from daf.output_manager import OutputManager
from daf.output_utils import sweep_up
from daf.storage import atomic
from tests.core.adaptive_driver import config, controller

DYING = """
import os, shutil, signal, sys
from pathlib import Path
copytree = shutil.copytree
def die(*arguments):
    copytree(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
shutil.copytree = die
"""
COPYING = """
from daf.core.adaptive import _parents as parents
parents._copy(Path(sys.argv[1]), "checkpoint", Path(sys.argv[1], "parents", "run-8"))
"""
FINISHING = """
from tests.core.adaptive_driver import config, controller
controller(Path(sys.argv[1]), config(runs=[{}], total=20)).start_experiment()
"""


def killed(code: str, folder: Path) -> None:
    """Run `code` in a process that is killed when it has copied a checkpoint, before the copy has its name."""
    done = subprocess.run([sys.executable, "-c", DYING + code, folder], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """The folder of an ended experiment that has a checkpoint to copy."""
    output = OutputManager(tmp_path / "out", log_to_file=False)
    output.log_operation_start("training", {})
    output.log_operation_complete("training")
    folder = output.run_dir("training")
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "weights").write_text("weights")
    return folder


def test_runs_clean_deletes_the_copy_that_a_killed_controller_left(experiment: Path, tmp_path: Path) -> None:
    killed(COPYING, experiment)
    [left] = (experiment / "parents").iterdir()
    assert (left / "weights").is_file()
    cleaned = subprocess.run(
        [sys.executable, "-m", "daf", "runs", "clean", "--older-than", "999d", "--yes", "--json",
         "--output-dir", tmp_path / "out"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(cleaned.stdout)["leftovers"] == 1
    assert list((experiment / "parents").iterdir()) == []
    assert (experiment / "checkpoint" / "weights").is_file()


def test_a_controller_that_starts_deletes_the_copies_that_the_last_one_left(experiment: Path) -> None:
    killed(COPYING, experiment)
    record.Record(experiment).close()
    assert list((experiment / "parents").iterdir()) == []


def test_a_controller_killed_while_it_copies_the_best_checkpoint_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    killed(FINISHING, tmp_path)
    [checkpoints] = tmp_path.glob("out/training/*/checkpoints")
    [left] = checkpoints.iterdir()
    assert left.name.startswith(f".final{atomic.TEMPORARY_MARK}")
    assert controller(tmp_path, config(runs=[{}], total=20)).start_experiment().status == "done"
    assert [path.name for path in checkpoints.iterdir()] == ["final"]


def test_nothing_sweeps_up_a_copy_that_is_being_made(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(COPYING, experiment)
    copytree, swept = shutil.copytree, []

    def copy(source: Path, target: Path) -> None:
        copytree(source, target)
        swept.append(sweep_up(tmp_path / "out"))
        assert (target / "weights").is_file()

    monkeypatch.setattr(shutil, "copytree", copy)
    parents._copy(experiment, "checkpoint", experiment / "parents" / "other-8")
    assert swept == [[]]
    assert (experiment / "parents" / "other-8" / "weights").is_file()
    [left] = sweep_up(tmp_path / "out")
    assert left.name.startswith(f".run-8{atomic.TEMPORARY_MARK}")
