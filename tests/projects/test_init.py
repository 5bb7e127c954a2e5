"""`daf init` makes a project whose files work as they stand, and never overwrites anything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daf.config import DAFSweepConfig
from daf.errors import UsageError
from daf.output_manager import OutputManager
from daf.projects import FIRST_COMMAND, daf_init_project
from daf.sweeps.preparing import prepare
from tests.conftest import Called, DafCall
from tests.docs.test_documented_commands import lines, parse


def test_the_first_command_of_a_new_project_works(tmp_path: Path, daf_call: DafCall) -> None:
    called: Called = daf_call("init", "mine", "--json", cwd=tmp_path)
    assert called.returncode == 0, called.stderr
    project = json.loads(called.stdout)["project"]
    assert project["next"] == FIRST_COMMAND
    assert all((tmp_path / "mine" / name).is_file() for name in project["files"])
    words = FIRST_COMMAND.split()[1:]
    words[words.index("-e") + 1] = "1"
    played = daf_call(*words, "--executor", "serial", "--json", "--output-dir", "out", cwd=tmp_path / "mine")
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["ranking"][0]["mean"] > 0  # what a newcomer sees first is not a row of zeros


@pytest.mark.thorough
def test_the_test_of_a_new_project_passes_with_pytest(tmp_path: Path) -> None:
    daf_init_project(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_sweep_of_a_new_project_is_ready_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daf_init_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = DAFSweepConfig.from_yaml("sweep.yaml")
    assert prepare(config, OutputManager(tmp_path / "out"), jobs=1, executor="serial", use_cache=False).total == 3


def test_the_pipeline_of_a_new_project_is_ready_to_run(tmp_path: Path, daf_call: DafCall) -> None:
    daf_init_project(tmp_path)
    shown = daf_call("pipeline", "run", "pipeline.yaml", "--dry-run", "--output-dir", "out", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "package" in shown.stdout


def test_every_command_of_its_readme_parses(tmp_path: Path) -> None:
    daf_init_project(tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)
    shown = [line for block in blocks for line in lines(block)]
    assert FIRST_COMMAND in shown
    for line in shown:
        parse(line)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mission.py").write_text("mine")
    with pytest.raises(UsageError, match=r"has mission\.py already; nothing is overwritten"):
        daf_init_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mission.py"]
    assert (tmp_path / "mission.py").read_text() == "mine"
    with pytest.raises(UsageError, match="is a file"):
        daf_init_project(tmp_path / "mission.py")
