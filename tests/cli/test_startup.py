"""What a command imports: by its modules, not by a clock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DafCall

MISSION = "training_facility_2,max_steps=5,cogs=2"
GAME = frozenset({"cogames", "mettagrid", "metta_alo"})
ANALYSIS = frozenset({"scipy", "pandas"})
DRAWING = frozenset({"duckdb", "matplotlib", "PIL", "jinja2"})
NETWORKS = frozenset({"torch", "ray"})
PROGRAM = """
import contextlib, io, sys
from daf.cli import main
for command in {commands!r}:
    sys.argv = ["daf", *command]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as ended:
        assert not ended.code, (command, ended.code)
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
"""
POLICY = """
from mettagrid.policy.noop import NoopPolicy


class Mine(NoopPolicy):
    pass
"""
WHO = ["-p", "noop", "-p", "mine.py", "-m", MISSION, "-e", "2", "--executor", "serial", "--quiet"]
PLAYED = {
    "evaluate": ["evaluate", *WHO, "--save-replays", "best"],
    "team": ["evaluate", "--team", "noop=1,random=1", "-m", MISSION, "-e", "2", "--executor", "serial", "--quiet"],
    "compare": ["compare", *WHO],
    "score": ["score", "noop", "--pool", "random", *WHO[4:]],
    "crossplay": ["crossplay", "-p", "noop", "-p", "random", *WHO[4:]],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("startup")
    (found / "mine.py").write_text(POLICY)
    return found


@pytest.fixture
def played(folder: Path, daf_call: DafCall, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every command was called before."""
    for variable, value in _environment(folder).items():
        monkeypatch.setenv(variable, value)
    if not (folder / "out").exists():
        for command in (*PLAYED.values(), ["missions"], ["missions", "--variants"]):
            assert daf_call(*command, cwd=folder).returncode == 0
    return folder


def _environment(folder: Path) -> dict[str, str]:
    return {"DAF_OUTPUT_DIR": str(folder / "out"), "XDG_CACHE_HOME": str(folder / "kept")}


def _imported_by(folder: Path, *commands: list[str]) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(commands=commands)], capture_output=True, text=True, cwd=folder,
        env=os.environ | _environment(folder), check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return set(run.stdout.splitlines()[-1].split())


def test_a_repeated_command_imports_no_game_no_statistics_and_draws_nothing(played: Path) -> None:
    assert not (GAME | ANALYSIS | DRAWING | NETWORKS) & _imported_by(played, *PLAYED.values())


def test_a_new_run_of_known_episodes_imports_no_game(played: Path) -> None:
    new = [[*command, "--rerun"] for command in PLAYED.values()]
    other = ["compare", *WHO, "--alpha", "0.1"]
    assert not (GAME | NETWORKS) & _imported_by(played, *new, other)


def test_reports_and_lists_of_runs_import_no_game(played: Path) -> None:
    assert not (GAME | NETWORKS) & _imported_by(played, ["report", "latest"])
    assert not (GAME | ANALYSIS | DRAWING | NETWORKS | {"numpy"}) & _imported_by(played, ["runs"], ["runs", "--json"])


def test_lists_of_missions_and_policies_import_next_to_nothing(played: Path) -> None:
    lists = [["missions"], ["missions", "--evals", "--json"], ["missions", "--variants"], ["policies"]]
    assert not (GAME | ANALYSIS | DRAWING | NETWORKS | {"numpy"}) & _imported_by(played, *lists)


@pytest.mark.parametrize("command", PLAYED.values(), ids=PLAYED)
def test_a_repeated_command_names_the_existing_run(played: Path, daf_call: DafCall, command: list[str]) -> None:
    runs = len(json.loads(daf_call("runs", "--json", cwd=played).stdout)["runs"])
    first = json.loads(daf_call(*command, "--json", cwd=played).stdout)
    assert first["cached"] is True
    assert Path(first["run_dir"]).is_dir()
    said = daf_call(*command, cwd=played).stdout
    assert first["run_dir"] in said
    assert "--rerun" in said
    assert len(json.loads(daf_call("runs", "--json", cwd=played).stdout)["runs"]) == runs
    new = json.loads(daf_call(*command, "--json", "--tag", "second", cwd=played).stdout)
    assert new["cached"] is False
    assert new["run_dir"] != first["run_dir"]
