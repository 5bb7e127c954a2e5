"""Replays are read lazily, completely and within bounds; a wrong one is refused by file and field."""

import gzip
import json
import os
import zlib

import pytest
from replay_files import WHEEL, minimal

from daf.errors import UsageError
from daf.game.replays import ReplayError, read_replay
from daf.game.replays._content import unpack


def plainly(path):
    return json.loads(zlib.decompress(path.read_bytes()))


def value_at(field, step):
    """What a field's raw JSON says at `step`, found the slow way."""
    changes = isinstance(field, list) and field and all(isinstance(i, list) and len(i) == 2 for i in field)
    if not changes:
        return field
    return [value for at, value in field if at <= step][-1]


@pytest.mark.parametrize(
    ("name", "version", "mission", "agents", "steps", "size"),
    [
        ("pens", 2, None, 24, 256, (60, 60)),
        ("planky", 3, "cogsguard_machina_1.basic", 8, 10_000, (98, 98)),
        ("default", 4, "four_score", 32, 10_000, (130, 130)),
    ],
)
def test_the_replays_in_the_wheel_are_read_whole(name, version, mission, agents, steps, size):
    replay = read_replay(WHEEL / f"{name}.json.z")
    replay.check()
    assert (replay.version, replay.mission, len(replay.agents), replay.steps) == (version, mission, agents, steps)
    assert (replay.width, replay.height) == size


@pytest.mark.parametrize("name", ["pens", "planky"])
def test_every_agent_is_where_the_file_says_at_steps_throughout(name):
    path = WHEEL / f"{name}.json.z"
    replay, raw = read_replay(path), plainly(path)
    agents = sorted((o for o in raw["objects"] if o.get("is_agent")), key=lambda o: o["agent_id"])
    for step in (0, 1, 17, 100, 255, replay.steps - 1):
        state = replay.at(step)
        assert [[a.x, a.y] for a in state.agents] == [value_at(o["location"], step)[:2] for o in agents]
        assert [a.total_reward for a in state.agents] == [value_at(o["total_reward"], step) for o in agents]
        actions = [raw["action_names"][value_at(o["action_id"], step)] for o in agents]
        assert [a.action for a in state.agents] == actions


def test_a_replay_that_daf_recorded_reports_the_returns_roles_and_policy(recorded):
    replay = read_replay(recorded)
    raw = plainly(recorded)
    assert (replay.version, replay.steps, replay.mission) == (4, 60, "tutorial")
    assert list(replay.final_rewards()) == pytest.approx(raw["infos"]["episode_rewards"])
    assert {agent.role for agent in replay.at(59).agents} >= {"miner"}
    assert replay.agents[0].policy_infos().at(0)["policy_name"] == "starter"


def test_a_state_has_teams_inventories_and_vibes_as_they_change(write):
    replay = read_replay(write())
    hub = [next(o for o in replay.at(step).objects if o.type == "hub").team for step in range(4)]
    assert hub == [None, "clips", "clips", "cogs"]
    first, last = replay.agent_at(0, 0), replay.agent_at(0, 3)
    assert (first.role, first.inventory, first.vibe) == ("agent", {"hp": 100, "energy": 20}, "default")
    assert (last.role, last.inventory["hp"], last.vibe, last.x, last.total_reward) == ("miner", 90, "heart", 2, 1.5)
    assert next(o for o in replay.at(0).objects if o.type == "hub").inventory == {"carbon": 5}


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bytes])
@pytest.mark.parametrize("name", ["a.json.z", "a.json.gz", "a.json", "a"])
def test_the_content_not_the_name_says_how_a_file_is_packed(tmp_path, pack, name):
    path = tmp_path / name
    path.write_bytes(pack(json.dumps(minimal()).encode()))
    assert read_replay(path).mission == "tiny"


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bytes])
def test_a_file_cut_at_any_byte_is_refused(tmp_path, pack):
    whole = pack(json.dumps(minimal()).encode())
    path = tmp_path / "cut.json.z"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ReplayError, match=r"cut\.json\.z"):
            read_replay(path)


