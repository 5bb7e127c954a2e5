import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daf.errors import MissionError
from daf.game import mission_files, missions
from daf.game.mission import load_config


def one(text: str, **options: str) -> missions.Mission:
    found = missions.resolve(text, **options)
    assert len(found) == 1
    return found[0]


def test_options_reach_the_config() -> None:
    mission = one("arena,cogs=4,max_steps=500,variants=no_clips+small_50")
    assert (mission.num_agents, mission.max_steps) == (4, 500)
    assert mission.name == "arena,cogs=4,max_steps=500,variants=no_clips+small_50"
    assert not any(name.startswith("clips") for name in mission.config.game.objects)


def test_the_order_of_options_does_not_matter() -> None:
    assert one("arena,max_steps=9,cogs=2") == one("arena,cogs=2,max_steps=9")


def test_resolving_twice_gives_equal_configs() -> None:
    assert one("arena").config_hash == one("arena").config_hash
    one("arena,cogs=3,max_steps=5")
    assert one("arena").config_hash == one("arena").config_hash


def test_a_config_hash_is_the_same_in_another_process() -> None:
    code = "from daf.game import missions; print(missions.resolve('arena')[0].config_hash)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == one("arena").config_hash  # with another seed of `hash`, drawn by each process


@pytest.mark.parametrize("text", ["arena,cogs=4", "tutorial.scout", "exploration_sparse_search_easy"])
def test_a_stored_config_is_the_config(text: str) -> None:
    mission = one(text)
    loaded = load_config(mission.config_json)
    assert loaded == mission.config
    assert loaded.model_dump_json().encode() == mission.config_json


@pytest.mark.parametrize(("older", "name"), [
    ("cogsguard_arena", "arena"), ("cogsguard_machina_1.basic", "machina_1"), ("arena.basic", "arena"),
    ("evals.energy_starved", "energy_starved"),
])  # fmt: skip
def test_older_names_mean_present_missions(older: str, name: str) -> None:
    assert one(older).name == name


def test_sub_missions_keep_their_own_names() -> None:
    found = missions.resolve("tutorial.*")
    assert [m.name for m in found] == ["tutorial.aligner", "tutorial.miner", "tutorial.scout", "tutorial.scrambler"]
    assert len({m.config_hash for m in found}) == 4


def test_a_wildcard_leaves_out_what_cannot_run(caplog: pytest.LogCaptureFixture) -> None:
    found = missions.resolve("easy_*")
    assert [m.name for m in found] == ["easy_small_hearts", "easy_medium_hearts", "easy_large_hearts"]
    assert "easy_hearts_training" in caplog.text


def test_the_other_game_is_reached_by_name() -> None:
    assert one("classic", game="overcogged").num_agents == 2
    with pytest.raises(MissionError, match="--game overcogged has it"):
        missions.resolve("classic")


@pytest.mark.parametrize(("text", "says"), [
    ("arenna", "Nearest: arena"),
    ("arena,cog=4", "Nearest: cogs"),
    ("arena,cogs=99", "takes 1 to 20 cogs, got 99"),
    ("arena,cogs=x", "not an integer"),
    ("arena,cogs=0", "must be from 1"),
    ("arena,cogs=4,cogs=5", "given twice"),
    ("arena,max_steps", "has no value"),
    ("arena,variants=small50", "Nearest: small_50"),
    ("arena.minr", "no mission"),
    ("nothing.yaml", "no mission file"),
    ("zz*", "no mission matches"),
    ("diag*", "can run with its defaults"),
    ("", "is not a mission"),
])  # fmt: skip
def test_a_wrong_mission_is_refused_with_a_way_out(text: str, says: str) -> None:
    with pytest.raises(MissionError, match=says):
        missions.resolve(text)


def test_a_config_file_is_a_mission(tmp_path: Path) -> None:
    config = one("tutorial.miner")
    path = tmp_path / "mine.json"
    path.write_bytes(config.config_json)
    assert one(str(path)).config_hash == config.config_hash
    assert one(f"{path},max_steps=7").max_steps == 7
    with pytest.raises(MissionError, match="cogs applies to named missions"):
        missions.resolve(f"{path},cogs=2")


def test_a_python_file_is_a_mission(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from daf.game import missions\nconfig = missions.resolve('tutorial.miner')[0].config\n")
    assert one(str(path)).config_hash == one("tutorial.miner").config_hash


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"game": {"num_agents": "many"}}))
    with pytest.raises(MissionError, match="is not a mission config"):
        missions.resolve(str(path))


def test_objects_and_pairs_are_missions() -> None:
    config = one("tutorial.miner").config
    assert missions.resolve(config)[0].name == "tutorial"
    assert missions.resolve(("mine", config))[0].name == "mine"
    assert [m.name for m in missions.resolve(["arena", ("mine", config), "arena"])] == ["arena", "mine"]
    with pytest.raises(MissionError, match="two different missions"):
        missions.resolve([("same", config), ("same", one("arena").config)])


