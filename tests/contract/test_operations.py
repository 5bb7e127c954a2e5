"""One real call of every operation of CONTRACT.md, on missions of a few steps."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daf.evaluation import Evaluation
from daf.output_manager import OutputManager
from tests.contract.conftest import MISSION, SERIAL, Cli


def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# configuration


def test_a_configuration_goes_to_yaml_and_json_and_back(tmp_path: Path) -> None:
    from daf.config import DAFConfig, DAFTournamentConfig, DAFVariantConfig, daf_load_config

    for number, config in enumerate(
        (
            DAFConfig(max_parallel_jobs=2),
            DAFTournamentConfig(submission_name="mine"),
            DAFVariantConfig(variant_names=["x"]),
        )
    ):
        config.to_yaml(tmp_path / f"{number}.yaml")
        config.to_json(tmp_path / f"{number}.json")
        assert type(config).from_yaml(tmp_path / f"{number}.yaml") == config
        assert type(config).from_json(tmp_path / f"{number}.json") == config
        assert daf_load_config(tmp_path / f"{number}.yaml") == config


def test_the_configuration_manager_knows_every_value_with_its_source(tmp_path: Path) -> None:
    from daf.config import (
        DAFConfigManager,
        DAFSweepConfig,
        create_development_config,
        create_production_config,
        load_config_from_environment,
    )

    manager = DAFConfigManager()
    manager.setup_environment("development")
    manager.register_component("mine", DAFSweepConfig)
    fields = {"name": "mine", "missions": ["arena"], "policy_class_path": "starter", "search_space": {"cogs": [2]}}
    manager.configure_component("mine", **fields)
    assert manager.get_component_config("mine").name == "mine"
    assert manager.validate_configuration() == []
    assert manager.get_effective_config()
    manager.save_to_file(tmp_path / "config.yaml")
    manager.load_from_file(tmp_path / "config.yaml")
    shown = console()
    manager.print_configuration_summary(shown)
    assert "max_parallel_jobs" in text_of(shown)
    assert create_development_config("a") != create_production_config("b")
    assert load_config_from_environment().output_dir


# environment


def test_the_environment_is_checked() -> None:
    from daf import environment_checks as checks

    result = checks.daf_check_environment(missions=["training_facility_1"])
    assert result.is_healthy(), result.errors
    assert isinstance(result.is_fully_optimal(), bool)
    assert "checks" in result.summary()
    assert isinstance(result.get_recommendations(), list)
    for found in (
        checks.daf_check_gpu_availability(),
        checks.daf_check_disk_space(".", min_available_gb=0.001),
        checks.daf_check_dependencies(),
        checks.daf_check_mission_configs(["training_facility_1"]),
    ):
        assert found.is_healthy(), found.errors
    with pytest.warns(DeprecationWarning, match="daf_check_gpu_availability"):
        assert checks.daf_check_cuda_availability() is not None
    assert not checks.daf_check_auth("http://127.0.0.1:9").is_healthy()
    assert str(checks.daf_get_recommended_device()) in ("cpu", "cuda", "mps")
    own = checks.EnvironmentCheckResult()
    own.add_check("mine", True, "as it should be")
    own.add_error("broken")
    assert own.errors == ["broken"]


# output and logging


def test_an_output_manager_keeps_what_an_operation_leaves(tmp_path: Path) -> None:
    from daf.output_manager import get_output_manager, reset_output_manager

    output = OutputManager(tmp_path)
    assert output.get_operation_dir("sweep") == output.get_operation_dir("sweeps")
    output.log_operation_start("sweep")
    assert Path(output.save_json_results({"a": 1}, "sweep", "a.json")).is_file()
    assert Path(output.save_text_results("text", "sweep", "a.txt", "logs")).is_file()
    assert Path(output.save_summary_report({"best": 1.0}, "sweep")).is_file()
    output.save_session_metadata()
    output.log_operation_complete("sweep")
    assert set(output.dirs) >= {"sweeps", "comparisons", "training", "deployment", "evaluations", "visualizations"}
    assert output.session_id in str(output.get_operation_dir("sweep"))
    assert output.session_metadata
    assert output.get_output_structure_info()
    shown = console()
    output.print_output_info(shown)
    assert str(tmp_path) in text_of(shown)
    output.cleanup_temp_files()
    assert get_output_manager() is get_output_manager()
    reset_output_manager()


def test_runs_are_found_listed_printed_exported_and_cleaned(tmp_path: Path) -> None:
    from daf import output_utils

    with OutputManager(tmp_path).operation("sweep", title="mine"):
        pass
    session, *_ = output_utils.list_sessions(tmp_path)
    assert output_utils.find_latest_session(tmp_path) == session
    shown = console()
    output_utils.print_session_info(session.run_id, shown, base_dir=tmp_path)
    output_utils.print_output_summary(tmp_path, shown)
    assert session.run_id in text_of(shown)
    assert Path(output_utils.export_session(session.run_id, tmp_path / "run.tar.gz", base_dir=tmp_path)).is_file()
    assert output_utils.cleanup_old_sessions(days=30, base_dir=tmp_path) == []


def test_a_results_file_needs_no_name_and_a_run_is_a_path(tmp_path: Path) -> None:
    from daf import output_utils

    with OutputManager(tmp_path).operation("sweep") as folder:
        pass
    assert Path(OutputManager(tmp_path).save_json_results({"a": 1}, operation="sweep")).is_file()
    shown = console()
    session, *_ = output_utils.list_sessions(tmp_path)
    output_utils.print_session_info(folder, shown)
    output_utils.print_session_info(session, shown)
    assert Path(output_utils.export_session(folder, tmp_path / "run.tar.gz")).exists()


def test_a_logger_logs_tracks_prints_and_saves(tmp_path: Path) -> None:
    from daf.logging_config import (
        CallTracker,
        LogManager,
        OperationTracker,
        create_daf_logger,
        setup_daf_logging,
        track_function_calls,
    )

    logger = create_daf_logger("contract", log_dir=tmp_path, track_calls=True)
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)("a message")
    with logger.track_operation("work", size=3):
        pass
    tracked = logger.start_operation("more")
    logger.end_operation(tracked)
    assert isinstance(tracked, OperationTracker)
    assert tracked.to_dict()["status"] == "completed"
    logger.print_section("Section")
    logger.print_table("Table", ["a"], [[1]])
    logger.print_metrics_summary({"reward": 1.0})
    logger.record_call("f", 0.1)
    assert Path(logger.save_metrics_json({"reward": 1.0})).is_file()
    assert Path(logger.save_call_traces()).is_file()
    tracker = CallTracker()
    assert track_function_calls(tracker)(max)(1, 2) == 2
    assert tracker.summary()
    setup_daf_logging("INFO", tmp_path / "daf.log", console_output=False)
    LogManager(tmp_path).setup_component_logging("part", "DEBUG")


def test_a_logger_takes_the_documents_call_forms(tmp_path: Path) -> None:
    from daf.logging_config import create_daf_logger

    logger = create_daf_logger("forms", log_dir=tmp_path)
    logger.info("with a mapping", {"reward": 1.0})
    logger.print_metrics_summary()


# playing


def test_policies_are_compared_on_the_same_episodes(output: OutputManager, tmp_path: Path) -> None:
    from daf.comparison import ComparisonReport, daf_compare_policies

    shown = console()
    report = daf_compare_policies(
        ["starter", "noop"], [MISSION], 3, executor="serial", output_manager=output, console=shown
    )
    assert "starter" in text_of(shown)
    assert report.policies == ["starter", "noop"]
    pair = report.pairwise_comparisons["starter", "noop"]
    assert (pair.policy_a_name, pair.policy_b_name) == ("starter", "noop")
    assert pair.avg_reward_a == report.policy_averages["starter"]
    assert 0 <= pair.p_value <= 1
    assert "starter" in pair.summary_string()
    assert set(report.policy_std_devs) == {"starter", "noop"}
    assert len(report.policy_replicate_metrics["noop"]) == 3
    assert report.policy_detailed_metrics["starter"]["steps"] == 40
    assert report.summary_statistics
    report.save_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())
    own = ComparisonReport()
    own.add_policy_results("a", "m", [1.0, 2.0, 3.0])
    own.add_policy_results("b", "m", [1.5, 2.5, 3.0])
    own.compute_pairwise_comparisons()
    assert ("a", "b") in own.pairwise_comparisons


def test_a_candidate_is_compared_and_scored_with_a_pool(base: Path) -> None:
    from daf.comparison import daf_compare_with_vor

    found = daf_compare_with_vor("starter", ["noop"], MISSION, 2, executor="serial", output_dir=base)
    assert math.isfinite(found.vor)
    assert found.comparison.policies == ["starter", "noop"]


def test_a_policy_is_ablated(output: OutputManager) -> None:
    from daf.comparison import daf_policy_ablation

    report = daf_policy_ablation(
        "starter", [MISSION], ["mask:inv:*"], settings=SERIAL, output_manager=output, console=console()
    )
    assert report.status == "ok"


def test_policies_are_scored_on_a_suite(output: OutputManager, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from daf.benchmark_suites import SUITES
    from daf.comparison import daf_benchmark_suite

    whole = SUITES["diagnostic"]
    memory = next(entry for entry in whole.entries if entry.mission == "memory_mystery_path_easy")
    monkeypatch.setitem(SUITES, "diagnostic", replace(whole, entries=(memory,)))
    found = daf_benchmark_suite(["noop"], "diagnostic", settings=replace(SERIAL, episodes=1), output_manager=output)
    assert found.status == "ok"
    assert [row.name for row in found.scores.ranking] == ["noop"]


def test_metrics_of_an_evaluation_are_correlated_and_distributed(played: Evaluation) -> None:
    from daf.comparison import daf_analyze_distributions, daf_correlate_metrics

    assert daf_correlate_metrics(played, target="reward")
    assert {row.policy for row in daf_analyze_distributions(played, ["reward"])} == {"starter", "random", "noop"}


def test_scores_are_upstreams_formulas() -> None:
    from daf import scoring_analysis as scoring

    assert scoring.daf_compute_vor(1.0, 0.25).vor == 0.75
    assert scoring.daf_compute_weighted_score([{"a": 1.0}], [{"a": 4}])["a"].score == 1.0
    assert sum(scoring.daf_allocate_agents(4, [1, 1])) == 4
    scoring.daf_validate_proportions([1.0, 1.0], 2)
    assert scoring.daf_scoring_summary({"a": [1.0, 2.0], "b": [0.0, 1.0]}, baseline="b")


def test_missions_are_analysed(output: OutputManager, tmp_path: Path) -> None:
    from daf import mission_analysis as missions

    assert missions.daf_analyze_mission("arena", output_manager=output).name == "arena"
    found = missions.daf_analyze_mission_performance("starter", MISSION, settings=SERIAL, output_manager=output)
    assert 0 <= found.success_rate <= 1
    assert math.isfinite(found.mean_reward)
    assert found.completion is not None
    assert found.failure_modes is not None
    assert len(missions.daf_analyze_mission_set(["training_facility_1", "training_facility_2"]).missions) == 2
    assert missions.daf_analyze_mission_variants("arena", ["no_clips"])
    assert missions.daf_validate_mission_set(["arena", "arenna"])["arena"] is None
    assert missions.daf_get_mission_metadata("arena")["name"] == "arena"
    assert "arena" in missions.daf_list_all_sites()
    assert "no_clips" in missions.daf_list_all_variants()
    (tmp_path / "README.md").write_text("Play `arena`.")
    assert missions.daf_discover_missions_from_readme(tmp_path / "README.md") == ["arena"]


def test_policies_are_analysed(output: OutputManager) -> None:
    from daf import policy_analysis as policies

    assert "starter" in {policy["name"] for policy in policies.daf_list_available_policies()}
    shown = policies.daf_compare_policy_architectures(
        ["starter", "noop"], MISSION, steps=20, episodes=1, output_manager=output
    )
    assert len(shown["policies"]) == 2
    assert policies.daf_analyze_policy("noop", MISSION, steps=20, output_manager=output).trainable is False
    assert policies.daf_get_policy_spec("starter").class_path.endswith("StarterPolicy")


# sweeps


def test_a_sweep_finds_its_best_trial(sweep: Any, output: OutputManager, tmp_path: Path) -> None:
    from daf import sweeps

    assert len(sweep.trials) == 4
    best = sweep.get_best_trial()
    assert best.success
    assert best.primary_metric >= sweep.get_worst_trial().primary_metric
    assert sweep.top_trials(2)[0] is best
    assert sweeps.daf_sweep_best_config(sweep).hyperparameters == dict(best.hyperparameters)
    assert sweeps.daf_sweep_status(sweep.run_dir)["status"] == "done"
    shown = console()
    sweep.print_summary(shown)
    assert text_of(shown)
    sweep.save_json(tmp_path / "sweep.json")
    assert len(sweeps.daf_grid_search({"a": [1, 2], "b": [1, 2]})) == 4
    assert len(sweeps.daf_random_search(space={"a": [1, 2]}, num_samples=3, seed=1)) == 3
    found = sweeps.daf_variant_sweep("noop", MISSION, ["sparse"], 2, settings=SERIAL, output_manager=output)
    assert found.status == "ok"


def test_a_sweep_result_can_be_made_of_the_contracts_fields() -> None:
    from daf.sweeps import SweepResult, SweepTrialResult

    own = SweepResult()
    own.add_trial(SweepTrialResult(0, {"x": 1}, primary_metric=0.5, all_metrics={}, mission_results={}, success=True))
    own.add_trial(SweepTrialResult(1, {"x": 2}, primary_metric=0.7, all_metrics={}, mission_results={}, success=True))
    own.finalize()
    assert own.get_best_trial().trial_id == 1


# learning


def test_a_policy_is_trained_and_played_by_its_run(trained: Any, output: OutputManager) -> None:
    from daf.evaluation import evaluate

    assert trained.status == "done"
    played = evaluate([f"run:{trained.run_id}"], [MISSION], settings=SERIAL, output=output)
    assert played.status == "ok"


def test_distributed_training_returns_what_it_reached(tmp_path: Path) -> None:
    from daf import distributed_training as distributed
    from daf.config import DAFTrainingConfig

    config = DAFTrainingConfig(n_steps=16, num_workers=1, eval_frequency=None, trackers=[], log_agents=0, threads=1)
    result = distributed.daf_launch_distributed_training(
        MISSION, "stateless", "cpu", num_steps=256, checkpoints_path=tmp_path / "run", seed=3, batch_size=128,
        minibatch_size=128, config=config,
    )  # fmt: skip
    assert (result.status, result.training_steps, result.num_workers) == ("done", 256, 1)
    assert Path(result.final_checkpoint).is_dir()
    assert math.isfinite(result.final_loss)
    assert result.wait_for_completion() is not None
    assert result.training_rate() > 0
    assert result.aggregate_stats
    assert distributed.daf_get_training_status(tmp_path / "run")["status"] == "done"
    assert distributed.daf_create_training_cluster(num_nodes=1)
    assert distributed.daf_aggregate_training_stats([{"a": 1.0}, {"a": 3.0}], "max") == {"a": 3.0}


def test_a_device_is_also_torchs(tmp_path: Path) -> None:
    import torch

    from daf import distributed_training as distributed
    from daf.config import DAFTrainingConfig

    config = DAFTrainingConfig(n_steps=16, num_workers=1, eval_frequency=None, trackers=[], log_agents=0, threads=1)
    result = distributed.daf_launch_distributed_training(
        MISSION, "stateless", torch.device("cpu"), num_steps=64, checkpoints_path=tmp_path / "run", batch_size=64,
        config=config,
    )  # fmt: skip
    assert result.status == "done"


def test_a_trainer_trains_evaluates_and_reports_its_rates(base: Path, tmp_path: Path) -> None:
    from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer

    config = DAFRlConfig(
        mission=MISSION, total_timesteps=1024, n_steps=16, num_envs=2, num_workers=1, threads=1, eval_frequency=None,
        eval_episodes=1, trackers=[], log_agents=0, device="cpu",
    )  # fmt: skip
    with_results: list[Any] = []
    trainer = DAFRlTrainer(config, "stateless", output=OutputManager(base))
    try:
        assert trainer.train_episodes(2) is not None
        trainer.train(on_training_complete=with_results.append)
        assert len(with_results) == 1
        assert trainer.evaluate_policy(1) is not None
        assert trainer.get_training_metrics() is not None
        assert trainer.get_training_summary() is not None
        for rate in (
            trainer.get_episodes_per_second(),
            trainer.get_timesteps_per_second(),
            trainer.get_update_frequency(),
            trainer.get_gradient_norm(),
        ):
            assert rate is None or rate >= 0
        trainer.enable_gradient_clipping()
        trainer.increase_batch_size()
        trainer.save_training_state(tmp_path / "state")
        trainer.load_training_state(tmp_path / "state")
    finally:
        trainer.close()


def test_a_trainers_results_have_the_documents_keys(base: Path) -> None:
    from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer

    config = DAFRlConfig(
        mission=MISSION, total_timesteps=640, n_steps=16, num_envs=1, num_workers=1, threads=1, eval_frequency=None,
        eval_episodes=1, trackers=[], log_agents=0, device="cpu",
    )  # fmt: skip
    trainer = DAFRlTrainer(config, "stateless", output=OutputManager(base))
    try:
        results = trainer.train_episodes(1)
        for name in ("avg_reward", "best_reward", "completion_rate", "task_performance", "episodes"):
            assert results[name] is not None
        assert math.isfinite(trainer.evaluate_policy(1)["mean_reward"])
    finally:
        trainer.close()


def test_a_curriculum_draws_tasks_and_changes(tmp_path: Path) -> None:
    from daf.core import curriculum_manager as curricula

    manager = curricula.create_progressive_curriculum()
    assert curricula.create_simple_curriculum().get_next_task() is not None
    assert len(manager.generate_task_sequence(4, "adaptive")) == 4
    task = manager.get_next_task()
    manager.update_task_performance(task, 0.5)
    manager.add_task("mine", 0.3, {"mission": MISSION})
    assert manager.adapt_curriculum("recover") is not None
    assert manager.get_curriculum_stats()
    assert manager.get_task_difficulty_distribution() is not None
    assert manager.get_performance_history() is not None
    state = manager.export_curriculum_state(tmp_path / "state.json")
    curricula.create_progressive_curriculum().import_curriculum_state(state)
    own = curricula.DAFCurriculumManager(curricula.DAFCurriculumConfig(name="own", missions=["training_facility_1"]))
    assert own.get_next_task() is not None


def test_a_curriculum_takes_tasks_without_a_mission_and_has_the_documents_keys() -> None:
    from daf.core import curriculum_manager as curricula

    manager = curricula.create_simple_curriculum()
    manager.add_task("navigation", difficulty=0.2)
    stats = manager.get_curriculum_stats()
    for name in ("adaptation_needed", "num_custom_tasks", "avg_performance"):
        assert name in stats
    manager.adapt_curriculum("adjust_difficulty")
    manager.adapt_curriculum("reduce_difficulty")


def test_an_experiment_runs_reports_and_gets_feedback(tmp_path: Path) -> None:
    from daf.core.adaptive_controller import AdaptiveControllerError
    from tests.core.adaptive_driver import config, controller

    control = controller(tmp_path, config(runs=[{}], total=40))
    try:
        status = control.start_experiment()
        assert status.status == "done"
        assert control.get_experiment_status().status == "done"
        with pytest.raises(AdaptiveControllerError, match="not running"):
            control.stop_experiment()
    finally:
        control.close()


def test_feedback_without_a_curriculum_is_reported_and_no_error(tmp_path: Path) -> None:
    from tests.core.adaptive_driver import config, controller

    control = controller(tmp_path, config(runs=[{}], total=40))
    try:
        assert control.get_experiment_status() is not None
        control.update_from_training_results({"reward": 1.0})
        control.increase_curriculum_difficulty()
    finally:
        control.close()


# seeing


PLAYED_PLOTS = (
    "daf_plot_policy_comparison", "daf_plot_detailed_metrics_comparison", "daf_plot_metric_distributions",
    "daf_plot_metric_correlations", "daf_plot_metrics_correlation_matrix", "daf_plot_policy_radar",
    "daf_plot_episode_reward_distribution", "daf_plot_cumulative_performance", "daf_plot_action_frequency",
    "daf_generate_summary_dashboard",
)  # fmt: skip
SWEEP_PLOTS = ("daf_plot_sweep_results", "daf_plot_sweep_heatmap", "daf_plot_sweep_parallel_coordinates")


def test_every_figure_is_drawn(played: Evaluation, sweep: Any, trained: Any, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    from daf import visualization

    sources = [(name, played.run_dir) for name in PLAYED_PLOTS]
    sources += [(name, sweep.run_dir) for name in SWEEP_PLOTS]
    sources += [(name, trained.run_dir) for name in ("daf_plot_training_curves", "daf_plot_learning_dynamics")]
    for name, source in sources:
        plot = getattr(visualization, name)(source, tmp_path / f"{name}.png", dpi=40)
        assert Path(plot).read_bytes().startswith(b"\x89PNG"), name
        plt.close(plot.figure)
    timeline = visualization.daf_plot_resource_collection_timeline(played, tmp_path / "timeline.png", dpi=40)
    assert timeline.path.is_file()


def test_a_comparison_becomes_a_page_and_a_leaderboard(played: Evaluation, tmp_path: Path) -> None:
    from daf.visualization import daf_export_comparison_html, daf_generate_leaderboard

    assert "starter" in daf_export_comparison_html(played, tmp_path / "page.html").read_text()
    assert "starter" in daf_generate_leaderboard(played.run_dir, tmp_path / "board.md")


def test_the_standard_figures_have_their_sizes(played: Evaluation, trained: Any, tmp_path: Path) -> None:
    from PIL import Image

    from daf.tools.visualization_generator import VisualizationGenerator

    generator = VisualizationGenerator(tmp_path)
    sizes = [
        Image.open(path).size
        for path in (
            generator.generate_training_curves(trained.run_dir),
            generator.generate_reward_distribution(played.run_dir),
            generator.generate_performance_comparison(played.run_dir),
            generator.generate_heatmap([[1.0, 2.0], [3.0, 4.0]]),
            generator.generate_summary_dashboard(played.run_dir),
        )
    ]
    assert sizes == [(1500, 1000), (1500, 500), (1500, 500), (1500, 1000), (1800, 1200)]


def test_a_replay_becomes_a_gif(played: Evaluation, tmp_path: Path) -> None:
    from daf.tools.replay_to_gif import ReplayToGifConverter

    converter = ReplayToGifConverter(tmp_path)
    replay = next(iter(played.replays.values()))
    assert converter.load_replay(replay) is not None
    assert converter.convert_to_gif(replay, tmp_path / "one.gif", fps=5).read_bytes().startswith(b"GIF89a")
    assert converter.batch_convert(replay.parent)


# the command line


EPISODE = {"mission", "seed", "index", "policies", "assignment", "rewards", "steps", "status", "cached", "key"}
RANKED = {"policy", "mean", "ci", "iqm", "iqm_ci", "n"}
PAIR = {"a", "b", "mission", "difference", "ci", "p", "p_adjusted", "effect_size", "verdict", "sentence"}


def test_json_of_what_plays_has_the_promised_keys(daf_json: Cli) -> None:
    command = (
        "-p",
        "starter",
        "-p",
        "noop",
        "-m",
        MISSION,
        "-e",
        "2",
        "--executor",
        "serial",
        "--quiet",
        "--no-report",
    )
    for name in ("evaluate", "compare"):
        found = daf_json(name, *command)
        assert found["status"] == "ok"
        assert Path(found["run_dir"]).name == found["run_id"]
        assert "summary" in found
        assert len(found["episodes"]) == 4
        assert all(episode.keys() >= EPISODE for episode in found["episodes"])
        assert all(row.keys() >= RANKED for row in found["ranking"])
        assert all(pair.keys() >= PAIR for pair in found["pairs"])


@pytest.mark.parametrize(
    ("arguments", "type_"),
    [
        (("evaluate", "-p", "starter", "-m", "arenna"), "MissionError"),
        (("evaluate", "--no-such-option"), "UsageError"),
        (("runs", "show", "20010101"), "UsageError"),
    ],
)
def test_json_of_an_error_is_one_object_with_its_type(daf_json: Cli, arguments: tuple[str, ...], type_: str) -> None:
    found = daf_json(*arguments, code=2)
    assert found["status"] == "failed"
    assert found["error"]["type"] == type_
    assert found["error"]["message"]


def test_commands_that_report_answer_with_json(daf_json: Cli, played: Evaluation, sweep: Any, trained: Any) -> None:
    replay = str(next(iter(played.replays.values())))
    for command in (
        ("missions", "arena"),
        ("policies",),
        ("runs",),
        ("runs", "show", played.run_dir.name),
        ("runs", "rebuild", played.run_dir.name),
        ("sweep", "status"),
        ("sweep", "show"),
        ("sweep", "best"),
        ("replay", "info", replay),
        ("replay", "diff", replay, replay),
        ("replay", "gif", replay),
        ("plot", str(played.run_dir), "--kind", "comparison"),
        ("report", str(sweep.run_dir)),
        ("logs", str(trained.run_dir), "--format", "svg"),
        ("metrics", "-m", MISSION, "-p", "noop", "-e", "2", "--executor", "serial"),
        ("analyze", "mission", "arena"),
        ("score", "starter", "--pool", "noop", "-m", MISSION, "-e", "2", "--executor", "serial"),
        ("crossplay", "-p", "starter", "-p", "noop", "-m", MISSION, "-e", "2", "--executor", "serial"),
    ):
        found = daf_json(*command)
        assert found.keys() >= {"run_id", "run_dir", "status"}, command
        assert found["status"] in ("ok", "done", "completed"), (command, found["status"])
