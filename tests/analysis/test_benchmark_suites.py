import json
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from daf.benchmark_suites import SUITES, BenchmarkReport, daf_benchmark_suite
from daf.benchmark_suites._leaderboard import BoardScore, Terms, add, read
from daf.benchmark_suites._scoring import score
from daf.errors import DataError, UsageError
from daf.evaluation import Settings
from daf.game.missions import catalogue
from daf.output_manager import OutputManager

SETTINGS = Settings(episodes=2, report=False, executor="serial", resamples=500)
TERMS = Terms("standard", 1, 42, 10, None, "0.25.7", "0.25.5")


@pytest.fixture(scope="module")
def report(output: OutputManager) -> BenchmarkReport:
    specs = ["substrate_memory", "noop", "random"]
    return daf_benchmark_suite(specs, "diagnostic", settings=SETTINGS, output_manager=output)


def test_every_suite_names_missions_that_run() -> None:
    runnable = {entry.name: entry.kind for entry in catalogue() if entry.problem is None}
    named = {name: [entry.mission for entry in suite.entries] for name, suite in SUITES.items()}
    assert {mission for missions in named.values() for mission in missions} <= set(runnable)
    evals = [mission for name in ("integrated", "spanning", "diagnostic") for mission in named[name]]
    assert sorted(evals) == sorted(name for name, kind in runnable.items() if kind == "eval")


def test_random_scores_0_and_a_solver_1_where_it_solves(report: BenchmarkReport) -> None:
    overall = {row.name: row.mean for row in report.scores.ranking}
    assert overall["random"] == 0.0
    assert overall["substrate_memory"] == pytest.approx(1 / 3)
    memory = {row.name: row.mean for row in report.scores.by_mission["memory_mystery_path_easy"]}
    assert memory["substrate_memory"] == 1.0
    assert all(scale.used and scale.best_mean == 1.0 for scale in report.scores.scales)
    assert report.scores.ranking[0].name == "substrate_memory"


def test_each_policy_plays_once_though_it_is_reference_too(report: BenchmarkReport) -> None:
    keys = [record.spec.key for record in report.result.records]
    assert len(keys) == len(set(keys)) == 2 * (3 * 3 + 6 * 4)


def test_scores_stand_on_the_leaderboard_and_in_the_run_folder(report: BenchmarkReport) -> None:
    assert report.board[0].policy == "substrate_memory"
    assert report.board_path.name == "diagnostic-v1.jsonl"
    kept = json.loads((report.run_dir / "benchmark.json").read_text())
    assert kept["ranking"][0]["policy"] == "substrate_memory"
    assert len(kept["leaderboard"]) == 3
    page = unescape((report.run_dir / "report.html").read_text())
    assert all(pair.sentence in page for pair in report.scores.pairs if pair.stratum is None)
    assert "every policy gets the same reward" in page


def test_a_policy_that_is_scored_again_stands_there_once(report: BenchmarkReport, output: OutputManager) -> None:
    again = daf_benchmark_suite(
        ["noop"], "diagnostic", settings=SETTINGS, output_manager=OutputManager(output.base_dir)
    )
    assert again.result.played == 0
    assert [row.policy for row in again.board].count("noop") == 1
    assert {row.policy for row in again.board} == {row.policy for row in report.board}


def test_scores_are_paired_differences_in_units_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    random, best = rng.normal(1.0, 0.1, 12), rng.normal(5.0, 0.5, 12)
    own = random + 2.0
    returns = {
        ("mine", "a"): dict(enumerate(own)),
        ("random", "a"): dict(enumerate(random)),
        ("best", "a"): dict(enumerate(best)),
    }
    found = score(returns, ["mine"], {"a": ("random", "best")}, alpha=0.05, resamples=500, seed=0)
    row = found.ranking[0]
    assert row.mean == pytest.approx(2.0 / (best.mean() - random.mean()))
    assert row.ci is not None
    assert row.ci[1] - row.ci[0] == pytest.approx(0.0, abs=1e-9)


def test_a_mission_whose_reference_does_not_beat_random_counts_nowhere() -> None:
    flat = dict.fromkeys(range(4), 0.0)
    good = dict.fromkeys(range(4), 1.0)
    returns = {(name, mission): flat for name in ("p", "r", "b") for mission in ("a", "c")} | {("b", "c"): good}
    references = {"a": ("r", "b"), "c": ("r", "b")}
    found = score(returns, ["p"], references, alpha=0.05, resamples=500, seed=0)
    assert [scale.used for scale in found.scales] == [False, True]
    assert set(found.by_mission) == {"c"}
    with pytest.raises(DataError, match="there are no scores"):
        score(returns, ["p"], {"a": ("r", "b")}, alpha=0.05, resamples=500, seed=0)


def test_blocks_without_a_result_are_left_out_for_all() -> None:
    returns = {
        ("p", "a"): {0: 1.0, 1: 2.0, 2: 3.0},
        ("r", "a"): {0: 0.0, 1: 0.0},
        ("b", "a"): {0: 4.0, 1: 4.0, 2: 100.0},
    }
    found = score(returns, ["p"], {"a": ("r", "b")}, alpha=0.05, resamples=500, seed=0)
    assert found.left_out == 1
    assert found.ranking[0].mean == pytest.approx(1.5 / 4.0)


def test_only_equal_terms_are_ranked_together(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    first = BoardScore("a", "1", 0.5, (0.4, 0.6), 10, {"arena": 0.5}, "run", "now")
    add(path, TERMS, [first, replace(first, policy="b", identity="2", score=0.7, ci=None)])
    add(path, replace(TERMS, seed=7), [replace(first, score=0.9)])
    add(path, TERMS, [replace(first, score=0.6)])
    assert [(row.policy, row.score) for _, row in read(path, TERMS)] == [("b", 0.7), ("a", 0.6)]
    assert [row.score for _, row in read(path)] == [0.7, 0.6, 0.9]
    path.write_text('{"terms": {}}\n')
    with pytest.raises(DataError, match="not a line of a leaderboard"):
        read(path)


def test_a_failing_policy_is_not_on_the_leaderboard(output: OutputManager, tmp_path: Path) -> None:
    found = daf_benchmark_suite(
        ["chaos-monkey", "noop"], "diagnostic", settings=SETTINGS, output_manager=output,
        leaderboard=tmp_path / "board.jsonl",
    )  # fmt: skip
    assert found.status == "failed"
    assert found.board == ()
    assert any("not added to the leaderboard" in note for note in found.notes)


def test_an_unknown_suite_is_refused_with_the_nearest(output: OutputManager) -> None:
    with pytest.raises(UsageError, match="Nearest: standard"):
        daf_benchmark_suite(["noop"], "standart", output_manager=output)
    with pytest.raises(UsageError, match="needs at least one policy"):
        daf_benchmark_suite([], "standard", output_manager=output)