@pytest.mark.thorough
def test_the_list_of_missions_that_upstream_cannot_run_is_the_present_one() -> None:
    """Every mission but the two largest, whose maps take seconds, is built once."""
    large = {"easy_large_hearts", "four_score"}
    broken = set()
    for entry in missions.catalogue():
        if entry.name in large:
            continue
        mission = one(entry.name)
        try:
            missions.check_runs(mission)
        except MissionError:
            broken.add(entry.name)
    assert broken == set(missions.NOT_RUNNABLE)


def test_the_evals_that_need_fewer_cogs_run_with_fewer() -> None:
    missions.check_runs(one("diagnostic_memory,cogs=4"))
    with pytest.raises(MissionError, match="4 spawn points"):
        missions.check_runs(one("diagnostic_memory"))


def test_another_step_limit_is_another_mission() -> None:
    mission = one("arena,cogs=2")
    shorter = missions.with_max_steps(mission, 12)
    assert (shorter.name, shorter.max_steps, mission.max_steps) == ("arena,cogs=2,max_steps=12", 12, 1000)
    assert shorter.config_hash == one("arena,cogs=2,max_steps=12").config_hash


@pytest.mark.parametrize(("content", "says"), [
    ("import os\nos._exit(0)\n", "exit code 0"),
    *(pytest.param(*each, marks=pytest.mark.thorough) for each in (
        ("raise SystemExit(3)\n", "exit code 3"),
        ("config = 3\n", "must return a MettaGridConfig"),
        ("config = (\n", r"evil\.py:1: "),
        ("1 / 0\n", "ZeroDivisionError"),
    )),
])  # fmt: skip
def test_a_python_mission_that_gives_no_config_says_why(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "evil.py").write_text(content)
    for look in (missions.resolve, missions.describe):
        with pytest.raises(MissionError, match=says):
            look(str(tmp_path / "evil.py"))


def test_a_python_mission_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mission_files, "SECONDS", 4.0)
    (tmp_path / "evil.py").write_text("while True:\n    pass\n")
    with pytest.raises(MissionError, match=r"did not finish within 4 s"):
        missions.resolve(str(tmp_path / "evil.py"))


def test_no_mission_file_executes_anything_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = f"import os\nopen({str(tmp_path)!r} + f'/ran_in_{{os.getpid()}}', 'w').close()\n"
    (tmp_path / "evil.py").write_text(
        f"{trap}from daf.game import missions\nconfig = missions.resolve('arena')[0].config"
    )
    (tmp_path / "evil_builder.py").write_text(f"{trap}class Builder: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = json.loads(one("tutorial.miner").config_json)
    config["game"]["map_builder"]["type"] = "evil_builder.Builder"
    (tmp_path / "evil.json").write_text(json.dumps(config))
    assert missions.describe(str(tmp_path / "evil.py"))[0]["agents"] == one("arena").num_agents
    with pytest.raises(MissionError):
        missions.describe(str(tmp_path / "evil.json"))
    missions.resolve(str(tmp_path / "evil.py"))
    ran = {path.name for path in tmp_path.glob("ran_in_*")}
    assert len(ran) >= 2
    assert f"ran_in_{os.getpid()}" not in ran


@pytest.mark.parametrize("name", ["lr=1,seed=2/m.json", "a,max_steps=3.json", "m+n.JSON", "päth,cogs=4/m ü.json"])
def test_an_existing_file_comes_before_the_language_of_missions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(one("tutorial.miner").config_json)
    monkeypatch.chdir(tmp_path)
    (plain,) = missions.resolve(name)
    (short,) = missions.resolve(f"./{name},max_steps=7")
    assert plain.config_hash == one("tutorial.miner").config_hash
    assert short.max_steps == 7
    assert missions.with_max_steps(short, 9).name == f"./{name},max_steps=9"
    assert missions.with_default_steps(short, 100).max_steps == 7
    assert mission_files.anchored(f"{name},max_steps=7") == f"{tmp_path}/{name},max_steps=7"


@pytest.mark.parametrize("text", [
    "a" * 200_000, "," * 200_000, "/" * 20_000, "arena,max_steps=" + "9" * 5_000, "arena,max_steps=99999999999", "\0",
    "arena\0", "\udc80", "/", "/.json", "/dev/zero.json", "x" * 300 + ".yaml", "~nobody_here/m.json", "\x1b[31m", "=",
    "arena,=", "arena,,", "[", "[a", "arena,variants=" + "x" * 10_000, "arena,rewards=\x1b", "*" * 500 + "zz", ".py",
    "arena,cogs=-1", "arena,cogs=1e3", "arena,cogs=٣٤٥٦٧",
])  # fmt: skip
def test_absurd_missions_are_refused_in_one_short_sentence(text: str) -> None:
    for look in (missions.resolve, missions.describe):
        with pytest.raises(MissionError) as raised:
            look(text)
        assert len(str(raised.value)) < 2_000
        assert str(raised.value).isprintable()


def test_a_mission_file_that_costs_too_much_is_refused_at_once(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
    )
    (tmp_path / "bomb.yaml").write_text(bomb)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "wide.json").write_text("[" + "1," * 5_000_000 + "1]")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("bomb.yaml", "deep.json", "wide.json", "pipe.json", "zero.yaml"):
        with pytest.raises(MissionError):
            missions.resolve(str(tmp_path / name))
