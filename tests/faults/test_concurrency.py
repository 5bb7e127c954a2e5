"""Many commands at the same time on one output directory and one cache."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.driving import Server, built_shim
from tests.faults.scenarios import EVALUATE, MISSION, PLAY, _stored_episodes

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shim")
    with Server(built_shim(folder), folder) as started:
        yield started


@pytest.mark.parametrize("processes", [12, pytest.param(64, marks=pytest.mark.slow)])
def test_processes_with_overlapping_plans_share_a_cache_and_all_have_right_results(
    server: Server, tmp_path: Path, processes: int
) -> None:
    random = ("evaluate", "-p", "random", "-m", MISSION, "-e", "2", *PLAY)
    commands = [(*random, "--seed", str(42 + place % 3), "--note", str(place)) for place in range(processes)]
    alone = {}
    for place in range(3):
        ran = server.run(commands[place], tmp_path / "alone", mode="off") if _made(tmp_path / "alone") else None
        assert ran is not None
        alone[place] = [(episode["key"], episode["rewards"]) for episode in ran.data()["episodes"]]
    _made(tmp_path / "shared")
    together = server.together(commands, tmp_path / "shared")
    for place, ran in enumerate(together):
        assert ran.code == 0, ran.output
        assert "Traceback" not in ran.stderr
        assert [(e["key"], e["rewards"]) for e in ran.data()["episodes"]] == alone[place % 3]
    assert len({ran.data()["run_dir"] for ran in together}) == processes
    assert _stored_episodes(tmp_path / "shared") == 4  # seeds 42 to 45
    listed = server.run(["runs", "list", "--json"], tmp_path / "shared", mode="off").data()
    assert len(listed["runs"]) == processes
    assert {run["status"] for run in listed["runs"]} == {"completed"}
    again = server.run(EVALUATE, tmp_path / "shared", mode="off")
    assert again.code == 0, again.output


def _made(folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    return True


def test_commands_that_clean_and_list_do_no_harm_to_those_that_play(server: Server, tmp_path: Path) -> None:
    play = [("evaluate", "-p", "random", "-m", MISSION, "-e", "3", "--seed", str(seed), *PLAY) for seed in range(4)]
    others = [
        ("runs", "list", "--json"),
        ("runs", "clean", "--older-than", "0h", "--yes", "--json"),
        ("runs", "clean", "--cache", "--yes", "--json"),
        ("runs", "sql", "select count(*) from episodes", "--json"),
    ]
    ran = server.together([*play, *others, *others], tmp_path)
    for one in ran:
        # A cache in use is not cleared.
        assert one.code == 0 or one.data()["error"]["type"] == "LockedError", one.output
        assert "Traceback" not in one.stderr
    for one in ran[: len(play)]:
        assert one.code == 0, one.output
        assert {episode["status"] for episode in one.data()["episodes"]} == {"ok"}
