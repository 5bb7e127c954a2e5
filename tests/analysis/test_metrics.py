import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from daf.episodes.metrics_correlation import correlate
from daf.episodes.metrics_values import occurring, parse, select, value
from daf.errors import DataError, MetricError
from daf.evaluation import Evaluation, Settings
from daf.metrics import (
    daf_analyze_distributions,
    daf_correlate_metrics,
    daf_list_metrics,
    daf_metric_values,
    daf_metrics,
    daf_metrics_per_agent,
    metric_tables,
)
from daf.output_manager import OutputManager
from daf.output_manager.kinds import kind_of
from daf.reporting import daf_generate_leaderboard, daf_report
from tests.conftest import SMALL, SMALLEST


def test_a_metric_is_the_counter_of_the_record_taken_as_asked(evaluation: Evaluation) -> None:
    record = next(r for r in evaluation.result.records if r.spec.mission == SMALL and r.spec.name == "random")
    outcome = record.played
    moves = [stats.get("action.move.success", 0.0) for stats in outcome.agent_stats]
    name = "agent.action.move.success"
    assert value(record, parse(name)) == pytest.approx(np.mean(moves))
    assert value(record, parse(f"{name}@sum")) == sum(moves)
    assert value(record, parse(f"{name}@max@per_step")) == max(moves) / outcome.steps
    assert value(record, parse(f"{name}@agent2")) == moves[2]
    assert value(record, parse("reward@min")) == min(outcome.rewards)
    assert value(record, parse("reward")) == record.reward_per_agent()
    assert value(record, parse("completion")) == outcome.steps / 40
    game = "tokens_written"
    assert value(record, parse(f"game.{game}@average")) == outcome.time_averaged_game_stats[game]
    assert value(record, parse(f"game.{game}")) == outcome.game_stats[game]


def test_names_with_colons_and_slashes_are_names(evaluation: Evaluation) -> None:
    names = daf_list_metrics(evaluation)[SMALL]
    assert "game.objects.c:hub" in names
    rows = daf_metric_values(evaluation, ["game.objects.c:hub"])
    assert {row["game.objects.c:hub"] for row in rows if row["mission"] == SMALL} == {1.0}
    assert {row["game.objects.c:hub"] for row in rows if row["mission"] == SMALLEST} == {None}


def test_a_counter_that_never_moved_is_0_where_the_mission_counts_it(evaluation: Evaluation) -> None:
    assert "agent.junction.scrambled_by_agent" not in daf_list_metrics(evaluation)[SMALL]
    rows = daf_metric_values(evaluation, ["agent.junction.scrambled_by_agent"])
    assert {row["agent.junction.scrambled_by_agent"] for row in rows if row["mission"] == SMALL} == {0.0}


