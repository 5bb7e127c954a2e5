"""`daf replay` as a user runs it."""

import importlib.util
import json
from functools import partial
from pathlib import Path

import pytest
from replay_files import WHEEL

from tests.conftest import DafCall


@pytest.fixture
def daf(daf_call: DafCall) -> DafCall:
    return partial(daf_call, "replay")


def test_info_reports_what_a_replay_holds(daf, recorded):
    done = daf("info", recorded)
    assert done.returncode == 0, done.stderr
    for text in ("tutorial", "45×45", "4 starter", "60", "4: 4 cogs"):
        assert text in done.stdout
    data = json.loads(daf("info", recorded, "--json").stdout)["replay"]
    assert (data["steps"], data["agents"], data["policies"]) == (60, 4, {"starter": 4})
    assert data["reward_per_agent"] == sum(data["rewards"]) / 4


def test_info_of_a_file_that_is_no_replay_fails_with_file_and_field(daf, write):
    path = write(agent={"location": [9, 9]})
    done = daf("info", path, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "ReplayError"
    assert f"{path}: objects[0].location: [9, 9]" in error["message"]


def test_names_in_a_replay_cannot_steer_the_terminal(daf, write):
    done = daf("info", write(mg_config={"label": "\x1b[2Jboo[red]"}))
    assert "\x1b" not in done.stdout
    assert "boo[red]" in done.stdout


def test_diff_says_where_two_replays_part(daf, write):
    a, b = write("a.json.z"), write("b.json.z", agent={"location": [[0, [1, 1]], [2, [1, 2]]]})
    done = daf("diff", a, b)
    assert done.returncode == 0, done.stderr
    assert "The first difference is at step 2 of 4, where 1 field differs:" in done.stdout
    assert "agent 0: location [2, 1] against [1, 2]" in done.stdout
    found = json.loads(daf("diff", a, b, "--json").stdout)["difference"]
    assert (found["step"], found["same"], found["changes"][0]["field"]) == (2, False, "location")
    assert "The episodes are identical in all 4 steps." in daf("diff", a, a).stdout


def test_diff_of_replays_of_different_kinds_says_so(daf):
    done = daf("diff", WHEEL / "pens.json.z", WHEEL / "planky.json.z")
    assert "different kinds" in done.stdout
    assert "width 60 against 98" in done.stdout


def test_gif_draws_a_file_a_run_and_a_part_of_an_episode(daf, recorded, tmp_path):
    done = daf(
        "gif", recorded, "--start", 10, "--end", 30, "--every", 5, "--cell", 6, "--output-dir", tmp_path, "--json"
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["status"], data["run_id"], data["failed"]) == ("ok", None, [])
    assert data["files"][0]["frames"] == 4
    assert Path(data["files"][0]["path"]).read_bytes().startswith(b"GIF89a")
    run = daf("gif", recorded.parent.parent, "--batch", "--end", 3, "--json", DAF_OUTPUT_DIR=str(tmp_path / "runs"))
    data = json.loads(run.stdout)
    assert data["run_id"]
    assert Path(data["files"][0]["path"]).parent == Path(data["run_dir"])
    assert (Path(data["run_dir"]) / "execution_log.json").exists()


def test_a_run_is_named_by_its_id(daf, recorded, tmp_path):
    run = recorded.parent.parent
    done = daf("gif", run.name, "--end", 2, "--output-dir", tmp_path, "--json", DAF_OUTPUT_DIR=str(run.parents[1]))
    assert done.returncode == 0, done.stderr
    assert {file["source"] for file in json.loads(done.stdout)["files"]} == {str(recorded)}
    assert 'no replay file, directory or run "20010101"' in daf("gif", "20010101", "--output-dir", tmp_path).stderr


def test_a_batch_continues_past_a_damaged_replay_and_says_so(daf, write, tmp_path):
    write("a.json.z")
    (tmp_path / "b.json.z").write_bytes(write("b.json.z").read_bytes()[:-9])
    done = daf("gif", tmp_path, "--batch", "--output-dir", tmp_path / "out", "--json")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert data["status"] == "failed"
    assert [Path(made["path"]).name for made in data["files"]] == ["a.gif"]
    assert "ends early" in data["failed"][0]["error"]


def test_a_folder_without_batch_is_refused_with_the_way_out(daf, tmp_path):
    done = daf("gif", tmp_path)
    assert done.returncode == 2
    assert "add --batch" in done.stderr
    done = daf("gif", tmp_path, "--batch")
    assert "contain no replays" in done.stderr


def test_what_cannot_be_drawn_is_refused_before_a_run_folder_is_made(daf, write, tmp_path):
    runs = tmp_path / "runs"
    for arguments, code in (
        (("gif", write(), "--cell", 99), 2),
        (("gif", write(), "--fps", 80), 2),
        (("gif", write(), "--start", 4), 2),
        (("frames", write(), "--follow", 7), 2),
        (("html", tmp_path / "none.json.z"), 2),
    ):
        assert daf(*arguments, DAF_OUTPUT_DIR=str(runs)).returncode == code, arguments
    assert not runs.exists()


def test_html_writes_one_page(daf, recorded, tmp_path):
    done = daf("html", recorded, "--output-dir", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["files"][0]
    assert made["frames"] == 60
    assert Path(made["path"]).read_text().startswith("<!doctype html>")


def test_frames_and_mp4_from_the_command_line(daf, write, tmp_path):
    done = daf("frames", write(), "--output-dir", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["files"][0]
    assert sorted(path.name for path in Path(made["path"]).iterdir()) == [f"step_{step}.png" for step in range(4)]
    assert Path(made["path"]).name == "tiny-frames"
    done = daf("mp4", write(), "--output-dir", tmp_path / "out", "--json", PATH=str(tmp_path))
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        assert done.returncode == 2
        assert "needs ffmpeg" in done.stderr
    else:  # the one of daf[video]
        assert done.returncode == 0, done.stderr
        assert Path(json.loads(done.stdout)["files"][0]["path"]).stat().st_size > 0
