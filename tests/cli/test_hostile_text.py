"""A title, a name or a message out of a run's files reaches no terminal, page or Markdown as anything but text."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager

TITLE = "<script>alert(1)</script>\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[bold]x"
STYLES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|(\r?\x1b\[(2K|1A)\r?)+")
"""What rich itself writes: colours, the cursor, and the line of progress that it takes back."""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with a hostile title, and the same text wherever its files can hold one."""
    base = tmp_path_factory.mktemp("hostile")
    settings = Settings(episodes=2, executor="serial", resamples=200)
    played = evaluate(
        ["noop", "random"],
        ["training_facility_1,max_steps=20"],
        settings=settings,
        output=OutputManager(base),
        title=TITLE,
    )
    log = json.loads((played.run_dir / "execution_log.json").read_text())
    log |= {"command": f"daf {TITLE}", "error": TITLE}
    (played.run_dir / "execution_log.json").write_text(json.dumps(log))
    results = json.loads((played.run_dir / "results.json").read_text())
    results["summary"]["notes"] = [TITLE]
    for row in results["ranking"]:
        row["policy"] = TITLE
    for pair in results["pairs"]:
        pair["sentence"] = TITLE
    (played.run_dir / "results.json").write_text(json.dumps(results))
    return played.run_dir


COMMANDS = [
    ["runs"],
    ["runs", "show", "latest"],
    ["runs", "show", "latest", "--json"],
    ["runs", "list", "--json"],
    ["runs", "show", "latest", "--sql", f"select '{TITLE}' as \"{TITLE}\""],
    ["runs", "show", TITLE],
    ["evaluate", "-p", TITLE, "-m", "arena"],
    ["report", "latest", "--leaderboard", "markdown"],
    ["missions", TITLE],
    [TITLE],
]


def test_no_command_lets_text_control_the_terminal(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_text(json.dumps(COMMANDS))
    environment = {"DAF_OUTPUT_DIR": str(run_dir.parent.parent), "COLUMNS": "200", "FORCE_COLOR": "1"}
    program = Path(__file__).with_name("base_commands.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "commands.json")], capture_output=True, text=True,
        env=os.environ | environment, stdin=subprocess.DEVNULL, timeout=120, check=True,
    )  # fmt: skip
    wrong = {}
    for command, (code, *shown) in zip(COMMANDS, json.loads(done.stdout), strict=True):
        left = STYLES.sub("", "".join(shown))
        unprintable = [c for c in left if not c.isprintable() and c not in "\n\t\r"]
        if code not in (0, 1, 2) or "Traceback" in left or unprintable:
            wrong[" ".join(command)] = (code, unprintable, left[:500])
        assert left.strip(), command
    assert not wrong


def test_markdown_holds_no_tag_of_a_title(run_dir: Path) -> None:
    from daf.reporting import daf_report

    daf_report(run_dir)
    for page in run_dir.glob("*.md"):
        text = page.read_text()
        assert "<script" not in text, page
        assert all(c.isprintable() or c == "\n" for c in text), page
    assert "<script>alert(1)" not in (run_dir / "report.html").read_text()