def test_wildcards_find_what_occurs(evaluation: Evaluation) -> None:
    known = occurring(evaluation.result.records)
    found = [metric.name for metric in select(["agent.action.move.*@sum"], known)]
    assert found == sorted(found)
    assert "agent.action.move.success@sum" in found
    assert all(name.startswith("agent.action.move.") and name.endswith("@sum") for name in found)
    with pytest.raises(MetricError, match="no metric matches"):
        select(["agent.nothing.*"], known)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agent.hart.gained", r'no metric "agent.hart.gained"\. Nearest: agent.heart.gained'),
        ("heart.gained", "agent.NAME or game.NAME"),
        ("agent.heart.gained@most", "way to take a metric"),
        ("game.tokens_written@max", "agent counters"),
        ("agent.heart.gained@average", "applies to game stats"),
        ("reward@agent9", "4 agents"),
    ],
)
def test_a_wrong_metric_is_refused_with_the_way_out(evaluation: Evaluation, text: str, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        daf_metric_values([r for r in evaluation.result.records if r.spec.mission == SMALL], [text])


def test_a_stat_that_is_no_number_is_refused_with_its_place(evaluation: Evaluation) -> None:
    record = evaluation.result.records[0]
    broken = replace(record.played, game_stats=record.played.game_stats | {"tokens_written": float("nan")})
    with pytest.raises(DataError, match=r"tokens_written is nan in an episode of starter on .*, seed 42"):
        daf_metric_values([replace(record, outcome=broken)], ["game.tokens_written"])


def test_distributions_are_those_of_the_episodes(evaluation: Evaluation) -> None:
    rows = daf_analyze_distributions(evaluation, ["reward", "agent.cell.unique_visited"])
    assert [(row.mission, row.metric, row.policy) for row in rows[:4]] == [
        (SMALL, "reward", "starter"),
        (SMALL, "reward", "random"),
        (SMALL, "agent.cell.unique_visited", "starter"),
        (SMALL, "agent.cell.unique_visited", "random"),
    ]
    for row in rows:
        assert row.n == 8
        assert row.minimum <= row.quartiles[0] <= row.quartiles[1] <= row.quartiles[2] <= row.maximum
        assert row.mean == pytest.approx(np.mean(row.values))
        assert row.std == pytest.approx(np.std(row.values, ddof=1))


def test_agents_means_add_up_to_the_metric(evaluation: Evaluation) -> None:
    name = "agent.cell.unique_visited"
    row = daf_metrics_per_agent(evaluation, [name])[0]
    mean = next(r for r in daf_analyze_distributions(evaluation, [name]) if r.policy == row.policy).mean
    assert len(row.agents) == 4
    assert np.mean(row.agents) == pytest.approx(mean)
    assert row.share == pytest.approx(max(row.agents) / sum(row.agents))
    with pytest.raises(MetricError, match="not a metric of agents"):
        daf_metrics_per_agent(evaluation, ["game.tokens_written"])


def test_one_group_gives_spearmans_own_coefficient_and_p() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(size=(40, 3))
    table[:, 1] += table[:, 0]
    found = correlate(["a", "b", "c"], table, ["x"] * 40)
    for pair in found.pairs:
        expected = spearmanr(table[:, "abc".index(pair.a)], table[:, "abc".index(pair.b)])
        assert pair.rho == pytest.approx(expected.statistic)
        assert pair.p == pytest.approx(expected.pvalue)
        assert pair.p_adjusted >= pair.p


def test_policies_that_differ_do_not_make_metrics_correlate() -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(size=(60, 2))
    table[30:] += 10.0
    within = correlate(["a", "b"], table, ["x"] * 30 + ["y"] * 30).pairs[0]
    pooled = correlate(["a", "b"], table, ["x"] * 60).pairs[0]
    assert pooled.rho > 0.6
    assert abs(within.rho) < 0.3


def test_unrelated_metrics_are_rarely_called_correlated() -> None:
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(300):
        found = correlate(list("abcde"), rng.normal(size=(24, 5)), ["x"] * 12 + ["y"] * 12)
        false += any(pair.p_adjusted <= 0.05 for pair in found.pairs)
    assert false <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95), f"{false} of 300 families with a false finding"


def test_correlations_of_played_episodes_leave_constants_out(evaluation: Evaluation) -> None:
    report = daf_correlate_metrics(
        evaluation, ["agent.cell.unique_visited", "steps"], target="agent.action.move.success"
    )
    on = next(r for r in report if r.mission == SMALL)
    assert on.constant == ("steps",)
    assert {pair.a for pair in on.pairs} == {"agent.action.move.success"}
    assert on.n == 16
    with pytest.raises(DataError, match="too few"):
        daf_correlate_metrics(evaluation.result.records[:2], ["reward", "steps"])


def test_what_holds_no_episodes_is_refused() -> None:
    with pytest.raises(DataError, match="has no episode records"):
        daf_list_metrics({"a": [1.0]})
    with pytest.raises(DataError, match="no episode finished"):
        daf_list_metrics([])


