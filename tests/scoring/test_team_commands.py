"""`daf score`, `daf crossplay` and `daf compare --until-decided` from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Called, DafCall

MINER = "tutorial.miner,max_steps=30"
Run = Callable[..., Called]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture
def daf(folder: Path, daf_call: DafCall) -> Run:
    def run(*arguments: str, code: int = 0) -> Called:
        done = daf_call(*arguments, "--executor", "serial", cwd=folder, DAF_OUTPUT_DIR=str(folder / "out"))
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-3000:])
        return done

    return run


def test_score_prints_one_json_object(daf: Run) -> None:
    data = json.loads(daf("score", "starter", "--pool", "noop", "-m", MINER, "-e", "2", "--json").stdout)
    assert data["status"] == "ok"
    assert [s["scenario"] for s in data["missions"][0]["scenarios"]] == ["c4-r0", "c3-r1", "c2-r2", "c1-r3", "c0-r4"]
    assert len(data["episodes"]) == 10
    assert {"mission", "seed", "index", "policies", "assignment", "rewards", "steps", "status", "cached", "key"} <= set(
        data["episodes"][0]
    )
    assert json.loads((Path(data["run_dir"]) / "results.json").read_text()) == data


def test_score_shows_scenarios_and_the_finding(daf: Run) -> None:
    output = daf("score", "starter", "--pool", "noop", "-m", MINER, "-e", "6", "--precision", "0.5").stdout
    assert "c3-r1" in output
    assert (
        "its replacements on tutorial.miner,max_steps=30" in output or "exactly the value of its replacements" in output
    )
    assert "±0.5" in output


def test_as_pickup_has_pickups_defaults(daf: Run) -> None:
    arguments = ["score", "noop", "--pool", "noop", "--as-pickup", "--max-steps", "5", "--json"]
    data = json.loads(daf(*arguments).stdout)
    assert data["missions"][0]["mission"] == "arena,cogs=4,max_steps=5"
    assert [episode["seed"] for episode in data["episodes"]] == [50] * 5
    settings = json.loads((Path(data["run_dir"]) / "experiment_config.json").read_text())
    text = json.dumps(settings)
    assert '"enforce_timeouts": 250' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["crossplay", "-p", "starter", "-m", MINER], "at least two different policies"),
        (["crossplay", "-p", "starter", "-p", "noop", "-m", MINER, "--mixes", "al"], "Nearest: all"),
        (["crossplay", "-p", "starter", "-p", "noop", "-m", "tutorial.miner,cogs=1"], "has 1 agent"),
        (["score", "starter", "-m", MINER], "the pool is empty"),
        (["score", "starter", "--pool", "noop"], "no mission is given"),
        (["score", "starter", "--pool", "noop", "-m", MINER, "--precision", "0"], "--precision must be above 0, got 0"),
        (["score", "starter", "--pool", "noop", "-m", MINER, "--map-seed", "3"], "add --as-pickup"),
        (["score", "startr", "--pool", "noop", "-m", MINER], "Nearest: starter"),
        (
            ["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--max-episodes", "9"],
            "--max-episodes needs --until-decided",
        ),
        (
            ["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--until-decided", "-e", "9"],
            "--episodes sets a fixed number",
        ),
        (["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--looks", "9"], "--looks needs --until-decided"),
        (
            ["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--until-decided=anytime", "--looks", "9"],
            "--looks has no effect with --until-decided=anytime",
        ),
        (["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--until-decided=soon"], "anytime"),
        (
            ["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--until-decided", "--max-episodes", "5"],
            "needs at least 6 blocks",
        ),
    ],
)
def test_wrong_use_is_reported_with_the_way_out(daf: Run, arguments: list[str], message: str) -> None:
    assert message in daf(*arguments, code=2).stderr


def test_compare_until_decided_reports_what_each_pair_took(daf: Run) -> None:
    arguments = ["compare", "-p", "starter", "-p", "noop", "-m", MINER, "--until-decided", "--max-episodes", "12"]
    data = json.loads(daf(*arguments, "--json").stdout)
    assert data["until_decided"]["max_episodes"] == 12
    assert data["until_decided"]["episodes"] == len(data["episodes"]) == data["summary"]["episodes"]
    assert all(pair["n"] <= 12 for pair in data["pairs"])
    shown = daf(*arguments).stdout
    assert "Played until decided" in shown
    assert "comparisons open" in shown
    other = json.loads(daf(*arguments[:-3], "--until-decided=anytime", *arguments[-2:], "--json").stdout)
    assert (data["until_decided"]["method"], other["until_decided"]["method"]) == ("group-sequential", "anytime")


def test_power_prints_the_needed_blocks_and_plays_nothing_with_a_given_spread(daf: Run) -> None:
    arguments = ["power", "--difference", "0.2", "--deviation", "0.4"]
    data = json.loads(daf(*arguments, "--json").stdout)
    assert (data["needed"][0]["fixed"], data["status"]) == (44, "ok")
    assert data["needed"][0]["most"] == 47
    assert "episodes" not in data
    shown = daf(*arguments, "--power", "0.8").stdout
    assert "blocks with a fixed number" in shown
    assert "power.html" in shown
    assert "difference must be above 0" in daf("power", "--difference", "0", "--deviation", "1", code=2).stderr
    assert "no mission is given" in daf("power", "--difference", "1", "-p", "starter", "-p", "noop", code=2).stderr


def test_crossplay_prints_one_json_object_and_a_matrix(daf: Run) -> None:
    arguments = ["crossplay", "-p", "starter", "-p", "noop", "-m", MINER, "-e", "3"]
    data = json.loads(daf(*arguments, "--json").stdout)
    assert [(cell["policy"], cell["partner"]) for cell in data["matrix"]] == [
        ("starter", "starter"), ("starter", "noop"), ("noop", "starter"), ("noop", "noop"),
    ]  # fmt: skip
    assert len(data["episodes"]) == 9
    assert {row["policy"] for row in data["ratings"]} == {"starter", "noop"}
    shown = daf(*arguments)
    assert "with noop" in shown.stdout
    assert "9 from cache" in shown.stdout


def test_a_comparison_file_serves_score_and_crossplay(daf: Run, folder: Path) -> None:
    text = "kind: comparison\nname: filed\npolicies: [starter, noop]\nmissions: [tutorial.miner]\n"
    (folder / "file.yaml").write_text(text + "episodes_per_mission: 2\nmax_steps_per_episode: 25\n")
    score = json.loads(daf("score", "starter", "--config", "file.yaml", "--json").stdout)
    assert (score["title"], score["pool"], score["missions"][0]["n"]) == ("filed", ["noop"], 2)
    assert score["episodes"][0]["steps"] == 25
    cross = json.loads(daf("crossplay", "--config", "file.yaml", "-e", "3", "--json").stdout)
    assert (cross["title"], cross["policies"], cross["n"]) == ("filed", ["starter", "noop"], 3)
