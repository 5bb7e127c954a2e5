import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daf.comparison import ComparisonReport, daf_compare_policies, daf_run_comparison
from daf.config import DAFComparisonConfig
from daf.errors import DataError, UsageError
from daf.output_manager import OutputManager
from tests.conftest import SMALL, SMALLEST


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> OutputManager:
    return OutputManager(tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def report(output: OutputManager) -> ComparisonReport:
    return daf_compare_policies(
        ["starter", "random", "noop"], [SMALL, SMALLEST], episodes_per_mission=6, output_manager=output
    )


def test_averages_are_those_of_the_records(report: ComparisonReport) -> None:
    assert report.evaluation is not None
    for policy in ("starter", "random", "noop"):
        means = []
        for mission in (SMALL, SMALLEST):
            rewards = [
                record.reward_per_agent()
                for record in report.evaluation.result.records
                if record.spec.name == policy and record.spec.mission == mission
            ]
            assert report.policy_mission_rewards[policy][mission] == rewards
            means.append(np.mean(rewards))
        assert report.policy_averages[policy] == pytest.approx(np.mean(means))


def test_every_pair_is_compared_over_all_missions(report: ComparisonReport) -> None:
    assert set(report.pairwise_comparisons) == {("starter", "random"), ("starter", "noop"), ("random", "noop")}
    for (a, b), pair in report.pairwise_comparisons.items():
        assert pair.difference == pytest.approx(report.policy_averages[a] - report.policy_averages[b])
        assert pair.avg_reward_a == pytest.approx(report.policy_averages[a])
        assert 0 < pair.p_value <= pair.p_adjusted <= 1
        assert pair.is_significant == (pair.verdict in ("better", "worse"))
        assert pair.summary_string() == pair.sentence
        assert pair.wins + pair.losses + pair.ties == pair.episodes == 12


def test_computing_the_pairs_again_gives_the_same(report: ComparisonReport) -> None:
    before = dict(report.pairwise_comparisons)
    assert report.compute_pairwise_comparisons() == before


def test_metrics_are_means_over_agents_and_episodes(report: ComparisonReport) -> None:
    name = "action.move.success"
    replicates = report.policy_replicate_metrics["starter"]
    assert len(replicates) == 12
    values = [replicate[name] for replicate in replicates if name in replicate]
    assert report.policy_detailed_metrics["starter"][name] == pytest.approx(np.mean(values))
    assert report.policy_detailed_metrics["noop"][name] == 0.0


def test_a_report_is_saved_whole(report: ComparisonReport, tmp_path: Path) -> None:
    saved = OutputManager(tmp_path / "out").save_json_results(report, operation="comparison")
    assert json.loads(saved.read_text()) == report.to_data()
    data = json.loads(report.save_json(tmp_path / "report.json").read_text())
    assert data["policy_averages"] == pytest.approx(report.policy_averages)
    assert "starter vs random" in data["pairwise_comparisons"]


def test_nothing_is_printed_without_a_console(report: ComparisonReport, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    report.print_summary()
    assert capsys.readouterr().out == ""
    report.print_summary(Console())
    assert "starter" in capsys.readouterr().out


def test_a_report_can_be_built_by_hand() -> None:
    report = ComparisonReport(alpha=0.05)
    report.add_policy_results("a", "m", [1.0 + i for i in range(10)])
    report.add_policy_results("b", "m", [0.0 + i for i in range(10)])
    pair = report.compute_pairwise_comparisons()[("a", "b")]
    assert pair.difference == pytest.approx(1.0)
    assert pair.p_value == pytest.approx(2 / 2**10)
    assert pair.is_significant
    assert report.policy_std_devs["a"] == pytest.approx(np.std(np.arange(10), ddof=1))
    assert report.summary_statistics["best_policy"] == "a"


def test_one_episode_says_that_it_is_too_few() -> None:
    report = ComparisonReport()
    report.add_policy_results("a", "m", [1.0])
    report.add_policy_results("b", "m", [0.0])
    pair = report.compute_pairwise_comparisons()[("a", "b")]
    assert not pair.is_significant
    assert pair.p_value == 1.0
    assert "no test can reach" in pair.sentence
    assert math.isnan(report.policy_std_devs["a"])


def test_results_that_cannot_be_paired_are_refused() -> None:
    report = ComparisonReport()
    report.add_policy_results("a", "m", [1.0, 2.0])
    report.add_policy_results("b", "m", [1.0])
    with pytest.raises(DataError, match="different numbers of episodes"):
        report.compute_pairwise_comparisons()
    with pytest.raises(DataError, match="finite"):
        report.add_policy_results("c", "m", [math.nan])
    with pytest.raises(UsageError, match="already"):
        report.add_policy_results("a", "m", [1.0])


def test_one_policy_is_no_comparison(output: OutputManager) -> None:
    with pytest.raises(UsageError, match="two policies"):
        daf_compare_policies(["noop"], [SMALL], output_manager=output)


def test_every_field_of_a_configuration_has_its_effect(tmp_path: Path, output: OutputManager) -> None:
    config = DAFComparisonConfig(
        name="mine", policies=["starter", "noop"], missions=["tutorial.miner"], episodes_per_mission=2,
        max_steps_per_episode=11, seed=5, significance_level=0.2, bootstrap_samples=500, generate_html_report=False,
        save_raw_results=False,
    )  # fmt: skip
    evaluation = daf_run_comparison(config, output_manager=OutputManager(tmp_path)).evaluation
    assert evaluation is not None
    assert evaluation.title == "mine"
    assert [record.played.steps for record in evaluation.result.records] == [11] * 4
    assert [record.spec.seed for record in evaluation.result.records] == [5, 5, 6, 6]
    assert (evaluation.settings.alpha, evaluation.settings.resamples) == (0.2, 500)
    assert not (evaluation.run_dir / "report.html").exists()
    assert not (evaluation.run_dir / "records").exists()


@pytest.mark.parametrize("name", ["slow_step_ms", "action_timeout_ms"])
def test_slow_steps_are_counted_against_the_callers_limit(tmp_path: Path, name: str) -> None:
    def slow(limit: int) -> int:
        limits: dict[str, Any] = {name: limit}
        report = daf_compare_policies(
            ["starter", "noop"],
            SMALL,
            1,
            **limits,
            output_manager=OutputManager(tmp_path),
            use_cache=False,
        )
        assert report.evaluation is not None
        return sum(latency.slow for r in report.evaluation.result.records for latency in r.played.latencies)

    assert slow(0) > 0
    assert slow(100_000) == 0


def test_a_limit_in_truth_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--enforce-timeouts must be a number of milliseconds, got True"):
        daf_compare_policies(
            ["starter", "noop"], SMALL, 1, enforce_timeouts=True, output_manager=OutputManager(tmp_path)
        )


def test_profiles_are_the_shares_of_episodes_above_each_score(report: ComparisonReport) -> None:
    assert report.evaluation is not None
    data = json.loads((report.evaluation.run_dir / "results.json").read_text())
    assert [row["mission"] for row in data["profiles"]] == [SMALL], "on the other all scores are equal"
    reach = math.sqrt(math.log(2 / 0.05) / (2 * 6))  # Massart's bound for 6 episodes
    for row in data["profiles"]:
        rewards = {policy: found[row["mission"]] for policy, found in report.policy_mission_rewards.items()}
        every = [reward for found in rewards.values() for reward in found]
        assert (row["thresholds"][0], row["thresholds"][-1]) == pytest.approx((min(every), max(every)))
        assert {entry["policy"] for entry in row["policies"]} == set(rewards)
        for entry in row["policies"]:
            found = rewards[entry["policy"]]
            for at, share, low, high in zip(
                row["thresholds"], entry["share"], entry["low"], entry["high"], strict=True
            ):
                assert share == pytest.approx(sum(reward > at for reward in found) / 6)
                assert (low, high) == pytest.approx((max(0, share - reach), min(1, share + reach)))


def test_the_page_draws_a_profile_per_mission_with_bands_of_few_policies(tmp_path: Path) -> None:
    from daf.visualization import daf_export_comparison_html

    def page(policies: int) -> str:
        report = ComparisonReport(resamples=1000)
        for policy in range(policies):
            report.add_policy_results(f"p{policy}", "arena", [policy + 0.1 * index for index in range(8)])
            report.add_policy_results(f"p{policy}", "still", [0.0] * 8)
        return daf_export_comparison_html(report, tmp_path / f"{policies}.html").read_text()

    few, many, single = page(3), page(6), page(1)
    for text in (few, many):
        section = text.partition('<section id="profiles">')[2].partition("</section>")[0]
        assert section.count('<svg class="figure') == 1, "on the other all scores are equal, so it has no profile"
        assert "Performance profile of each policy on arena" in section
        assert "n = 8 blocks" in section
    assert few.count('class="band"') == 3
    assert "with a probability of at least 95 %" in few
    assert 'class="band"' not in many
    assert "would hide the curves" in many
    assert 'id="profiles"' not in single
