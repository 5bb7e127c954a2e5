"""Two replays are compared to the first step at which they part."""

from replay_files import WHEEL

from daf.game.replays import difference, read_replay


def test_a_replay_does_not_differ_from_itself():
    found = difference(*(read_replay(WHEEL / "pens.json.z") for _ in range(2)))
    assert found.same
    assert (found.step, found.count, found.header) == (None, 0, ())


def test_the_first_parting_step_and_all_that_parts_there_are_named(write):
    a = read_replay(write("a.json.z"))
    b = read_replay(
        write("b.json.z", agent={"location": [[0, [1, 1]], [2, [1, 2]]], "action_id": [[0, 0], [2, 0], [3, 1]]})
    )
    found = difference(a, b)
    assert (found.step, found.count, found.same) == (2, 2, False)
    assert [(c.what, c.field) for c in found.changes] == [("agent 0", "action_id"), ("agent 0", "location")]
    assert (found.changes[1].a, found.changes[1].b) == ([2, 1], [1, 2])
    assert (found.changes[0].a, found.changes[0].b) == ("move_east", "noop")


def test_an_inventory_is_compared_by_its_changes(write):
    a = read_replay(write("a.json.z"))
    changed = [[0, [[0, 100], [1, 20]]], [1, [[0, 90], [1, 20], [2, 1]]], [3, [[0, 80]]]]
    found = difference(a, read_replay(write("b.json.z", agent={"inventory": changed})))
    assert (found.step, [c.field for c in found.changes]) == (3, ["inventory"])
    assert (found.changes[0].a, found.changes[0].b) == ({"hp": 90, "energy": 20, "miner": 1}, {"hp": 80})


def test_messages_of_policies_are_not_part_of_the_episode(write):
    a = read_replay(write("a.json.z"))
    assert difference(a, read_replay(write("b.json.z", agent={"policy_infos": {"goal": "elsewhere"}}))).same


def test_episodes_on_different_maps_are_not_compared_step_by_step():
    found = difference(*(read_replay(WHEEL / f"{name}.json.z") for name in ("pens", "planky")))
    assert not found.compared
    assert ("width", 60, 98) in [(c.field, c.a, c.b) for c in found.header]
    assert (found.step, found.changes) == (None, ())


def test_episodes_of_other_missions_and_lengths_say_so(write):
    a = read_replay(write("a.json.z"))
    found = difference(a, read_replay(write("b.json.z", max_steps=5, mg_config={"label": "other"})))
    assert [(c.field, c.a, c.b) for c in found.header] == [("mission", "tiny", "other"), ("steps", 4, 5)]
    assert found.step is None
    assert not found.same
