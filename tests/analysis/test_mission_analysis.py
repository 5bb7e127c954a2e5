import json
from dataclasses import replace
from pathlib import Path

import pytest

from daf.errors import MetricError, MissionError, UsageError
from daf.evaluation import Settings
from daf.game.missions import resolve
from daf.mission_analysis import (
    Performances,
    daf_analyze_mission,
    daf_analyze_mission_performance,
    daf_analyze_mission_set,
    daf_analyze_mission_variants,
    daf_discover_missions_from_readme,
    daf_get_mission_metadata,
    daf_list_all_sites,
    daf_list_all_variants,
    daf_validate_mission_set,
    perform,
)
from daf.mission_analysis.facts import analysis_of
from daf.mission_analysis.page import mission_page
from daf.mission_analysis.sets import difference
from daf.mission_analysis.success import criterion, default_criterion
from daf.mission_analysis.watching import series_for
from daf.output_manager import OutputManager
from tests.conftest import SMALL, SMALLEST

SETTINGS = Settings(episodes=3, report=False, resamples=500, executor="serial")


@pytest.fixture(scope="module")
def played(output: OutputManager) -> Performances:
    return perform(SMALL, ["starter", "noop"], settings=SETTINGS, output=output)


def test_earlier_runs_show_how_often_a_mission_was_mastered(tmp_path: Path) -> None:
    output = OutputManager(tmp_path)
    assert daf_analyze_mission("memory_mystery_path_easy", output_manager=output).success_rate is None
    settings = replace(SETTINGS, episodes=4)
    first = perform("memory_mystery_path_easy", ["substrate_memory", "noop"], settings=settings, output=output)
    perform(
        "memory_mystery_path_easy", ["noop"], settings=replace(settings, episodes=6), output=OutputManager(tmp_path)
    )
    found = daf_analyze_mission("memory_mystery_path_easy", output_manager=OutputManager(tmp_path))
    solver = next(row for row in first.rows if row.policy == "substrate_memory")
    assert {row.policy: row.episodes for row in found.recorded} == {"substrate_memory": 4, "noop": 6}
    assert found.recorded[0].rate == solver.success_rate == found.success_rate
    assert found.success_rate == 1.0
    assert not daf_analyze_mission(SMALL, output_manager=OutputManager(tmp_path)).recorded


def test_a_mission_says_what_it_is(tmp_path: Path) -> None:
    found = daf_analyze_mission("arena", output_manager=OutputManager(tmp_path))
    assert found.agents == 8
    assert found.cogs_range == (1, 20)
    assert found.map_size == (50, 50)
    assert found.roles == ("aligner", "scrambler", "miner", "scout")
    assert found.gatherable == ("oxygen", "carbon", "germanium", "silicon")
    assert (found.teams, found.opponents) == (("cogs",), ("clips",))
    assert found.move_cost == {"energy": 4}
    assert found.reward_terms[0].teams == ("cogs",)
    assert found.criterion == "agent.junction.aligned_by_agent@sum >= 1"
    assert found.success_rate is None
    assert found.problem is None
    assert "move_north" in found.actions
    assert "no_clips" in found.variants


def test_a_mission_that_cannot_run_says_why() -> None:
    found = daf_get_mission_metadata("diagnostic_memory")
    assert "4 spawn points" in found["problem"]
    assert "performance" not in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tutorial.aligner", "agent.junction.aligned_by_agent@sum >= 1"),
        ("tutorial.scrambler", "agent.junction.scrambled_by_agent@sum >= 1"),
        ("memory_mystery_path_easy", "agent.goal.reached@sum >= 1"),
        ("four_score", "agent.junction.aligned_by_agent@sum >= 1"),
        ("tutorial.miner", "reward > 0"),
        ("empty", None),
    ],
)
def test_success_is_what_the_reward_pays_for(name: str, expected: str | None) -> None:
    found = default_criterion(resolve(name)[0])
    assert (found.text if found else None) == expected


@pytest.mark.parametrize("text", ["reward", "reward >= lots", "reward = 1", "reward >= nan", ">= 1", "", "a >= 1 or b"])
def test_a_criterion_that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"METRIC|must be a number|must be finite|is not a metric"):
        criterion(text)


def test_every_condition_of_a_criterion_counts(played: Performances) -> None:
    record = next(r for r in played.evaluation.result.records if r.spec.name == "starter")
    steps = record.played.steps
    assert criterion(f"steps >= {steps} and reward > -99").fulfilled(record)
    assert not criterion(f"steps >= {steps} and reward > 99").fulfilled(record)
    assert criterion(f"steps >= {2 * steps}").completion(record) == 0.5


