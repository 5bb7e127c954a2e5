"""The common options mean the same on every command."""

import io
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daf.output_manager import OutputManager
from tests.conftest import SMALL

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def daf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process: its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        from daf.cli import main, show

        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["daf", *arguments])
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(show.out, "_file", out)
        monkeypatch.setattr(show.err, "_file", err)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), out.getvalue(), err.getvalue()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path / "elsewhere"))
    return run


def test_an_options_file_fills_in_what_no_flag_gives(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        f'mission: ["{SMALL}"]\npolicy: [noop]\nepisodes: 3\nexecutor: serial\nmax-steps: 40\n'
    )
    code, out, err = daf("metrics", "--config", "m.yaml", "-e", "2", "--json", "--quiet")
    assert code == 0, err
    episodes = json.loads(out)["episodes"]
    assert len(episodes) == 2
    assert {episode["mission"] for episode in episodes} == {SMALL}
    assert {name for episode in episodes for name in episode["policies"]} == {"noop"}


def test_a_comparisons_file_serves_other_commands_too(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f'kind: comparison\nname: both\npolicies: [noop, random]\nmissions: ["{SMALL}"]\n'
        "episodes_per_mission: 2\nseed: 7\n"
    )
    code, out, err = daf("metrics", "--config", "c.yaml", "--executor", "serial", "--json", "--quiet")
    assert code == 0, err
    episodes = json.loads(out)["episodes"]
    assert {(episode["seed"], *episode["policies"]) for episode in episodes} == {
        (7, "noop"), (8, "noop"), (7, "random"), (8, "random"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epsiodes: 3", 'no option "epsiodes". Nearest: episodes'),
        ("episodes: many", "Invalid value for '--episodes'"),
        ("- 3", "c.yaml"),
    ],
)
def test_a_wrong_options_file_is_refused_with_what_is_wrong(daf: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    code, _, err = daf("metrics", "--config", "c.yaml")
    assert code == 2
    assert message in err
    assert daf("analyze", "suite", "standard", "--config", "nowhere.yaml")[0] == 2


def test_output_dir_says_where_runs_lie_for_this_command_only(daf: Run, tmp_path: Path) -> None:
    with OutputManager(tmp_path / "here").operation("sweep"):
        pass
    code, out, _ = daf("doctor", "--output-dir", str(tmp_path / "here"), "--json")
    assert code in (0, 1)
    assert str(tmp_path / "here") in out
    assert os.environ["DAF_OUTPUT_DIR"] == str(tmp_path / "elsewhere")


def test_quiet_leaves_results_and_drops_messages(daf: Run) -> None:
    from daf.cli.show import err

    code, out, said = daf("missions", "--quiet")
    assert code == 0
    assert "arena" in out
    assert said == ""
    assert not err.quiet


def test_verbose_shows_the_traceback_of_an_error_and_leaves_no_log_handler(daf: Run) -> None:
    before = list(logging.getLogger("daf").handlers)
    for command in (("missions", "arenna"), ("runs", "show", "20010101"), ("evaluate", "-p", "noop", "-m", "arenna")):
        code, _, plain = daf(*command)
        assert code == 2
        assert "Traceback" not in plain
        code, _, text = daf(*command, "--verbose")
        assert code == 2
        assert "Traceback" in text
        assert text.endswith(plain)
    assert logging.getLogger("daf").handlers == before
