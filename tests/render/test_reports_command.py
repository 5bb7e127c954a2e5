"""`daf report` as a user meets it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_runs import search_hill
from training_runs import train_bandit

from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from tests.conftest import SMALLEST


@pytest.fixture
def daf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Runs a command in this process, checks its exit code, and returns what it said on stdout and stderr."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        from daf.cli import main

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", ["daf", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        assert ended.value.code == code, said
        return said.out, said.err

    return run


def test_the_latest_run_is_reported_by_default_and_the_files_are_named(daf, tmp_path):
    train_bandit(tmp_path / "out", updates=5)
    folder = search_hill(tmp_path / "out", trials=5)
    out, _ = daf("report")
    assert out.splitlines() == [str(folder / "sweep.html"), str(folder / "REPORT.md")]


def test_json_is_one_object_with_the_run_and_its_files(daf, tmp_path):
    folder = train_bandit(tmp_path / "elsewhere", updates=5)
    out, _ = daf("report", f"training/{folder.name}", "--output-dir", str(tmp_path / "elsewhere"), "--json")
    data = json.loads(out)
    assert (data["run_id"], data["run_dir"], data["status"]) == (folder.name, str(folder), "ok")
    assert data["reports"][0]["kind"] == "training"
    assert Path(data["reports"][0]["html"]).is_file()


def test_several_runs_are_reported_at_once(daf, tmp_path):
    runs = [train_bandit(tmp_path / name, updates=5) for name in ("a", "b")]
    out, _ = daf("report", *map(str, runs))
    assert out.splitlines()[::2] == [str(run / "report.html") for run in runs]


def test_a_run_that_is_not_there_is_refused_with_the_nearest(daf, tmp_path):
    folder = train_bandit(tmp_path / "out", updates=5)
    _, err = daf("report", folder.name[:-1] + "x", code=2)
    assert f"Nearest: {folder.name}" in err


def test_options_that_do_not_go_together_are_refused(daf, tmp_path):
    assert "--to needs --leaderboard" in daf("report", "latest", "--to", "x.md", code=2)[1]
    assert "--pdf can't be combined" in daf("report", "latest", "--leaderboard", "html", "--pdf", code=2)[1]


def test_a_leaderboard_goes_to_stdout_or_into_a_file(daf, tmp_path):
    settings = Settings(episodes=2, executor="serial", jobs=1, resamples=1000, report=False)
    run = evaluate(["noop", "random"], SMALLEST, settings=settings, output=OutputManager(tmp_path / "out"))
    out, _ = daf("report", run.run_id, "--leaderboard", "markdown")
    assert out.startswith("# Leaderboard on ")
    assert "| noop |" in out
    daf("report", run.run_id, "--leaderboard", "html", "--to", "board.html")
    assert (tmp_path / "board.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    data = json.loads(daf("report", run.run_id, "--leaderboard", "json", "--json")[0])
    assert {row["policy"] for row in data["leaderboard"]["rows"]} == {"noop", "random"}
    assert 'no format of leaderboards "markup"' in daf("report", run.run_id, "--leaderboard", "markup", code=2)[1]
