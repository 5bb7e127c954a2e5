"""`daf score`: CoGames' numbers to the bit, and what it adds to them."""

import random
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from daf.errors import DataError, UsageError
from daf.evaluation import Settings
from daf.game import missions as game_missions
from daf.game import scoring
from daf.game.scoring import ScoredEpisode
from daf.output_manager import OutputManager
from daf.playing.contenders import policies_of, team
from daf.playing.planning import plan_teams
from daf.scoring_analysis import ScoreReport, daf_score, score_data

MINER = "tutorial.miner,max_steps=40"
TWO = "tutorial.miner,cogs=2,max_steps=30"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


def settings(**changes: object) -> Settings:
    return Settings(**{"episodes": 4, "executor": "serial", "jobs": 1, "resamples": 2000, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def report(folder: Path) -> ScoreReport:
    return daf_score(
        "starter",
        ["noop", "miner"],
        [MINER, TWO],
        settings=settings(episodes=6),
        output=OutputManager(folder),
        precision=0.5,
    )


def test_as_pickup_plays_and_scores_what_cogames_pickup_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cogames import pickup
    from rich.console import Console

    played = []
    rollout = pickup.run_multi_episode_rollout

    def listening(**arguments: object) -> object:
        result, paths = rollout(**arguments)
        played.append([(tuple(e.assignments), tuple(e.rewards)) for e in result.episodes])
        return result, paths

    monkeypatch.setattr(pickup, "run_multi_episode_rollout", listening)
    output = OutputManager(folder)
    mine = daf_score(
        "starter",
        ["noop", "miner"],
        "tutorial.miner,cogs=4,max_steps=40",
        settings=settings(episodes=2, seed=50, enforce_timeouts=250),
        as_pickup=True,
        output=output,
    )
    players = policies_of(["starter", "noop", "miner"], mine_cache(mine), output)
    mission = game_missions.resolve("tutorial.miner,cogs=4,max_steps=40")[0]
    console = Console(file=StringIO(), width=200)
    pickup.pickup(
        console,
        players[0].spec(),
        [policy.spec() for policy in players[1:]],
        env_cfg=mission.config.model_copy(deep=True),
        mission_name="tutorial.miner",
        episodes=2,
        seed=50,
        map_seed=None,
        action_timeout_ms=250,
        save_replay_dir=None,
        device="cpu",
    )
    ours: dict[int, list[tuple[tuple[int, ...], tuple[float, ...]]]] = {}
    for planned, record in zip(mine.result.planned, mine.result.records, strict=True):
        scenario = mine.teams[record.spec.mission][mine.result.plan.contenders[planned.contender].name]
        there = [index for index, count in enumerate((scenario.candidate, *scenario.pool)) if count]
        seats = tuple(there[index] for index in record.spec.assignment)
        ours.setdefault(scenario.candidate, []).append((seats, record.played.rewards))
    assert [ours[count] for count in (4, 3, 2, 1, 0)] == played
    assert len({rewards for episodes in played for _, rewards in episodes}) > 2
    text = console.file.getvalue()  # type: ignore[attr-defined]
    overall = re.search(r"Overall VOR (-?[\d.]+)", text)
    assert overall is not None
    assert overall.group(1) == f"{mine.analysis.value:.2f}"
    for scenario in mine.analysis.missions[0].scenarios:
        assert re.search(rf"miner-{scenario.label} .* {scenario.mean:.2f}\b", text), (scenario, text)


def mine_cache(report: ScoreReport):
    from daf.episodes.cache import EpisodeCache

    return EpisodeCache(report.run.cache)


def test_vor_is_upstreams_to_the_bit() -> None:
    from metta_alo.scoring import VorTotals, overall_value_over_replacement, summarize_vor_scenario
    from mettagrid.simulator.multi_episode.rollout import EpisodeRolloutResult, MultiEpisodeRolloutResult
    from mettagrid.types import EpisodeStats

    draws = random.Random(3)
    for agents in (1, 3, 8):
        episodes, totals = {}, VorTotals()
        for scenario in scoring.scenarios(agents, 2):
            seats = [index for index, n in enumerate((scenario.candidate, *scenario.pool)) for _ in range(n)]
            drawn = []
            for _ in range(5):
                draws.shuffle(seats)
                drawn.append(ScoredEpisode(tuple(seats), tuple(draws.gauss(0, 1) for _ in seats)))
            episodes[scenario.candidate] = drawn
            rollout = MultiEpisodeRolloutResult(
                episodes=[
                    EpisodeRolloutResult(
                        assignments=list(e.assignment),
                        rewards=list(e.rewards),
                        action_timeouts=[],
                        stats=EpisodeStats(game={}, agent=[]),
                        replay_path=None,
                        steps=1,
                        max_steps=1,
                    )
                    for e in drawn
                ]
            )
            count = scenario.candidate
            totals.update(count, summarize_vor_scenario(rollout, candidate_policy_index=0, candidate_count=count))
        expected = overall_value_over_replacement(
            totals.total_candidate_weighted_sum, totals.total_candidate_agents, totals.replacement_mean
        )
        found = scoring.vor(episodes)
        assert found.overall == expected
        assert found.replacement == totals.replacement_mean


def test_scenarios_go_from_all_agents_to_none_with_the_pool_shared_equally() -> None:
    found = scoring.scenarios(4, 2)
    assert [(team.candidate, team.pool) for team in found] == [
        (4, (0, 0)), (3, (1, 0)), (2, (1, 1)), (1, (2, 1)), (0, (2, 2)),
    ]  # fmt: skip


def test_teams_differ_in_one_agent_from_scenario_to_scenario(report: ScoreReport) -> None:
    seats: dict[int, dict[int, set[int]]] = {}
    for planned, record in zip(report.result.planned, report.result.records, strict=True):
        if record.spec.mission != MINER:
            continue
        scenario = report.teams[MINER][report.result.plan.contenders[planned.contender].name]
        candidate = record.agents_of(0) if scenario.candidate else []
        seats.setdefault(planned.index, {})[scenario.candidate] = set(candidate)
    for block in seats.values():
        assert [len(block[count]) for count in range(5)] == [0, 1, 2, 3, 4]
        assert all(block[count] < block[count + 1] for count in range(4))
    assert len({tuple(block[1]) for block in seats.values()}) > 1


def test_missions_count_the_same_and_intervals_hold_the_points(report: ScoreReport) -> None:
    analysis = report.analysis
    assert analysis.value == pytest.approx(np.mean([score.value for score in analysis.missions]))
    assert analysis.n == 12
    assert [score.agents for score in analysis.missions] == [4, 2]
    for score in analysis.missions:
        weights = [(s.candidate, s.value) for s in score.scenarios if s.value is not None]
        assert score.value == pytest.approx(sum(c * v for c, v in weights) / sum(c for c, _ in weights))
        assert score.value_ci is not None
        assert score.value_ci[0] <= score.value <= score.value_ci[1]


def test_a_run_leaves_pages_tables_and_the_figure(report: ScoreReport) -> None:
    for name in ("report.html", "REPORT.md", "results.json", "stats/episodes.duckdb", "visualizations/vor.png"):
        assert (report.run_dir / name).stat().st_size > 500, name
    page = (report.run_dir / "report.html").read_text()
    assert "c3-r1" in page
    assert MINER in page
    assert len(list((report.run_dir / "records").iterdir())) == len(report.result.records)


def test_the_same_score_again_plays_nothing_and_finds_the_same(report: ScoreReport, folder: Path) -> None:
    again = daf_score(
        "starter",
        ["noop", "miner"],
        [MINER, TWO],
        settings=settings(episodes=6),
        output=OutputManager(folder),
        precision=0.5,
    )
    assert again.result.played == 0
    assert again.cached
    changing = {"cached", "episodes", "summary"}
    first, second = ({k: v for k, v in score_data(r).items() if k not in changing} for r in (report, again))
    assert first == second


def test_a_candidate_against_itself_is_worth_nothing(folder: Path) -> None:
    found = daf_score("starter", ["starter"], MINER, settings=settings(episodes=2), output=OutputManager(folder))
    assert found.analysis.missions[0].scenarios[0].value == 0.0
    assert found.pool == ("starter#2",)


def test_an_empty_pool_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="the pool is empty"):
        daf_score("starter", [], MINER, settings=settings(), output=OutputManager(folder))


def test_a_mission_with_fewer_agents_than_the_pool_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"has 2 agents, fewer than the 3 policies of the pool"):
        daf_score("starter", ["noop", "miner", "scout"], TWO, settings=settings(), output=OutputManager(folder))


