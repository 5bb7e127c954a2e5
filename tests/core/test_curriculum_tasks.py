"""Tasks from missions and options, against the real missions."""

import pytest

from daf.core.curriculum import TaskGenerationError, from_config
from daf.errors import ConfigError
from daf.game import missions

SMALL = "training_facility_1"


def made(**config):
    return from_config(config, seed=1)


def test_every_mission_meets_every_value_of_every_option():
    curriculum = made(missions=[SMALL, "training_facility_2"], options={"max_steps": [40, 80, 60], "cogs": 2})
    keys = [task.key for task in curriculum.tasks()]
    assert keys == [
        f"{mission},cogs=2,max_steps={steps}" for mission in (SMALL, "training_facility_2") for steps in (40, 80, 60)
    ]
    assert [task.index for task in curriculum.tasks()] == list(range(6))
    for task in curriculum.tasks():
        resolved = missions.resolve(task.mission)[0]
        assert resolved.num_agents == 2
        assert resolved.max_steps == task.axes["max_steps"]


def test_difficulty_follows_the_order_in_which_values_are_written():
    curriculum = made(missions=[SMALL, "training_facility_2"], options={"max_steps": [80, 60, 40]})
    assert [task.difficulty for task in curriculum.tasks()] == [0.0, 0.25, 0.5, 0.5, 0.75, 1.0]


def test_a_span_is_cut_into_buckets_that_cover_it():
    span = {"min": 50, "max": 149, "buckets": 4, "values": 2}
    curriculum = made(missions=[SMALL], options={"max_steps": span})
    found = [(task.axes["max_steps"], missions.resolve(task.mission)[0].max_steps) for task in curriculum.tasks()]
    assert [label for label, _ in found[::2]] == ["50 to 74", "75 to 99", "100 to 124", "125 to 149"]
    for label, steps in found:
        low, high = (int(part) for part in str(label).split(" to "))
        assert low <= steps <= high
    assert len({steps for _, steps in found}) == 8


@pytest.mark.parametrize(
    ("span", "steps"),
    [
        ({"min": 10, "max": 10, "buckets": 1}, [10]),
        ({"min": 1, "max": 4, "buckets": 4}, [1, 2, 3, 4]),
        ({"min": 1, "max": 6, "buckets": 2, "values": 3}, [1, 2, 3, 4, 5, 6]),
        ({"min": 10, "max": 10239, "buckets": 3, "log": True}, [55, 558, 5628]),
        ({"min": 1, "max": 1000, "buckets": 6, "values": 2, "log": True}, None),
    ],
)
def test_spans_give_distinct_ascending_numbers_inside(span, steps):
    curriculum = made(missions=[SMALL], options={"max_steps": span})
    found = [missions.resolve(task.mission)[0].max_steps for task in curriculum.tasks()]
    assert found == sorted(set(found))
    assert span["min"] <= found[0]
    assert found[-1] <= span["max"]
    assert len(found) == span["buckets"] * span.get("values", 1)
    assert steps is None or found == steps


def test_variants_are_combined_as_they_are_written():
    curriculum = made(missions=["arena,cogs=2"], options={"variants": ["none", "no_clips", ["no_clips", "damage"]]})
    assert [task.mission for task in curriculum.tasks()] == [
        "arena,cogs=2", "arena,cogs=2,variants=no_clips", "arena,cogs=2,variants=no_clips+damage",
    ]  # fmt: skip
    assert [task.axes["variants"] for task in curriculum.tasks()] == ["none", "no_clips", "no_clips+damage"]


def test_a_variant_that_changes_nothing_makes_no_second_task(caplog):
    curriculum = made(missions=["arena,cogs=2"], options={"variants": ["none", "small_50"]})  # arena is that small
    assert [task.mission for task in curriculum.tasks()] == ["arena,cogs=2"]
    assert "arena,cogs=2,variants=small_50 is the same task as arena,cogs=2" in caplog.text


def test_wildcards_stand_for_the_missions_that_match():
    curriculum = made(missions=["memory_mystery_path_*"])
    assert [task.mission for task in curriculum.tasks()] == [
        "memory_mystery_path_easy", "memory_mystery_path_medium", "memory_mystery_path_hard",
    ]  # fmt: skip