def test_a_replay_from_the_wheel_cut_anywhere_is_refused(tmp_path):
    whole = (WHEEL / "pens.json.z").read_bytes()
    path = tmp_path / "cut.json.z"
    for length in [*range(0, len(whole), 997), *range(len(whole) - 8, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(ReplayError):
            read_replay(path)


def test_flipped_bytes_are_refused_or_read_but_never_crash(tmp_path):
    text = bytearray(json.dumps(minimal()).encode())
    path = tmp_path / "flipped.json"
    refused = 0
    for position in range(0, len(text), 2):
        damaged = bytearray(text)
        damaged[position] ^= 0x15
        path.write_bytes(damaged)
        try:
            replay = read_replay(path)
            replay.check()
            replay.at(replay.steps - 1)
        except ReplayError:
            refused += 1
    assert refused > len(text) // 8


@pytest.mark.parametrize("version", [0, 1, 5, 99])
def test_another_version_is_refused_by_its_number(write, version):
    with pytest.raises(ReplayError, match=f"version {version}.*2, 3 and 4"):
        read_replay(write(version=version))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"map_size": [2000, 4]}, r"map_size\[0\] must be 1 to 1,024, got 2,000"),
        ({"map_size": [0, 4]}, r"map_size\[0\] must be 1 to 1,024, got 0"),
        ({"map_size": [5]}, r"map_size"),
        ({"max_steps": 10**9}, "max_steps must be .*, got 1,000,000,000"),
        ({"max_steps": "many"}, r"max_steps"),
        ({"num_agents": -1}, "num_agents must be .*, got -1"),
        ({"num_agents": 2}, "num_agents is 2, but 1 object is an agent"),
        ({"objects": {}}, "objects"),
        ({"tags": {"team:cogs": "x"}}, "tags"),
    ],
)
def test_a_file_beyond_the_bounds_is_refused_by_the_field(write, changes, says):
    with pytest.raises(ReplayError, match=says) as caught:
        read_replay(write(**changes))
    assert "tiny.json.z" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("location", [9, 1], r"objects\[0\]\.location: \[9, 1\] at step 0 is outside the 5×4 map"),
        ("location", [[0, [1, 1]], [2, [1, -1]]], r"objects\[0\]\.location: \[1, -1\] at step 2"),
        ("location", [[1, [1, 1]]], r"objects\[0\]\.location: its changes must start at step 0"),
        ("total_reward", [[0, 0.0], [0, 1.0]], r"objects\[0\]\.total_reward: its changes must .* be in order"),
        ("total_reward", [[0, 0.0], [4, 1.0]], r"objects\[0\]\.total_reward: a change at step 4.*4 steps"),
        ("total_reward", "much", r"objects\[0\]\.total_reward"),
        ("inventory", [[0, [[0, "x"]]]], r"objects\[0\]\.inventory"),
        ("inventory", [[0, 2**70]], r"objects\[0\]\.inventory"),
        ("action_id", 10**30, r"objects\[0\]\.action_id"),
        ("tag_ids", [[0, 5]], r"objects\[0\]\.tag_ids"),
        ("agent_id", 3, r"objects\[0\]\.agent_id: must be 0 to 0 \(num_agents\), got 3"),
    ],
)
def test_a_wrong_field_is_refused_by_object_and_field(write, field, value, says):
    with pytest.raises(ReplayError, match=says):
        read_replay(write(agent={field: value})).check()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_refused_by_its_place(write, number):
    with pytest.raises(ReplayError, match=r"objects\[0\]\.total_reward\[1\]\[1\] is not a number"):
        read_replay(write(agent={"total_reward": [[0, 0.0], [2, number]]}))