def test_a_failing_policy_gives_no_score_but_its_reason(folder: Path, bad_policies: str) -> None:
    with pytest.raises(DataError, match="I give up"):
        daf_score(
            f"class={bad_policies}.Raises", ["noop"], MINER, settings=settings(episodes=1), output=OutputManager(folder)
        )


def test_plans_of_teams_share_their_seeds(folder: Path) -> None:
    output = OutputManager(folder)
    from daf.episodes.cache import EpisodeCache

    players = policies_of(["starter", "noop"], EpisodeCache(folder / "cache"), output)
    mission = game_missions.resolve(MINER)[0]
    teams = [team(players, counts) for counts in ((4, 0), (2, 2), (0, 4))]
    plan = plan_teams([mission], [teams], settings())
    assert [(item.index, item.contender) for item in plan.episodes[:4]] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert {item.spec.seed for item in plan.episodes if item.index == 3} == {45}


def test_a_comparison_with_vor_shares_its_episodes_with_the_score(folder: Path) -> None:
    from daf.comparison import daf_compare_with_vor

    found = daf_compare_with_vor("starter", ["noop"], MINER, 3, executor="serial", output_dir=folder / "both")
    assert found.comparison.policies == ["starter", "noop"]
    assert found.vor == found.score.analysis.value
    assert found.comparison.evaluation is not None
    assert found.comparison.evaluation.result.played == 0
    alone = next(s for s in found.score.analysis.missions[0].scenarios if s.candidate == 4)
    assert alone.mean == pytest.approx(found.comparison.policy_averages["starter"])