def test_performance_is_that_of_the_episodes(played: Performances) -> None:
    starter, noop = played.rows
    records = [r for r in played.evaluation.result.records if r.spec.name == "starter"]
    assert starter.mean_reward == pytest.approx(sum(r.reward_per_agent() for r in records) / 3)
    assert starter.successes == sum(r.reward_per_agent() > 0 for r in records)
    assert starter.success_ci is not None
    assert starter.success_ci[0] <= starter.success_rate <= starter.success_ci[1]  # type: ignore[operator]
    assert noop.success_rate == 0
    assert noop.roles == {"no gear": 4.0}
    assert sum(starter.roles.values()) == 4
    assert next(e for e in starter.key_events if e.name == "miner gear").happened > 0


def test_noop_never_moves_and_has_a_replay_to_show_it(played: Performances) -> None:
    mode = played.rows[1].failure_modes[0]
    assert (mode.name, mode.agents, mode.episodes) == ("never_moves", 12, 3)
    assert mode.example.replay is not None
    assert (played.evaluation.run_dir / mode.example.replay).stat().st_size > 100


def test_an_interval_longer_than_the_episode_leaves_what_the_counters_say(output: OutputManager) -> None:
    settings = replace(SETTINGS, episodes=1, series=series_for(resolve(SMALL)[0], interval=1000))
    found = perform(SMALL, ["noop"], settings=settings, output=output).rows[0]
    assert found.failure_modes[0].name == "never_moves"
    assert found.held == ()
    assert found.roles == {"no gear": 4.0}


def test_a_mission_of_ones_own_is_analysed_as_any(output: OutputManager, tmp_path: Path) -> None:
    mission = resolve("tutorial.miner,max_steps=20")[0]
    path = tmp_path / "own.json"
    path.write_bytes(mission.config_json)
    of_file, of_pair = daf_analyze_mission(path), daf_analyze_mission(("mine", mission.config))
    assert (of_file.name, of_pair.name) == (str(path), "mine")
    assert of_file.cogs_range is None
    assert of_file.variants == {}
    assert of_file.criterion == of_pair.criterion == "reward > 0"
    with pytest.raises(MissionError, match="custom config"):
        daf_analyze_mission_variants(("mine", mission.config), ["no_clips"])
    found = perform(("mine", mission.config), ["noop"], settings=replace(SETTINGS, episodes=1), output=output)
    assert found.rows[0].mission == "mine"


def test_a_mixed_team_reports_whose_agents_fail(output: OutputManager) -> None:
    found = perform(SMALL, [], teams=["miner=2,noop=2"], settings=SETTINGS, output=output).rows[0]
    still = next(mode for mode in found.failure_modes if mode.name == "never_moves")
    assert still.by_policy == {"noop": (6, 6)}
    assert still.agents == 6


def test_the_same_analysis_again_plays_nothing(played: Performances, output: OutputManager) -> None:
    again = perform(SMALL, ["starter", "noop"], settings=SETTINGS, output=OutputManager(output.base_dir))
    assert again.evaluation.result.played == 0
    assert again.rows == played.rows


def test_the_page_shows_the_finding_and_escapes_names(played: Performances) -> None:
    rows = (replace(played.rows[0], policy="<b>x</b>"), played.rows[1])
    page = mission_page(analysis_of(played.mission, rows), command="daf", run_id="1")
    assert "noop succeeds in 0 of 3 episodes (most common failure: never moves, 12 of 12 agents)" in page
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert page.count("<svg") >= 3


def test_a_success_metric_that_the_mission_never_counts_is_refused(output: OutputManager) -> None:
    with pytest.raises(MetricError, match=r"Nearest: .*agent\.heart\.gained"):
        perform(SMALL, ["noop"], success="agent.hart.gained >= 1", settings=SETTINGS, output=output)


def test_success_by_an_own_criterion_counts_zero_where_nothing_moved(output: OutputManager) -> None:
    found = daf_analyze_mission_performance(
        "noop", SMALL, success="agent.junction.aligned_by_agent >= 1", settings=SETTINGS, output_manager=output
    )
    assert (found.success_rate, found.completion) == (0.0, 0.0)
    assert found.criterion_stated


def test_a_mission_with_policies_has_the_success_rate_of_the_best(output: OutputManager) -> None:
    found = daf_analyze_mission(SMALLEST, ["noop"], success="steps >= 1", settings=SETTINGS, output_manager=output)
    assert found.success_rate == 1.0


