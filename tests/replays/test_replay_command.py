"""`daf replay` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from replay_files import WHEEL


def daf(*arguments, cwd: Path | None = None, **environment: str):
    command = [sys.executable, "-m", "daf", "replay", *map(str, arguments)]
    settings = os.environ | {"COLUMNS": "100"} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=settings)


def test_info_tells_what_a_replay_holds(recorded):
    done = daf("info", recorded)
    assert done.returncode == 0, done.stderr
    for text in ("tutorial", "45×45", "4 starter", "60", "4: 4 cogs"):
        assert text in done.stdout
    data = json.loads(daf("info", recorded, "--json").stdout)["replay"]
    assert (data["steps"], data["agents"], data["policies"]) == (60, 4, {"starter": 4})
    assert data["reward_per_agent"] == sum(data["rewards"]) / 4


def test_info_of_a_file_that_is_no_replay_fails_with_file_and_field(write):
    path = write(agent={"location": [9, 9]})
    done = daf("info", path, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "ReplayError"
    assert f"{path}: objects[0].location: [9, 9]" in error["message"]


def test_names_in_a_replay_cannot_steer_the_terminal(write):
    done = daf("info", write(mg_config={"label": "\x1b[2Jboo[red]"}))
    assert "\x1b" not in done.stdout
    assert "boo[red]" in done.stdout


def test_diff_says_where_two_replays_part(write):
    a, b = write("a.json.z"), write("b.json.z", agent={"location": [[0, [1, 1]], [2, [1, 2]]]})
    done = daf("diff", a, b)
    assert done.returncode == 0, done.stderr
    assert "They part at step 2 of 4, where 1 field differs:" in done.stdout
    assert "agent 0: location [2, 1] against [1, 2]" in done.stdout
    found = json.loads(daf("diff", a, b, "--json").stdout)["difference"]
    assert (found["step"], found["same"], found["changes"][0]["field"]) == (2, False, "location")
    assert "The same episode, all 4 steps of it." in daf("diff", a, a).stdout


def test_diff_of_replays_of_different_kinds_says_so():
    done = daf("diff", WHEEL / "pens.json.z", WHEEL / "planky.json.z")
    assert "different kinds" in done.stdout
    assert "width 60 against 98" in done.stdout
