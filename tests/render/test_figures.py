"""What the figures draw: the numbers in the artists, from plain data."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from PIL import Image

from daf.comparison import ComparisonReport
from daf.errors import DataError, UsageError
from daf.render.theme import DARK_GROUND, DASHES, LIGHT_GROUND, style
from daf.stats.summaries import summarise
from daf.sweeps.result import SweepResult, SweepTrialResult
from daf.tools.visualization_generator import VisualizationGenerator
from daf.visualization import (
    daf_generate_summary_dashboard,
    daf_plot_action_frequency,
    daf_plot_cumulative_performance,
    daf_plot_detailed_metrics_comparison,
    daf_plot_episode_reward_distribution,
    daf_plot_learning_dynamics,
    daf_plot_metric_distributions,
    daf_plot_policy_comparison,
    daf_plot_policy_radar,
    daf_plot_position_heatmap,
    daf_plot_sweep_heatmap,
    daf_plot_sweep_parallel_coordinates,
    daf_plot_sweep_results,
    daf_plot_training_curves,
)
from daf.visualization._metric_values import metric_table
from tests.render.figure_samples import returns, rows, trials, wheel_replay


def axes_of(plot: Any, title: str) -> Any:
    """The panel with this title."""
    titles = {axes.get_title(loc="left"): axes for axes in plot.figure.axes}
    assert title in titles, list(titles)
    return titles[title]


def line_with(axes: Any, length: int) -> list[np.ndarray]:
    return [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == length]


def words(plot: Any) -> str:
    """All text of a figure, its lines joined, with plain spaces."""
    import matplotlib.text

    found = [artist.get_text() for artist in plot.figure.findobj(matplotlib.text.Text)]
    return " ".join(" ".join(found).replace("\n", " ").replace("\u00a0", " ").split())


def segments(axes: Any) -> set[tuple[float, float]]:
    """The (low, high) of every horizontal bar."""
    paths = [p for c in axes.collections if isinstance(c, LineCollection) for p in c.get_paths()]
    return {(round(float(p.vertices[0][0]), 9), round(float(p.vertices[1][0]), 9)) for p in paths}


# Training


def test_training_curves_draw_the_recorded_values_and_their_moving_mean(tmp_path):
    data = rows(60)
    plot = daf_plot_training_curves(data, tmp_path / "a.png", smooth=5)
    panel = axes_of(plot, "Return")
    raw = np.array([row["episode/return"] for row in data if "episode/return" in row])
    drawn = line_with(panel, len(raw))
    assert any(np.array_equal(values, raw) for values in drawn)
    weights = np.array([row["episode/count"] for row in data if "episode/return" in row])
    middle = np.average(raw[8:13], weights=weights[8:13])
    assert any(math.isclose(values[10], middle) for values in drawn)
    assert "agent steps" in words(plot)
    assert "moving mean over 5 of them, with equal weight for all episodes" in words(plot)


def test_several_runs_of_one_label_are_drawn_as_their_mean_with_a_student_interval(tmp_path):
    runs = [[{"step": s, "loss/value": float(base)} for s in (10, 20, 30)] for base in (1, 2, 6)]
    plot = daf_plot_learning_dynamics({"seeds": runs}, tmp_path / "a.png")
    panel = axes_of(plot, "Value loss")
    assert np.allclose(panel.lines[0].get_ydata(), 3.0)
    band = panel.collections[0].get_paths()[0].vertices[:, 1]
    half = 4.302653 * np.std([1, 2, 6], ddof=1) / math.sqrt(3)
    assert np.allclose([band.min(), band.max()], [3 - half, 3 + half])
    assert "means of 3 runs (seeds)" in words(plot)


def test_runs_of_different_steps_are_averaged_only_where_all_were(tmp_path):
    short = [{"step": s, "reward/per_step": 1.0} for s in range(10, 60, 10)]
    long = [{"step": s, "reward/per_step": 3.0} for s in range(0, 110, 5)]
    plot = daf_plot_training_curves({"two": [short, long]}, tmp_path / "a.png")
    line = axes_of(plot, "Reward per step").lines[0]
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (10, 50)
    assert np.allclose(line.get_ydata(), 2.0)


def test_a_run_in_which_no_episode_finished_says_so_and_invents_nothing(tmp_path):
    data = [{"step": 1, "loss/entropy": 1.0, "episode/return": None}]
    plot = daf_plot_training_curves(data, tmp_path / "a.png", metrics=["loss/entropy"])
    assert [line.get_ydata().tolist() for line in axes_of(plot, "Policy entropy").lines] == [[1.0]]
    with pytest.raises(DataError, match="no metric was recorded"):
        daf_plot_training_curves([{"step": 1}], tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_one_run_without_a_metric_leaves_its_panel_to_the_others(tmp_path):
    plot = daf_plot_training_curves(
        {"a": [{"step": 1, "episode/return": 2.0}], "b": [{"step": 1, "loss/entropy": 1.0}]}, tmp_path / "a.png"
    )
    assert len(axes_of(plot, "Return").lines) == len(axes_of(plot, "Policy entropy").lines) == 1


@pytest.mark.parametrize(("data", "error", "says"), [
    ([{"step": 1, "loss/value": math.nan}], DataError, "row 0: loss/value is nan"),
    ({"reward": [1.0, math.inf]}, DataError, "reward is inf"),
    ([], DataError, "list is empty"),
    ({}, DataError, "mapping is empty"),
    ({"step": [1, 2], "reward": [1.0]}, DataError, "as long as the steps"),
    (3.5, UsageError, "float holds no training metrics"),
    ("20260101_000000", UsageError, "no run"),
])  # fmt: skip
def test_training_data_that_cannot_be_drawn_are_refused_with_the_reason(tmp_path, data, error, says):
    with pytest.raises(error, match=says):
        daf_plot_training_curves(data, tmp_path / "a.png", base_dir=tmp_path)


def test_an_unknown_training_metric_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="Nearest: loss/value"):
        daf_plot_training_curves(rows(5), tmp_path / "a.png", metrics=["loss/valu"])


# Policies


def test_a_comparison_draws_means_intervals_and_every_episode(tmp_path):
    report = ComparisonReport(seed=3)
    given = returns()
    for policy, missions in given.items():
        for mission, values in missions.items():
            report.add_policy_results(policy, mission, values)
    plot = daf_plot_policy_comparison(report, tmp_path / "a.png")
    axes = plot.figure.axes[0]
    sample = given["policy_1"]["mission_0"]
    row = summarise(["p"], [sample], seed=3)[0]
    assert any(np.allclose(line.get_xdata(), [row.mean]) for line in axes.lines)
    assert (round(row.ci[0], 9), round(row.ci[1], 9)) in segments(axes)
    dots = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 12]
    assert any(np.array_equal(values, sample) for values in dots)
    assert len(dots) == 6
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all 2 missions", "mission_0", "mission_1"]
    assert "95 % interval (Student)" in words(plot)
    assert "n = 12 episodes per policy and mission" in words(plot)


def test_a_single_number_is_a_mean_without_an_interval(tmp_path):
    plot = daf_plot_policy_comparison({"a": 2.0, "b": [1.0]}, tmp_path / "a.png")
    assert not segments(plot.figure.axes[0])
    assert "Hollow: no interval is known" in words(plot)


def test_equal_returns_are_drawn_at_one_place_with_an_interval_of_no_width(tmp_path):
    plot = daf_plot_episode_reward_distribution({"a": [0.0] * 8}, tmp_path / "a.png")
    axes = plot.figure.axes[0]
    assert segments(axes) >= {(0.0, 0.0)}
    low, high = axes.get_xlim()
    assert low < 0 < high


def test_a_distribution_draws_quartiles_and_the_mean(tmp_path):
    values = [1.0, 2.0, 3.0, 4.0, 10.0]
    plot = daf_plot_episode_reward_distribution(values, tmp_path / "a.png")
    axes = plot.figure.axes[0]
    box = next(patch for patch in axes.patches if patch.get_gid() == "quartiles")
    assert (box.get_x(), box.get_x() + box.get_width()) == (2.0, 4.0)
    assert any(line.get_xdata().tolist() == [4.0] for line in axes.lines)
    assert "n = 5" in words(plot)


def test_a_policy_without_a_finished_episode_is_shown_as_such(tmp_path):
    plot = daf_plot_policy_comparison({"a": [1.0, 2.0], "b": []}, tmp_path / "a.png")
    assert "b: none" in words(plot)
    plot = daf_plot_episode_reward_distribution({"b": []}, tmp_path / "b.png")
    assert "no episode finished" in words(plot)


def test_the_cumulative_mean_is_that_of_the_first_episodes_and_has_no_interval_for_one(tmp_path):
    plot = daf_plot_cumulative_performance({"a": [4.0, 0.0, 2.0]}, tmp_path / "a.png")
    axes = plot.figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == [4.0, 2.0, 2.0]
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 0].min() == 2.0


@pytest.mark.parametrize(("source", "says"), [
    ({"a": [1.0, math.nan]}, "a: value 1 is nan"),
    ({"a": {"m": [math.inf]}}, "a on m: value 0 is inf"),
    ({"a": ["high"]}, "must be numbers"),
    ({}, "mapping is empty"),
    (ComparisonReport(policies=["a"]), "holds no returns"),
])  # fmt: skip
def test_returns_that_are_no_numbers_are_refused_by_name(tmp_path, source, says):
    with pytest.raises(DataError, match=says):
        daf_plot_policy_comparison(source, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


# Metrics


def test_a_comparison_of_metrics_shows_those_that_distinguish_policies(tmp_path):
    given = {
        "a": {"same": [5.0, 5.0], "apart": [0.0, 1.0], "noise": [0.0, 9.0]},
        "b": {"same": [5.0, 5.0], "apart": [50.0, 51.0], "noise": [1.0, 8.0]},
    }
    plot = daf_plot_detailed_metrics_comparison(given, tmp_path / "a.png")
    titles = [axes.get_title(loc="left") for axes in plot.figure.axes]
    assert titles == ["apart", "noise"]
    with pytest.raises(UsageError, match="Nearest: apart"):
        daf_plot_detailed_metrics_comparison(given, tmp_path / "b.png", metrics=["appart"])
    with pytest.raises(DataError, match="no metric varies"):
        daf_plot_detailed_metrics_comparison({"a": {"x": [1.0]}, "b": {"x": [1.0]}}, tmp_path / "b.png")


def test_means_without_episodes_are_drawn_as_such(tmp_path):
    report = ComparisonReport()
    report.add_policy_results("a", "m", [1.0], {"x": 1.0, "y": 2.0})
    report.add_policy_results("b", "m", [2.0], {"x": 3.0, "y": 2.5})
    plot = daf_plot_detailed_metrics_comparison(report, tmp_path / "a.png")
    assert "Means only." in words(plot)
    plot = daf_plot_metric_distributions(report, tmp_path / "b.png")
    assert "mean only" in words(plot)


def test_a_radar_puts_the_largest_interval_end_at_the_rim(tmp_path):
    given = {"a": {"x": [1.0], "y": [2.0], "z": [-1.0]}, "b": {"x": [4.0], "y": [0.0], "z": [3.0]}}
    plot = daf_plot_policy_radar(given, tmp_path / "a.png")
    axes = plot.figure.axes[0]
    radii = {line.get_label(): line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata()) == 4}
    assert sorted(radii) == ["a", "b"]
    order = [label.get_text().split("\n")[0] for label in axes.get_xticklabels()]
    by_name = {name: dict(zip(order, values[:3], strict=True)) for name, values in radii.items()}
    assert by_name["a"] == {"x": 0.25, "y": 1.0, "z": 0.0}
    assert by_name["b"] == {"x": 1.0, "y": 0.0, "z": 1.0}
    with pytest.raises(UsageError, match="3 to 12 metrics, and there are 2"):
        daf_plot_policy_radar({"a": {"x": [1.0], "y": [2.0]}, "b": {"x": [2.0], "y": [1.0]}}, tmp_path / "b.png")


# Sweeps


def test_a_sweeps_history_shows_every_value_the_best_so_far_and_failures_apart(tmp_path):
    given = [
        {"hyperparameters": {"lr": lr}, "primary_metric": value}
        for lr, value in [(0.1, 1.0), (0.2, 3.0), (0.3, None), (0.4, 2.0), (0.5, 4.0)]
    ]
    plot = daf_plot_sweep_results(given, tmp_path / "a.png")
    axes = axes_of(plot, "Value by trial")
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["complete"].get_ydata().tolist() == [1.0, 3.0, 2.0, 4.0]
    assert lines["best so far"].get_ydata().tolist() == [1.0, 3.0, 3.0, 4.0, 4.0]
    assert lines["failed"].get_xdata().tolist() == [2]
    assert "n = 5 trials: 4 complete, 1 failed" in words(plot)
    assert "evaluate it on other seeds" in words(plot)


def test_where_less_is_better_the_best_so_far_falls(tmp_path):
    sweep = SweepResult(name="steps", objectives=("steps",), directions=("minimize",))
    for trial in daf_trials([3.0, 1.0, 2.0]):
        sweep.add_trial(trial)
    plot = daf_plot_sweep_results(sweep, tmp_path / "a.png")
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes_of(plot, "Value by trial").lines}
    assert lines["best so far"] == [3.0, 1.0, 1.0, 1.0]
    assert "less is better" in words(plot)


def daf_trials(values: list[float]) -> list[Any]:
    from daf.sweeps.result import SweepTrialResult

    return [
        SweepTrialResult(n, {"lr": 0.1 * (n + 1)}, value, success=True, status="complete", values=(value,))
        for n, value in enumerate(values)
    ]


def test_a_trials_interval_is_drawn_only_where_its_objective_is_the_mean(tmp_path):
    episodes = [1.0, 2.0, 3.0, 6.0]
    row = summarise(["t"], [episodes])[0]

    def drawn(value: float) -> set[tuple[float, float]]:
        given = [{"hyperparameters": {"a": 1}, "primary_metric": value, "mission_results": {"m": {"values": episodes}}}]
        axes = axes_of(daf_plot_sweep_results(given, tmp_path / "a.png"), "Value by trial")
        paths = [p for c in axes.collections if isinstance(c, LineCollection) for p in c.get_paths()]
        return {(round(float(p.vertices[0][1]), 6), round(float(p.vertices[1][1]), 6)) for p in paths}

    assert drawn(3.0) == {(round(row.ci[0], 6), round(row.ci[1], 6))}
    assert drawn(2.5) == set()


def test_a_sweeps_heat_map_has_means_in_its_cells_and_hatches_what_is_unknown(tmp_path):
    given = [
        {"hyperparameters": {"a": a, "b": b}, "primary_metric": value}
        for a, b, value in [(1, 1, 2.0), (1, 1, 4.0), (1, 2, 5.0), (2, 1, None), (2, 2, 7.0)]
    ]
    plot = daf_plot_sweep_heatmap(given, tmp_path / "a.png")
    cells = plot.figure.axes[0].images[0].get_array()
    assert cells[0][0] == 3.0
    assert cells[1].tolist() == [5.0, 7.0]
    assert cells.mask.tolist() == [[False, True], [False, False]]
    assert "In 1 cell all trials failed" in words(plot)


def test_a_heat_map_of_scattered_trials_puts_a_mark_where_each_was(tmp_path):
    plot = daf_plot_sweep_heatmap(trials(40), tmp_path / "a.png", x="learning_rate", y="hidden_size")
    axes = plot.figure.axes[0]
    complete = [one for one in trials(40) if one["primary_metric"] is not None]
    assert np.allclose(
        sorted(axes.collections[0].get_array()), sorted(float(str(one["primary_metric"])) for one in complete)
    )
    assert axes.get_xscale() == "log"
    with pytest.raises(UsageError, match="Nearest: hidden_size"):
        daf_plot_sweep_heatmap(trials(40), tmp_path / "b.png", x="hiden_size")
    with pytest.raises(UsageError, match="needs two hyperparameters that vary"):
        daf_plot_sweep_heatmap([{"hyperparameters": {"a": 1}, "primary_metric": 1.0}], tmp_path / "b.png")


def test_the_axes_of_a_sweeps_figures_span_the_range_that_was_searched(tmp_path):
    space = {"rate": {"min": 0.0001, "max": 0.1, "log": True}, "gain": {"min": 0.0, "max": 10.0}, "size": [1, 2]}
    sweep = SweepResult(name="ranges", run_dir=tmp_path)
    facts = {"run_id": "r", "name": "ranges", "strategy": "random", "objectives": ["reward"]}
    facts |= {"directions": ["maximize"], "planned": 4, "best_n": 1, "config": {"search_space": space}}
    (tmp_path / "sweep.json").write_text(json.dumps(facts))
    tried = [(0.001, 4.0, 1), (0.002, 4.0, 2), (0.002, 5.0, 1), (0.001, 5.0, 2)]
    for number, (rate, gain, size) in enumerate(tried):
        settings = {"rate": rate, "gain": gain, "size": size}
        sweep.add_trial(SweepTrialResult(number, settings, float(number), values=(float(number),), success=True))
    plot = daf_plot_sweep_results(sweep, tmp_path / "a.png")
    rate, gain, size = (axes_of(plot, title) for title in ("rate  (log)", "gain", "size"))
    assert rate.get_xscale() == "log"
    assert 0.00005 < rate.get_xlim()[0] < 0.0001
    assert 0.1 < rate.get_xlim()[1] < 0.2
    assert gain.get_xlim() == pytest.approx((-0.5, 10.5))
    assert [label.get_text() for label in size.get_xticklabels()] == ["1", "2"]
    scatter = daf_plot_sweep_heatmap(sweep, tmp_path / "b.png", x="rate", y="gain").figure.axes[0]
    assert (scatter.get_xscale(), scatter.get_xlim()) == ("log", pytest.approx(rate.get_xlim()))
    assert scatter.get_ylim() == pytest.approx((-0.5, 10.5))


def test_parallel_coordinates_have_a_line_for_every_complete_trial(tmp_path):
    plot = daf_plot_sweep_parallel_coordinates(trials(40), tmp_path / "a.png")
    lines = next(c for c in plot.figure.axes[0].collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == 35
    ends = [segment[-1][1] for segment in lines.get_segments()]
    assert (min(ends), max(ends)) == (0.0, 1.0)
    assert ends == sorted(ends)
    with pytest.raises(DataError, match="no trial is complete"):
        daf_plot_sweep_parallel_coordinates([{"hyperparameters": {"a": 1}, "primary_metric": None}], tmp_path / "b.png")


def test_a_sweep_of_failures_says_so(tmp_path):
    given = [{"hyperparameters": {"a": a}, "primary_metric": None} for a in (1, 2)]
    assert "no trial has a value: 2 failed" in words(daf_plot_sweep_results(given, tmp_path / "a.png"))
    with pytest.raises(DataError, match="has no trials yet"):
        daf_plot_sweep_results(SweepResult(name="new"), tmp_path / "b.png")


# Behaviour


def test_action_counts_become_shares(tmp_path):
    plot = daf_plot_action_frequency({"a": {"noop": 3, "move": 1}, "b": {"move": 5}}, tmp_path / "a.png")
    marks = [line.get_xdata() for line in plot.figure.axes[0].lines if len(line.get_xdata()) == 1]
    places = sorted(round(float(mark[0]), 6) for mark in marks)
    assert places == [0.0, 0.25, 0.75, 1.0]
    with pytest.raises(DataError, match="counted -1 times"):
        daf_plot_action_frequency({"noop": -1, "move": 2}, tmp_path / "b.png")
    with pytest.raises(DataError, match="no action was counted"):
        daf_plot_action_frequency({"noop": 0}, tmp_path / "b.png")


def test_a_replays_positions_add_up_to_its_agents_steps_and_walls_stand_where_they_are(tmp_path):
    replay = wheel_replay()
    plot = daf_plot_position_heatmap(replay, tmp_path / "a.png")
    walls, visits = (image.get_array() for image in plot.figure.axes[0].images)
    assert visits.shape == (replay.height, replay.width)
    assert visits.sum() == len(replay.agents) * replay.steps
    assert int((~walls.mask).sum()) == replay.types["wall"]
    end = replay.at(replay.steps - 1).agents[0]
    assert visits[end.y, end.x] >= 1


def test_counts_by_cell_are_drawn_as_they_are_and_none_at_all_are_refused(tmp_path):
    counts = np.array([[0, 3], [1, 0]])
    plot = daf_plot_position_heatmap(counts, tmp_path / "a.png")
    assert plot.figure.axes[0].images[0].get_array().filled(0).tolist() == [[0, 3], [1, 0]]
    for bad in (np.zeros((2, 2)), np.zeros(3)):
        with pytest.raises(DataError, match=r"no position was recorded|by row and column"):
            daf_plot_position_heatmap(bad, tmp_path / "b.png")


# Files, looks, sheets


def test_formats_and_places_follow_what_is_asked_for(tmp_path):
    data = {"reward": [1.0, 2.0]}
    assert daf_plot_training_curves(data, tmp_path / "a.svg").path.read_text().startswith("<?xml")
    both = daf_plot_training_curves(data, tmp_path / "b.png", formats=["png", "pdf"])
    assert [path.name for path in both.paths] == ["b.png", "b.pdf"]
    assert both.paths[1].read_bytes().startswith(b"%PDF")
    into = daf_plot_training_curves(data, tmp_path)
    assert into.path == tmp_path / "training_curves.png"
    assert open(into, "rb").read() == into.path.read_bytes()  # noqa: PTH123, SIM115 - it is usable as a path
    for wrong in ({"formats": ["gif"]}, {"formats": []}, {"dpi": 5}):
        with pytest.raises(UsageError):
            daf_plot_training_curves(data, tmp_path / "c.png", **wrong)
    with pytest.raises(UsageError, match="jpg"):
        daf_plot_training_curves(data, tmp_path / "c.jpg")


def test_the_same_data_give_the_same_bytes_whatever_the_users_settings_are(tmp_path):
    import matplotlib as mpl

    first = daf_plot_policy_comparison(returns(), tmp_path / "a.png", dpi=60).path.read_bytes()
    with mpl.rc_context({"font.size": 22, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert daf_plot_policy_comparison(returns(), tmp_path / "b.png", dpi=60).path.read_bytes() == first


@pytest.mark.parametrize("dark", [False, True])
def test_a_figure_stands_on_the_ground_that_was_asked_for(tmp_path, dark):
    plot = daf_plot_training_curves({"reward": [1.0, 2.0]}, tmp_path / "a.png", dark=dark, dpi=40)
    with Image.open(plot.path) as picture:
        corner = picture.convert("RGB").getpixel((1, 1))
    wanted = (DARK_GROUND if dark else LIGHT_GROUND).background
    assert "#{:02x}{:02x}{:02x}".format(*corner) == wanted


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    name = "$\\frac{1}{0}$ <script>\x1b[31m"
    plot = daf_plot_policy_comparison({name: [1.0, 2.0], "b": [1.0, 2.0]}, tmp_path / "a.svg")
    assert "$\\frac{1}{0}$ <script>" in words(plot)
    assert "\x1b" not in words(plot)


def test_series_differ_by_more_than_colour_and_those_without_a_place_in_the_legend_are_counted(tmp_path):
    assert len({(style(n).slot, style(n).marker, style(n).dash) for n in range(70)}) == 70
    assert {style(n).dash for n in range(20)} == set(DASHES)
    runs = {f"run {n}": [{"step": s, "reward/per_step": float(n * s)} for s in (1, 2)] for n in range(30)}
    plot = daf_plot_training_curves(runs, tmp_path / "a.png", dpi=40)
    lines = plot.figure.axes[0].lines
    assert len({(line.get_color(), line.get_marker(), str(line.get_linestyle())) for line in lines}) == 30
    assert "6 more series are not named in the legend" in words(plot)


def test_the_generator_writes_pictures_of_their_fixed_sizes(tmp_path):
    generator = VisualizationGenerator(tmp_path / "out")
    made = {
        generator.generate_training_curves(rows()): (1500, 1000),
        generator.generate_reward_distribution(returns()): (1500, 500),
        generator.generate_performance_comparison({"a": 1.0, "b": [1.0, 2.0]}): (1500, 500),
        generator.generate_heatmap({"a": {"x": 1.0, "y": None}, "b": {"x": 2.0, "y": 3.0}}): (1500, 1000),
        generator.generate_summary_dashboard(rows()): (1800, 1200),
    }
    for path, size in made.items():
        with Image.open(path) as picture:
            assert picture.size == size, path
            assert round(picture.info["dpi"][0]) == 150
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "heatmap.png", "performance_comparison.png", "reward_distribution.png", "summary_dashboard.png",
        "training_curves.png",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [[[1, 2], [3]], [1, 2], {"a": {"x": None}}, "abc"])
def test_the_generator_refuses_a_matrix_that_is_none(tmp_path, data):
    with pytest.raises(DataError):
        VisualizationGenerator(tmp_path).generate_heatmap(data)


def test_the_generator_is_a_program_too(tmp_path, capsys):
    from daf.tools.visualization_generator import main

    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 1, "update": 1, "loss/value": 2.0}\n')
    assert main([str(run), "--output-dir", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out.split()
    assert str(tmp_path / "out" / "learning_dynamics.png") in output
    assert all(Path(path).is_file() for path in output)
    assert main(["nowhere/at/all"]) == 2
    assert "UsageError: no file, directory or run nowhere/at/all" in capsys.readouterr().err


def test_numpy_arrays_and_lists_are_the_same(tmp_path):
    values = [1.0, 3.0, 2.0]
    files = []
    for given in (values, np.array(values), tuple(values)):
        training = daf_plot_training_curves(given, tmp_path / "a.png", dpi=40)
        returns = daf_plot_episode_reward_distribution({"a": given}, tmp_path / "b.png", dpi=40)
        files.append(training.path.read_bytes() + returns.path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_a_sheet_shows_what_the_single_figures_do(tmp_path):
    plot = daf_generate_summary_dashboard({"training": rows(), "returns": returns()}, tmp_path / "a.png", dpi=40)
    raw = [row["episode/return"] for row in rows() if "episode/return" in row]
    assert any(np.array_equal(values, raw) for values in line_with(axes_of(plot, "Return"), len(raw)))
    sample = returns()["policy_2"]["mission_1"]
    assert any(np.array_equal(line.get_xdata(), sample) for line in axes_of(plot, "Mean return").lines)


def test_a_metric_that_repeats_another_in_every_episode_is_drawn_once_and_named_in_the_caption():
    values = {
        "a": {"first": [1.0, 2.0, 3.0], "copy": [1.0, 2.0, 3.0], "other": [5.0, 1.0, 2.0], "half": [0.5, 1.0, 1.5]},
        "b": {"first": [2.0, 2.0, 4.0], "copy": [2.0, 2.0, 4.0], "other": [1.0, 1.0, 7.0], "half": [1.0, 1.0, 1.5]},
    }
    table = metric_table(values, None, most=9)
    assert set(table.metrics) == {"first", "other", "half"}
    assert table.same == {"first": ("copy",)}
    assert table.left_out == 0
    assert "copy" in metric_table(values, ["first", "copy"], most=9).metrics  # asked for by name
    different = {**values, "b": {**values["b"], "copy": [2.0, 2.0, 5.0]}}
    assert "copy" in metric_table(different, None, most=9).metrics