def test_endless_nesting_is_refused(tmp_path):
    path = tmp_path / "deep.json"
    text = json.dumps(minimal())
    path.write_text(text.replace('"infos": {', '"infos": {"deep": ' + "[" * 200_000 + "]" * 200_000 + ", "))
    with pytest.raises(ReplayError, match="nested too deep"):
        read_replay(path)


def test_a_file_that_unpacks_beyond_the_bound_is_refused_without_unpacking_it(tmp_path):
    path = tmp_path / "bomb.json.z"
    path.write_bytes(zlib.compress(b" " * 20_000_000))
    with pytest.raises(ReplayError, match="unpacks to more than 1,000,000 bytes"):
        unpack(path, limit=1_000_000)


def test_bytes_after_the_end_are_refused(write):
    path = write()
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ReplayError, match="4 bytes follow the end"):
        read_replay(path)


def test_a_missing_file_a_directory_and_an_empty_file_have_different_errors(tmp_path):
    with pytest.raises(UsageError, match=r"no replay file .*--save-replays"):
        read_replay(tmp_path / "none.json.z")
    with pytest.raises(UsageError, match="is a directory"):
        read_replay(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(ReplayError, match="is empty"):
        read_replay(tmp_path / "empty")


def test_a_step_or_agent_that_the_episode_lacks_is_refused_with_the_bounds(write):
    replay = read_replay(write())
    with pytest.raises(ReplayError, match="no step 4; it has 4 steps, 0 to 3"):
        replay.at(4)
    with pytest.raises(ReplayError, match="no agent 1; it has 1, 0 to 0"):
        replay.agent_at(1, 0)


@pytest.mark.parametrize(
    ("where", "bomb", "says"),
    [
        ('"objects": [', "{}," * 1_300_000, "the number of objects is above 1,200,000"),
        ('"objects": [', '{"agent_id":0},' * 20_000, "more than 10,000 objects are agents"),
        ('"infos": {', '"x":[' + "{}," * 2_000_000 + "{}],", "infos has 6,0"),
        ('"item_names": [', '"",' * 2_000_000, "item_names has 6,0"),
        ('"tags": {', ",".join(f'"{n}":1' for n in range(400_000)) + ",", "tags has 4,"),
        ('"location": [', "[]," * 3_000_000, r"objects\[0\]\.location: about 3,000,00\d lists"),
    ],
    ids=["objects", "agents", "infos", "item names", "tags", "changes"],
)
def test_a_file_with_more_of_anything_than_a_replay_can_have_is_refused_by_name(tmp_path, where, bomb, says):
    path = tmp_path / "bomb.json"
    path.write_text(json.dumps(minimal()).replace(where, where + bomb, 1))
    with pytest.raises(ReplayError, match=says):
        read_replay(path).check()


def test_a_small_file_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path):
    path = tmp_path / "space.json.z"
    path.write_bytes(zlib.compress(b" " * 40_000_000 + json.dumps(minimal()).encode()))
    with pytest.raises(ReplayError, match=r"39,\d+ bytes unpack to more than 33,554,432"):
        read_replay(path)


def test_a_map_with_300000_walls_is_read(tmp_path):
    walls = (f'{{"id": {n}, "type_name": "wall", "location": [{n % 1000}, {n // 1000}]}}' for n in range(5, 300_005))
    path = tmp_path / "large.json.z"
    text = json.dumps(minimal(map_size=[1000, 1000])).replace('"objects": [', '"objects": [' + ",".join(walls) + ",")
    path.write_bytes(zlib.compress(text.encode(), 1))
    replay = read_replay(path)
    assert (len(replay.objects), replay.objects[299_999].type) == (300_004, "wall")


def test_a_pipe_and_a_device_are_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json.z")
    (tmp_path / "zero.json.z").symlink_to("/dev/zero")
    for name in ("pipe.json.z", "zero.json.z"):
        with pytest.raises(ReplayError, match=f"{name}: not a regular file"):
            read_replay(tmp_path / name)