def test_missions_are_ordered_by_what_the_best_policy_makes_of_them(output: OutputManager) -> None:
    names = ["memory_mystery_path_easy", SMALL]
    found = daf_analyze_mission_set(names, ["noop", "substrate_memory"], settings=SETTINGS, output_manager=output)
    assert found.order == ("memory_mystery_path_easy", SMALL)
    rates = {(row.mission, row.policy): row.success_rate for row in found.outcomes}
    assert rates["memory_mystery_path_easy", "substrate_memory"] == 1.0
    assert rates["memory_mystery_path_easy", "noop"] == 0.0
    assert found.invalid == []


def test_a_variant_is_the_difference_of_the_configs() -> None:
    (talk, small) = daf_analyze_mission_variants("arena", ["talk", "small_50"])
    changed = {change.path: (change.before, change.after) for change in talk.changes}
    assert changed["game.talk.enabled"] == (False, True)
    assert small.changes == ()
    (clips,) = daf_analyze_mission_variants("arena", ["no_clips"])
    events = next(change for change in clips.changes if change.path == "game.events.neutral_to_clips_r*")
    assert events.after is None
    assert events.count > 50
    with pytest.raises(MissionError, match="no_clips"):
        daf_analyze_mission_variants("arena", ["no_clip"])


def test_differences_match_named_items_and_say_each_once() -> None:
    before = {"list": [{"name": "a", "x": 1}, {"name": "b", "x": 2}], "gone": {"deep": {"er": 1}}, "same": [1, 2]}
    after = {"list": [{"name": "b", "x": 3}, {"name": "a", "x": 1}], "same": [1, 2]}
    found = {change.path: (change.before, change.after) for change in difference(before, after)}
    assert found == {"list[b].x": (2, 3), "gone": ({"deep": {"er": 1}}, None)}


def test_a_set_is_validated_mission_by_mission() -> None:
    found = daf_validate_mission_set(["arena", "diagnostic_memory", "arenna"])
    assert found["arena"] is None
    assert "4 spawn points" in str(found["diagnostic_memory"])
    assert "Nearest: arena" in str(found["arenna"])


def test_sites_and_variants_are_the_games_own() -> None:
    assert {"arena", "machina_1"} <= set(daf_list_all_sites())
    assert "tutorial.miner" not in daf_list_all_sites()
    assert daf_list_all_variants()["no_clips"]


def test_a_text_names_missions_in_its_code_only(tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    text.write_text(
        "The arena is here.\n`machina_1` and\n```\ncogames play -m tutorial.miner\n```\n-m evals.energy_starved"
    )
    assert daf_discover_missions_from_readme(text) == ["machina_1", "tutorial.miner", "energy_starved"]


def test_failed_episodes_are_reported_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from daf.cli.main import main

    arguments = ["mission", SMALLEST, "-p", "chaos-monkey", "-p", "noop", "-e", "2", "--executor", "serial"]
    monkeypatch.setattr("sys.argv", ["daf", "analyze", *arguments, "--output-dir", str(tmp_path), "-q"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    output = capsys.readouterr().out
    assert "2 of 4 episodes failed (chaos-monkey: 2)" in output
    assert "First failure: chaos-monkey" in output
    page = next(tmp_path.rglob("analysis.html")).read_text()
    assert "2 of 4 episodes failed (chaos-monkey: 2)" in page


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["mission", SMALLEST], 0),
        (["mission", SMALLEST, "-p", "noop", "-e", "2", "--executor", "serial"], 0),
        (["missions", SMALLEST, "--variants", "talk"], 0),
        (["mission", "tutorial.*"], 2),
        (["mission", SMALLEST, "--success", "reward > 0"], 2),
        (["mission", SMALLEST, "-p", "noop", "--success", "reward >"], 2),
    ],
)
def test_the_command_line_speaks_one_json_object(
    arguments: list[str],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from daf.cli.main import main

    where = ["--output-dir", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["daf", "analyze", *arguments, *where, "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    data = json.loads(capsys.readouterr().out)
    assert stopped.value.code == code
    assert data["status"] == ("ok" if code == 0 else "failed")
    if "-p" in arguments and code == 0:
        assert len(data["episodes"]) == 2
        assert Path(data["run_dir"], "analysis.html").is_file()
        assert data["analysis"]["performance"][0]["failure_modes"][0]["name"] == "never_moves"
