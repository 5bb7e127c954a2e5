"""What is equal by content counts once, under whatever names it is given."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daf.comparison import daf_compare_policies
from daf.config.sweep import DAFSweepConfig
from daf.core.curriculum.tasks import CurriculumOptions, generate
from daf.crossplay import daf_crossplay
from daf.dashboard._comparing import compared
from daf.dashboard._json_files import JsonFiles
from daf.errors import UsageError
from daf.evaluation import Settings, contenders_of, evaluate, results_data
from daf.game import missions as game_missions
from daf.output_manager import OutputManager
from daf.playing.planning import missions_of
from daf.reporting._leaderboard import leaderboard
from daf.scoring_analysis import daf_score
from daf.sweeps.preparing import prepare
from daf.visualization.training_data import seeds_together, training_groups

SMALL = "training_facility_1,max_steps=40"
SAME = "training_facility_1,max_steps=40,cogs=4"
"""The mission SMALL under another name: 4 cogs are its default."""


def settings(episodes: int = 6, **others: object) -> Settings:
    return Settings(episodes=episodes, executor="serial", report=False, **others)  # type: ignore[arg-type]


def names(missions: list[game_missions.Mission]) -> list[tuple[str, tuple[str, ...]]]:
    return [(mission.name, mission.also) for mission in missions]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("missions") / "copy.json"
    path.write_bytes(game_missions.resolve(SMALL)[0].config_json)
    return path


def test_a_mission_under_three_names_is_one_mission(file: Path) -> None:
    found = game_missions.resolve([SMALL, SAME, str(file), "training_facility_1,max_steps=41"])
    assert names(found) == [
        (SMALL, ("training_facility_1,cogs=4,max_steps=40", str(file))),
        ("training_facility_1,max_steps=41", ()),
    ]


def test_a_label_makes_no_other_mission() -> None:
    config = game_missions.resolve(SMALL)[0].config
    other = config.model_copy(update={"label": "mine"})
    assert names(game_missions.resolve([("a", config), ("b", other)])) == [("a", ("b",))]


def test_missions_that_become_equal_by_the_step_limit_are_one() -> None:
    found = missions_of(["training_facility_1", "training_facility_1,cogs=4,max_steps=40"], settings(max_steps=40))
    assert names(found) == [("training_facility_1,max_steps=40", ("training_facility_1,cogs=4,max_steps=40",))]


def test_a_second_name_of_a_mission_changes_neither_n_nor_p(tmp_path: Path, file: Path) -> None:
    found = {}
    for given in ((SMALL,), (SMALL, SAME, str(file))):
        report = daf_compare_policies(
            ["starter", "noop"], list(given), 6, executor="serial", output_manager=OutputManager(tmp_path)
        )
        (found[given],) = report.pairwise_comparisons.values()
        assert report.missions == [SMALL]
    once, merged = found.values()
    assert merged == once
    assert merged.episodes == 6
    assert merged.p_value >= 2 / 2**6
    expected = f"training_facility_1,cogs=4,max_steps=40 and {file} are the same mission as {SMALL}: it counts once."
    assert expected in report.notes
    plan = json.loads((report.evaluation.run_dir / "plan.json").read_text())  # type: ignore[union-attr]
    assert plan["missions"][0]["also"] == ["training_facility_1,cogs=4,max_steps=40", str(file)]


def test_the_same_weights_under_two_names_are_one_policy(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_bytes(b"the same")
    policies = [f"class=noop,data={tmp_path / name / 'weights.bin'}" for name in ("one", "two")]
    (only,) = contenders_of(policies, [], cache=tmp_path, runs=None)
    assert only.name == "noop[weights.bin]"
    assert only.policies[0].also == (f"noop[{tmp_path / 'two' / 'weights.bin'}]",)


def test_a_comparison_of_a_policy_with_itself_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"at least two different policies .* starter is given more than once"):
        daf_compare_policies(["starter", "baseline"], SMALL, output_manager=OutputManager(tmp_path))
    assert not list(tmp_path.glob("comparisons/*"))


def test_a_copy_in_the_pool_has_no_second_share(tmp_path: Path) -> None:
    values = []
    for pool in (["noop", "random"], ["noop", "class=noop,name=copy", "random"]):
        report = daf_score("starter", pool, SMALL, settings=settings(2), output=OutputManager(tmp_path))
        values.append((report.pool, report.analysis.value))
    assert values[0] == values[1]
    assert any("copy is the same policy as noop" in note for note in report.notes)


def test_a_copy_adds_no_row_to_a_cross_play(tmp_path: Path) -> None:
    report = daf_crossplay(
        ["starter", "noop", "class=noop,name=copy"], SMALL, settings=settings(2), output=OutputManager(tmp_path)
    )
    assert tuple(report.analysis.names) == ("starter", "noop")
    assert any("copy is the same policy as noop" in note for note in report.notes)


def test_equal_tasks_of_a_curriculum_are_one_task(caplog: pytest.LogCaptureFixture) -> None:
    tasks = generate(["training_facility_1", "training_facility_1,cogs=4"], game="cogs_vs_clips")
    assert [task.key for task in tasks] == ["training_facility_1"]
    assert "training_facility_1,cogs=4 is the same task as training_facility_1" in caplog.text
    several = generate(["training_facility_1"], CurriculumOptions(max_steps=[40, 50]), game="cogs_vs_clips")
    assert [task.index for task in several] == [0, 1]


def test_equal_missions_of_a_sweep_count_once(tmp_path: Path) -> None:
    config = DAFSweepConfig(
        name="once",
        missions=[SMALL, SAME],
        policy_class_path="random",
        search_space={"policy.vibe_action_p": [0.1, 0.2]},  # type: ignore[dict-item]
        normalise={SMALL: (0.0, 1.0), SAME: (0.0, 2.0)},
    )
    prepared = prepare(config, OutputManager(tmp_path), jobs=1, executor="serial", use_cache=False)
    assert prepared.config.missions == [SMALL]
    assert prepared.config.normalise == {SMALL: (0.0, 1.0)}


def test_a_run_that_is_given_twice_adds_no_block_to_a_leaderboard(tmp_path: Path) -> None:
    found = evaluate(["starter", "noop"], SMALL, settings=settings(3), output=OutputManager(tmp_path))
    shutil.copytree(found.run_dir, found.run_dir.with_name(f"{found.run_id}_copy"))
    once = leaderboard([found.run_dir], base_dir=tmp_path)
    twice = leaderboard([found.run_dir, found.run_dir.with_name(f"{found.run_id}_copy"), found], base_dir=tmp_path)
    assert (twice.blocks, len(twice.rows)) == (once.blocks, len(once.rows)) == (3, 2)
    assert [row.summary for row in twice.rows] == [row.summary for row in once.rows]
    assert results_data(found)["summary"]["episodes"] == 6


def test_runs_are_compared_by_the_content_of_their_missions(tmp_path: Path, file: Path) -> None:
    runs = {
        name: evaluate([policy], mission, settings=settings(2), output=OutputManager(tmp_path)).run_dir
        for name, policy, mission in (("a", "starter", SMALL), ("b", "noop", str(file)), ("c", "random", SAME))
    }
    found = compared(runs, JsonFiles())["evaluation"]
    assert (found["note"], found["blocks"], found["missions"]) == (None, 2, [SMALL])
    assert len(found["ranking"]) == 3
    changed = tmp_path / "copy.json"
    changed.write_bytes(game_missions.resolve("training_facility_1,max_steps=30")[0].config_json)
    other = evaluate(
        ["noop"],
        ("copy", game_missions.resolve(str(changed))[0].config),
        settings=settings(2),
        output=OutputManager(tmp_path),
    ).run_dir
    assert "have no episode" in compared({"a": runs["a"], "d": other}, JsonFiles())["evaluation"]["note"]


@pytest.fixture
def trained(tmp_path: Path) -> Callable[[str, int, float], Path]:
    """Makes the folder of a finished training run."""

    def make(name: str, seed: int, shift: float) -> Path:
        folder = tmp_path / "training" / name
        folder.mkdir(parents=True)
        curve = np.linspace(0, 1, 5) + shift
        lines = [
            {"step": 10 * i, "episode/return": value, "loss/policy": value / 3, "clock/seconds": seed + i}
            for i, value in enumerate(curve.tolist())
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        training = {"hyperparameters": {"seed": seed, "gamma": 0.9}, "mission": "m", "policy": "p"}
        (folder / "training.json").write_text(json.dumps(training))
        return folder

    return make


def test_a_copied_training_run_is_no_second_seed(
    trained: Callable[[str, int, float], Path], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = trained("a", 1, 0.0), trained("b", 2, 0.1)
    copy = Path(shutil.copytree(first, first.with_name("copy")))
    ((label, runs),) = seeds_together([first, second, copy, first]).items()
    assert (label.endswith("(2 seeds)"), len(runs)) == (True, 2)
    assert f"{copy} is the same training run as {first}" in caplog.text
    assert len(training_groups({"one": [first, second, copy]})["one"]) == 2


def test_a_second_run_of_one_seed_is_no_independent_repetition(
    trained: Callable[[str, int, float], Path], caplog: pytest.LogCaptureFixture
) -> None:
    first, again = trained("a", 1, 0.0), trained("b", 1, 0.1)
    ((_, runs),) = seeds_together([first, again]).items()
    assert len(runs) == 1
    assert f"{again} is omitted: it has the same settings and seed (1) as {first}" in caplog.text