def test_tasks_of_another_number_of_agents_are_refused_with_a_way_out():
    with pytest.raises(TaskGenerationError, match=r"differ in agents \(3 instead of 2\)") as caught:
        made(missions=[SMALL], options={"cogs": [2, 3]})
    assert "--branch-from" in str(caught.value)
    assert "skip_invalid: true" in str(caught.value)


def test_tasks_of_other_observations_or_actions_are_refused_with_what_differs():
    with pytest.raises(TaskGenerationError, match="observation tokens") as caught:
        made(missions=[SMALL, "arena,cogs=4"])
    assert "view (13×13 instead of 5×5)" in str(caught.value)
    assert "actions (" in str(caught.value)


def test_what_cannot_be_built_is_reported_before_training():
    with pytest.raises(TaskGenerationError, match="Nearest: arena"):
        made(missions=["arenna"])
    with pytest.raises(TaskGenerationError, match=r"1 of 2 tasks cannot be built: .*takes 1 to 4 cogs, got 9"):
        made(missions=[SMALL], options={"cogs": [4, 9]})
    with pytest.raises(TaskGenerationError, match="spawn"):
        made(missions=["diagnostic_charge_up"])
    with pytest.raises(TaskGenerationError, match="no mission matches"):
        made(missions=["nothing_*"])
    with pytest.raises(TaskGenerationError, match="needs missions"):
        made()


def test_invalid_tasks_can_be_left_out_and_are_named(caplog):
    curriculum = made(missions=[SMALL, "arenna"], options={"cogs": [2, 9]}, skip_invalid=True)
    assert [task.key for task in curriculum.tasks()] == [f"{SMALL},cogs=2"]
    assert curriculum.tasks()[0].index == 0
    assert "3 of 4 tasks are left out" in caplog.text
    with pytest.raises(TaskGenerationError, match="No task is left"):
        made(missions=["arenna"], skip_invalid=True)


def test_the_same_task_twice_is_refused():
    with pytest.raises(TaskGenerationError, match="max_steps: 60 is listed twice"):
        made(missions=[SMALL], options={"max_steps": [60, 60]})
    with pytest.raises(TaskGenerationError, match="listed twice"):
        made(missions=[SMALL, "training_facility_*"])


def test_missions_whose_features_mean_something_else_are_distinguished(caplog):
    made(missions=["tutorial.miner", "arena,cogs=4"])
    assert "tokens of arena,cogs=4 and tutorial.miner differ in the meaning of some features" in caplog.text
    caplog.clear()
    made(missions=["tutorial.miner", "tutorial.aligner"])
    assert "differ in the meaning" not in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_stpes": 3}, "Nearest: max_steps"),
        ({"max_steps": 0}, "options.max_steps"),
        ({"max_steps": []}, "options.max_steps"),
        ({"max_steps": "long"}, 'expected an integer, got the text "long"'),
        ({"max_steps": {"min": 10, "max": 5}}, "min 10 is above max 5"),
        ({"max_steps": {"min": 5, "max": 7, "buckets": 4}}, "4 buckets of 1 do not fit between 5 and 7"),
        ({"max_steps": {"min": 5, "max": 700, "bukets": 4}}, "Nearest: buckets"),
        ({"variants": []}, "options.variants"),
    ],
)
def test_wrong_options_are_refused_by_field(options, said):
    with pytest.raises(ConfigError, match=said):
        made(missions=[SMALL], options=options)


def test_a_curriculum_from_yaml_draws_the_same_as_from_python(tmp_path):
    from daf.core.curriculum import DAFCurriculumConfig

    path = tmp_path / "curriculum.yaml"
    config = DAFCurriculumConfig(
        missions=[SMALL], options={"max_steps": {"min": 40, "max": 80, "buckets": 2}}, sampler={"name": "plr"}
    )
    config.to_yaml(path)
    one, other = from_config(config, seed=3), from_config(DAFCurriculumConfig.from_yaml(path), seed=3)
    assert one.tasks() == other.tasks()
    assert [one.draw(0, episode) for episode in range(20)] == [other.draw(0, episode) for episode in range(20)]
