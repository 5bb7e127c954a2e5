"""Figures of real runs, and `daf plot`."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from daf.errors import DataError, UsageError
from daf.evaluation import Evaluation, Settings, evaluate
from daf.game.outcome import SeriesRequest
from daf.metrics import daf_correlate_metrics
from daf.output_manager import OutputManager
from daf.visualization import (
    daf_generate_summary_dashboard,
    daf_plot_action_frequency,
    daf_plot_metric_correlations,
    daf_plot_metrics_correlation_matrix,
    daf_plot_policy_comparison,
    daf_plot_policy_radar,
    daf_plot_position_heatmap,
    daf_plot_resource_collection_timeline,
    daf_plot_run,
    daf_plot_training_curves,
)
from daf.visualization.metric_plots import correlation_interval
from daf.visualization.run_figures import OF_EPISODES, fitting_kinds
from tests.conftest import SMALL, SMALLEST, Called
from tests.render.sweep_runs import search_hill
from tests.render.test_figures import axes_of, segments, words
from tests.render.training_runs import train_bandit


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    output = OutputManager(tmp_path_factory.mktemp("out"))
    settings = Settings(
        episodes=6, seed=3, save_replays="best", executor="serial", report=False,
        series=SeriesRequest(10, (), ("energy.lost", "carbon.gained"), True),
    )  # fmt: skip
    return evaluate(["starter", "random"], [SMALL, SMALLEST], settings=settings, output=output)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_bandit(tmp_path_factory.mktemp("training"))


def test_a_runs_figure_shows_the_numbers_of_its_report_by_object_folder_and_id(evaluation, tmp_path):
    row = next(row for row in evaluation.analysis.by_mission[SMALL] if row.name == "random")
    for source in (evaluation, evaluation.run_dir, evaluation.run_id):
        plot = daf_plot_policy_comparison(source, tmp_path / "a.png", base_dir=evaluation.run_dir.parent.parent)
        axes = plot.figure.axes[0]
        assert (round(row.ci[0], 9), round(row.ci[1], 9)) in segments(axes)
        assert any(np.allclose(line.get_xdata(), [row.mean], rtol=0, atol=1e-12) for line in axes.lines)


def test_failed_episodes_are_counted_and_never_drawn_as_0(bad_policies, tmp_path):
    settings = Settings(episodes=3, executor="serial", report=False)
    output = OutputManager(tmp_path / "out")
    names = ["noop", f"class={bad_policies}.Raises"]
    evaluation = evaluate(names, [SMALLEST], settings=settings, output=output)
    plot = daf_plot_policy_comparison(evaluation, tmp_path / "a.png")
    assert "all 3 failed" in words(plot)
    assert "3 episodes failed and are not counted" in words(plot)
    assert all(len(line.get_xdata()) != 1 for line in plot.figure.axes[0].lines if line.get_marker() == "s")


def test_correlations_are_those_of_the_metrics_module(evaluation, tmp_path):
    found = daf_correlate_metrics(evaluation, target="agent.cell.visited")
    best = next(r for r in found if r.mission == SMALL).pairs[0]
    plot = daf_plot_metric_correlations(evaluation, tmp_path / "a.png", target="agent.cell.visited", mission=SMALL)
    axes = axes_of(plot, SMALL)
    assert np.isclose(next(line for line in axes.lines if len(line.get_xdata()) == 1).get_xdata()[0], best.rho)
    plot = daf_plot_metrics_correlation_matrix(evaluation, tmp_path / "b.png", mission=SMALL)
    cells = plot.figure.axes[0].images[0].get_array()
    assert np.allclose(np.diag(cells), 1.0)
    assert np.allclose(cells, cells.T)
    assert np.abs(np.asarray(cells) - np.eye(len(cells))).max() < 0.95
    with pytest.raises(UsageError, match="name one with mission="):
        daf_plot_metrics_correlation_matrix(evaluation, tmp_path / "c.png")


def test_the_interval_of_a_correlation_covers_as_often_as_it_says():
    from scipy.stats import spearmanr

    generator = np.random.default_rng(11)
    true, n, hits = 6 / np.pi * np.arcsin(0.6 / 2), 25, 0
    for _ in range(400):
        x, y = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=n).T
        bounds = correlation_interval(float(spearmanr(x, y).statistic), n)
        assert bounds is not None
        hits += bounds[0] <= true <= bounds[1]
    assert 0.915 <= hits / 400 <= 0.985
    assert correlation_interval(0.5, 3) is None
    assert correlation_interval(1.0, 30) is None


def test_a_profile_on_several_missions_asks_which(evaluation, tmp_path):
    with pytest.raises(UsageError, match=f"of {SMALL}, {SMALLEST}"):
        daf_plot_policy_radar(evaluation, tmp_path / "a.png")
    plot = daf_plot_policy_radar(evaluation, tmp_path / "a.png", mission=SMALL)
    assert len(plot.figure.axes[0].get_xticklabels()) == 6


def test_actions_are_shares_of_all_agent_steps(evaluation, tmp_path):
    plot = daf_plot_action_frequency(evaluation, tmp_path / "a.png", mission=SMALLEST)
    axes = axes_of(plot, SMALLEST)
    shares = []
    for one in (r for r in evaluation.result.records if r.spec.mission == SMALLEST and r.spec.name == "random"):
        idle = sum(stats.get("action.noop.success", 0.0) for stats in one.played.agent_stats)
        shares.append(idle / (one.played.steps * len(one.spec.assignment)))
    assert any(np.allclose(line.get_xdata(), [np.mean(shares)]) for line in axes.lines if len(line.get_xdata()) == 1)
    with pytest.raises(UsageError, match="no mission"):
        daf_plot_action_frequency(evaluation, tmp_path / "b.png", mission="arena")


def test_resources_follow_what_was_sampled_and_a_replay_knows_every_step(evaluation, tmp_path):
    plot = daf_plot_resource_collection_timeline(evaluation, tmp_path / "a.png", mission=SMALL)
    record = next(r for r in evaluation.result.records if r.spec.mission == SMALL)
    line = axes_of(plot, "carbon").lines[0]
    assert line.get_xdata().tolist() == list(record.played.series.steps)
    same = [r for r in evaluation.result.records if (r.spec.mission, r.spec.name) == (SMALL, record.spec.name)]
    ends = [np.mean([agent["carbon.gained"][-1] for agent in r.played.series.agents]) for r in same]
    assert np.isclose(line.get_ydata()[-1], np.mean(ends))
    replay = next(path for key, path in evaluation.replays.items() if key)
    with_all = daf_plot_position_heatmap(replay, tmp_path / "b.png")
    assert "n = 1 episode" in words(with_all)
    assert "cells without colour were never visited" in " ".join(words(with_all).split())


def test_what_was_collected_in_a_replay_is_what_the_simulator_counted(tmp_path):
    settings = Settings(episodes=1, seed=42, save_replays="all", executor="serial", report=False)
    done = evaluate(["starter"], ["arena,max_steps=120"], settings=settings, output=OutputManager(tmp_path / "out"))
    record = done.result.records[0]
    plot = daf_plot_resource_collection_timeline(done.replays[record.spec.key], tmp_path / "a.png")
    for resource in ("silicon", "heart"):
        gained = np.mean([stats.get(f"{resource}.gained", 0.0) for stats in record.played.agent_stats])
        assert gained > 0
        assert np.isclose(axes_of(plot, resource).lines[0].get_ydata()[-1], gained)


def test_nothing_sampled_and_nothing_recorded_is_refused_with_the_way_to_get_it(tmp_path):
    settings = Settings(episodes=1, executor="serial", report=False)
    done = evaluate(["noop"], [SMALLEST], settings=settings, output=OutputManager(tmp_path / "out"))
    with pytest.raises(DataError, match=r"--series-stat agent\.carbon\.gained"):
        daf_plot_resource_collection_timeline(done, tmp_path / "a.png")
    with pytest.raises(DataError, match=r"--series-stat positions"):
        daf_plot_position_heatmap(done, tmp_path / "a.png")


def test_sampled_positions_are_all_counted(evaluation, tmp_path):
    records = [r for r in evaluation.result.records if r.spec.mission == SMALLEST]
    plot = daf_plot_position_heatmap(records, tmp_path / "a.png")
    sampled = sum(len(places) for r in records for places in r.played.series.positions)
    assert plot.figure.axes[0].images[0].get_array().sum() == sampled


def test_training_logs_are_drawn_on_their_maps(tmp_path):
    logs = tmp_path / "run" / "json_logs"
    logs.mkdir(parents=True)
    places = [(2, 3, 0)] * 4 + [(5, 3, 0)] + [(1, 1, 7)]
    entries = [{"step": n, "position": {"x": x, "y": y, "map": m}} for n, (x, y, m) in enumerate(places)]
    (logs / "stats_1753500000.json").write_text(json.dumps(entries))
    plot = daf_plot_position_heatmap(tmp_path / "run", tmp_path / "a.png")
    image = axes_of(plot, "map 0").images[0]
    assert image.get_array().filled(0).tolist() == [[4, 0, 0, 1]]
    assert image.get_extent() == [1.5, 5.5, 3.5, 2.5]
    assert "6 records with a position, of 6" in words(plot)
    assert "cells without colour are not in the records" in " ".join(words(plot).split())


def test_evaluations_are_drawn_next_to_the_training_curve_with_their_intervals(training, tmp_path):
    plot = daf_plot_training_curves(training, tmp_path / "a.png")
    rows = [json.loads(line) for line in (training / "evaluations.jsonl").read_text().splitlines()]
    axes = axes_of(plot, "Return")
    bars = [p.vertices for c in axes.collections if isinstance(c, LineCollection) for p in c.get_paths()]
    assert [(bar[0][1], bar[1][1]) for bar in bars] == [(row["low"], row["high"]) for row in rows]
    assert "n = 20 episodes each" in words(plot)


def test_evaluations_of_several_seeds_are_their_mean_with_the_interval_over_runs(tmp_path):
    runs = []
    for value in (1.0, 2.0, 6.0):
        run = tmp_path / f"run_{value:g}"
        run.mkdir()
        (run / "metrics.jsonl").write_text('{"step": 10, "episode/return": 1.0}\n')
        row = {"step": 10, "update": 1, "mean": value, "low": value - 9, "high": value + 9, "n": 5, "missions": {}}
        (run / "evaluations.jsonl").write_text(json.dumps(row) + "\n")
        runs.append(run)
    axes = axes_of(daf_plot_training_curves({"seeds": runs}, tmp_path / "a.png"), "Return")
    bars = [p.vertices[:, 1] for c in axes.collections if isinstance(c, LineCollection) for p in c.get_paths()]
    half = 4.302653 * np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert np.allclose(bars, [[3 - half, 3 + half]])


def test_a_torn_line_is_left_and_a_value_that_is_no_number_is_counted(training, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    text = (training / "metrics.jsonl").read_text()
    (copy / "metrics.jsonl").write_text(text + '{"step": 99999, "loss/entropy": NaN}\n{"step": 100000, "loss/ent')
    plot = daf_plot_training_curves(copy, tmp_path / "a.png")
    assert len(axes_of(plot, "Policy entropy").lines[0].get_xdata()) == 60
    assert "1 value is not a finite number and is omitted" in words(plot)


def test_an_evaluation_that_failed_is_reported_and_not_drawn(training, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "metrics.jsonl").write_text((training / "metrics.jsonl").read_text())
    row = {"step": 128, "update": 1, "mean": None, "low": None, "high": None, "n": 0, "failed": 6, "missions": {}}
    (copy / "evaluations.jsonl").write_text(json.dumps(row) + "\n")
    plot = daf_plot_training_curves(copy, tmp_path / "a.png")
    assert "1 evaluation failed and is not drawn" in words(plot)
    assert not [c for c in axes_of(plot, "Return").collections if isinstance(c, LineCollection)]


def test_a_run_in_which_no_episode_ended_yet_shows_its_evaluations_or_says_so(training, tmp_path):
    for evaluated, says in ((True, "Single marks: evaluations"), (False, "no episode finished")):
        copy = tmp_path / str(evaluated)
        copy.mkdir()
        (copy / "metrics.jsonl").write_text('{"step": 100, "update": 1, "loss/entropy": 1.5}\n')
        if evaluated:
            (copy / "evaluations.jsonl").write_text((training / "evaluations.jsonl").read_text())
        assert says in words(daf_plot_training_curves(copy, tmp_path / "a.png"))


def test_a_sheet_on_a_run_says_what_the_run_is(training, tmp_path):
    plot = daf_generate_summary_dashboard(training, tmp_path / "a.png", dpi=40)
    for fact in ("bandit,arms=4", "softmax", "done", "7,680"):
        assert fact in words(plot)
    sweep = search_hill(tmp_path, trials=10)
    assert "best trial" in words(daf_generate_summary_dashboard(sweep, tmp_path / "b.png", dpi=40))


def test_every_figure_of_an_evaluation_is_drawn_into_its_run(evaluation):
    made = daf_plot_run(evaluation.run_dir, dpi=30)
    assert set(made.drawn) | set(made.left_out) == set(OF_EPISODES)
    assert set(made.drawn) >= set(OF_EPISODES) - {"correlations"}
    assert made.folder == evaluation.run_dir / "visualizations"
    assert all(path.is_file() and path.parent == made.folder for path in made.paths)
    assert len(made.drawn["radar"]) == 2
    assert all("reward is the same in all episodes" in reason for reason in made.left_out.values())


def test_runs_that_differ_only_in_their_seed_are_drawn_as_their_mean(tmp_path):
    runs = []
    for seed, rate, value in ((1, 0.1, 2.0), (2, 0.1, 4.0), (1, 0.2, 9.0)):
        run = tmp_path / f"run_{len(runs)}"
        run.mkdir()
        (run / "metrics.jsonl").write_text("".join(f'{{"step": {s}, "loss/value": {value}}}\n' for s in (10, 20)))
        settings = {"seed": seed, "learning_rate": rate}
        (run / "training.json").write_text(json.dumps({"mission": "m", "policy": "p", "hyperparameters": settings}))
        runs.append(run)
    plots = daf_plot_run(runs, ["dynamics"], over_seeds=True, output_dir=tmp_path / "out", dpi=40).drawn["dynamics"]
    lines = [line.get_ydata().tolist() for line in axes_of(plots[0], "Value loss").lines]
    assert lines == [[3.0, 3.0], [9.0, 9.0]]
    assert "learning_rate=0.1 (2 seeds) learning_rate=0.2 (1 seed)" in words(plots[0])
    with pytest.raises(UsageError, match="at least two training runs"):
        daf_plot_run(runs[0], over_seeds=True)


def test_a_kind_that_does_not_fit_or_exist_is_refused(training, tmp_path):
    with pytest.raises(UsageError, match="radar does not fit"):
        daf_plot_run(training, ["radar"])
    with pytest.raises(UsageError, match="Nearest: curves"):
        daf_plot_run(training, ["curve"])
    with pytest.raises(UsageError, match='no figure format "gif"'):
        daf_plot_run(training, formats=["gif"])
    with pytest.raises(UsageError, match="only training runs can share figures"):
        daf_plot_run([training, search_hill(tmp_path, trials=3)])
    assert list(fitting_kinds(training)) == ["curves", "dynamics", "positions", "dashboard"]


def test_the_command_draws_lists_and_reports_what_it_left_out(training, tmp_path, daf_call):
    def daf(*arguments: str) -> Called:
        return daf_call("plot", *arguments, "--output-dir", training.parent.parent)

    done = daf("latest", "--format", "png,svg", "--dark", "--dpi", "40", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (data["run_id"], data["status"]) == (training.name, "ok")
    assert [figure["kind"] for figure in data["figures"]] == ["curves", "dynamics", "dashboard"]
    assert all(Path(file).is_file() for figure in data["figures"] for file in figure["files"])
    assert {Path(file).suffix for figure in data["figures"] for file in figure["files"]} == {".png", ".svg"}
    assert list(data["left_out"]) == ["positions"]
    to = tmp_path / "here"
    shown = daf(str(training), "--kind", "curves", "--dpi", "40", "--to", str(to))
    assert shown.stdout.split() == [str(to / "training_curves.png")]
    refused = daf("latest", "--kind", "positions", "--format", "svg")
    assert refused.returncode == 1
    assert "holds no replays, logs or sampled positions" in refused.stderr
