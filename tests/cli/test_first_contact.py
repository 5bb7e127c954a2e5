"""Help pages, dry runs and errors, as somebody meets them who has just installed DAF."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from daf.cli.main import COMMANDS

Daf = Callable[..., tuple[int, str, str]]

SWEEP = """
kind: sweep
name: cogs
missions: ["training_facility_1,max_steps=20"]
policy_class_path: noop
search_space: {cogs: [1, 2, 3]}
strategy: grid
episodes_per_trial: 2
"""


@pytest.fixture
def daf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Daf:
    """The command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        from daf.cli import main

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", ["daf", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_a_short_option_and_breaks_no_word(daf: Daf, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    code, wide, _ = daf(command, "-h")
    assert code == 0
    monkeypatch.setenv("COLUMNS", "60")
    narrow = daf(command, "--help")[1]
    words = set(wide.split())
    broken = [word for word in narrow.split() if word not in words and not set(word) <= set("-─")]
    assert not broken, f"broken in {command} --help: {broken}"


@pytest.mark.parametrize("group", ["sweep", "runs", "replay", "analyze", "adaptive"])
def test_the_help_of_a_group_shows_whole_sentences(daf: Daf, group: str) -> None:
    _, out, _ = daf(group, "--help")
    listed = re.sub(r"\s+", " ", out.partition("Commands:")[2])
    assert "..." not in listed
    assert listed.rstrip().endswith(".")


def test_a_dry_run_of_a_sweep_shows_its_trials_and_writes_nothing(daf: Daf, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    code, out, _ = daf("sweep", "run", "sweep.yaml", "--dry-run", "--json")
    plan = json.loads(out)["plan"]
    assert code == 0
    assert (plan["trials"], plan["finished"], plan["episodes"]) == (3, 0, 2)
    assert [proposal["cogs"] for proposal in plan["proposals"]] == [1, 2, 3]
    assert plan["space"] == {"cogs": "1, 2, 3"}
    assert not list((tmp_path / "out").glob("sweeps/*"))
    code, out, _ = daf("sweep", "run", "sweep.yaml", "--dry-run")
    assert "3 trials, each with 2 episodes" in out


def test_a_dry_run_finds_the_faults_that_a_run_would_find(daf: Daf, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("noop", "nosuch"))
    code, _, err = daf("sweep", "run", "sweep.yaml", "--dry-run")
    assert code != 0
    assert 'no policy "nosuch"' in err


def test_a_dry_run_of_an_experiment_shows_its_first_runs(daf: Daf, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "study.yaml").write_text(
        "kind: adaptive\nexperiment_id: study\n"
        "training: {mission: training_facility_1, policy: token_lstm, total_timesteps: 65536}\n"
        "search_space: {ent_coef: [0.0, 0.01]}\nnum_runs: 2\nevaluation: {episodes: 2}\n"
    )
    code, out, err = daf("adaptive", "run", "study.yaml", "--dry-run", "--json")
    assert code == 0, err
    plan = json.loads(out)["plan"]
    assert (plan["experiment_id"], plan["scheduler"], plan["exists"], len(plan["runs"])) == ("study", "fixed", False, 2)
    assert not list((tmp_path / "out").glob("*/2*"))


@pytest.mark.parametrize(
    "words", [("evaluate", "-p", "nosuch", "-m", "arena"), ("evaluate", "--nosuch"), ("runs", "show", "nosuch")]
)
def test_with_json_an_error_is_one_object_on_stdout(daf: Daf, words: tuple[str, ...]) -> None:
    code, out, _ = daf(*words, "--json")
    found = json.loads(out)
    assert code != 0
    assert found["status"] == "failed"
    assert set(found["error"]) == {"type", "message"}


def test_a_fault_of_dafs_own_is_json_too(daf: Daf, monkeypatch: pytest.MonkeyPatch) -> None:
    import daf.output_manager

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(daf.output_manager, "list_runs", broken)
    from daf.cli import main

    out = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["daf", "runs", "--json"])
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(ZeroDivisionError):
        main()
    assert json.loads(out.getvalue())["error"] == {"type": "ZeroDivisionError", "message": "a fault"}


@pytest.mark.parametrize("action", ["info", "html", "gif"])
def test_a_missing_replay_is_a_usage_error(daf: Daf, action: str) -> None:
    code, _, err = daf("replay", action, "missing")
    assert code == 2
    assert "--save-replays" in err


def test_metrics_without_a_policy_says_who_plays(daf: Daf) -> None:
    _, _, err = daf("metrics", "-m", "training_facility_1,max_steps=5", "-e", "1", "--executor", "serial")
    assert "starter, random and noop play" in err


def test_names_in_a_narrow_table_break_after_punctuation() -> None:
    from daf.cli.show import plain_table

    table = plain_table("")
    table.add_column("metric", overflow="fold", max_width=16)
    table.add_row("agent.action.move.success")
    out = Console(width=40, file=io.StringIO())
    out.print(table)
    lines = [line.strip() for line in out.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line for line in lines if line.startswith(("agent", "move", "succ"))] == ["agent.action.", "move.success"]


def test_no_estimate_is_shown_before_it_means_something(capsys: pytest.CaptureFixture[str]) -> None:
    from daf.cli.show import EpisodeProgress

    progress = EpisodeProgress(quiet=False)
    progress.total, progress.finished = 100, 1
    assert "left" not in progress._note()
    progress.finished = 10
    progress._started -= 30
    assert "left" in progress._note()