def test_daf_metrics_lists_ranges_and_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from daf.cli.main import main

    arguments = ["-m", SMALLEST, "-p", "random", "-e", "3", "--executor", "serial", "--metric", "agent.*.success"]
    monkeypatch.setattr("sys.argv", ["daf", "metrics", *arguments, "--output-dir", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    data = json.loads(capsys.readouterr().out)
    assert data["status"] == "ok"
    assert len(data["episodes"]) == 3
    assert all(row["metric"].endswith(".success") and row["n"] == 3 for row in data["metrics"])
    folder = Path(data["run_dir"])
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == data["metrics"]
    assert "agent.action.move.success" in (folder / "metrics.html").read_text().replace("<wbr>", "")


def test_metrics_with_equal_values_share_a_line_and_constant_ones_have_none(tmp_path: Path) -> None:
    settings = Settings(episodes=3, executor="serial", report=False, resamples=200)
    found = daf_metrics(SMALLEST, ["random"], settings=settings, output_manager=OutputManager(tmp_path))
    (table,) = found.tables
    lines = {line.metric: line for line in table.lines}
    assert {"reward", "steps", "completion"} <= lines.keys()
    constant = [metric for _, metrics in table.constant for metric in metrics]
    shown = [metric for line in table.lines for metric in (line.metric, *line.same)]
    assert sorted(shown + constant) == sorted({row.metric for row in found.distributions})
    values = {row.metric: row.values for row in found.distributions}
    for line in table.lines:
        assert all(values[other] == values[line.metric] for other in line.same)
    for metrics in (metrics for _, metrics in table.constant):
        assert len({value for metric in metrics for value in values[metric]}) == 1
    assert any(line.same for line in table.lines)
    asked = next(line for line in table.lines if line.same)
    names = [asked.metric, *asked.same]
    again = daf_metrics(SMALLEST, ["random"], metrics=names, settings=settings, output_manager=OutputManager(tmp_path))
    assert [line.metric for line in again.tables[0].lines] == names


def test_the_numbers_of_a_line_have_the_same_decimals(evaluation: Evaluation) -> None:
    rows = daf_analyze_distributions(evaluation, ["agent.cell.unique_visited"])
    for table in metric_tables(rows):
        (line,) = table.lines
        texts = [text for cell in line.cells for text in (cell.mean, *cell.spread.split(" to ")) if text]
        assert len({len(text.partition(".")[2]) for text in texts}) == 1, texts


def test_a_run_of_daf_metrics_has_its_own_kind_and_report(tmp_path: Path) -> None:
    settings = Settings(episodes=3, executor="serial", report=False, resamples=200)
    found = daf_metrics(SMALLEST, ["random"], settings=settings, output_manager=OutputManager(tmp_path))
    run_dir = found.evaluation.run_dir
    assert kind_of(run_dir) == "metrics"
    files = daf_report(run_dir)
    assert files.kind == "metrics"
    html = files.html.read_text().replace("<wbr>", "")
    assert "agent.cell.unique_visited" in html
    assert 'id="all-episodes"' in html or 'id="episodes"' in html
    markdown = (files.markdown or Path()).read_text()
    assert "Metrics on" in markdown
    assert "agent.cell.unique\\_visited" in markdown or "agent.cell.unique_visited" in markdown
    assert daf_generate_leaderboard(str(run_dir)).startswith("# Leaderboard")
    (run_dir / "metrics.json").write_text('{"metrics": [{"metric": 3}]}')
    assert "metrics.json" in daf_report(run_dir).html.read_text()


def test_a_comparisons_report_is_a_source_of_metrics(output: OutputManager) -> None:
    from daf.comparison import daf_analyze_distributions, daf_compare_policies, daf_correlate_metrics

    report = daf_compare_policies(
        ["starter", "random"],
        [SMALL],
        episodes_per_mission=8,
        executor="serial",
        output_manager=OutputManager(output.base_dir),
    )
    rows = daf_analyze_distributions(report, ["reward"])
    assert [row.mean for row in rows] == [pytest.approx(report.policy_averages[row.policy]) for row in rows]
    found = daf_correlate_metrics(report, ["reward", "agent.cell.unique_visited"])
    assert found[0].policies == ("starter", "random")
    assert [(pair.a, pair.b) for pair in found[0].pairs] == [("reward", "agent.cell.unique_visited")]


def test_the_contracts_names_are_in_comparison() -> None:
    from daf import ablation, benchmark_suites, comparison

    assert comparison.daf_policy_ablation is ablation.daf_policy_ablation
    assert comparison.daf_benchmark_suite is benchmark_suites.daf_benchmark_suite
