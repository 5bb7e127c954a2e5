"""DAF, the laboratory for CoGames policies.

`import daf` costs nothing: a public name is imported from its module when it is first used.
"""

import os
from importlib import import_module

TYPE_CHECKING = False  # as type checkers know it; importing typing takes longer than all of this module
if TYPE_CHECKING:
    from typing import Any

_MODULES = {
    "auth_integration": (
        "daf_check_auth_status",
        "daf_get_auth_config_path",
        "daf_get_auth_token",
        "daf_login",
    ),
    "comparison": (
        "ComparisonReport",
        "PolicyComparisonResult",
        "daf_analyze_distributions",
        "daf_benchmark_suite",
        "daf_compare_policies",
        "daf_compare_with_vor",
        "daf_correlate_metrics",
        "daf_policy_ablation",
        "daf_run_comparison",
    ),
    "config": (
        "DAFComparisonConfig",
        "DAFConfig",
        "DAFConfigManager",
        "DAFDeploymentConfig",
        "DAFPipelineConfig",
        "DAFSweepConfig",
        "DAFTournamentConfig",
        "DAFTrainingConfig",
        "DAFVariantConfig",
        "daf_load_config",
    ),
    "core.adaptive_controller": ("DAFAdaptiveConfig", "DAFAdaptiveController"),
    "core.curriculum_manager": (
        "CurriculumStagnationError",
        "DAFCurriculumConfig",
        "DAFCurriculumManager",
        "TaskGenerationError",
        "create_progressive_curriculum",
        "create_simple_curriculum",
    ),
    "core.rl_trainer": ("DAFRlConfig", "DAFRlTrainer"),
    "crossplay": ("daf_crossplay",),
    "dashboard": ("Dashboard", "daf_serve_dashboard"),
    "deployment": (
        "DeploymentResult",
        "daf_deploy_policy",
        "daf_monitor_deployment",
        "daf_package_policy",
        "daf_rollback_deployment",
        "daf_submit_policy",
        "daf_validate_deployment",
    ),
    "distributed_training": (
        "DistributedTrainingResult",
        "daf_aggregate_training_stats",
        "daf_create_training_cluster",
        "daf_get_training_status",
        "daf_launch_distributed_training",
    ),
    "environment_checks": (
        "EnvironmentCheckResult",
        "daf_check_cuda_availability",
        "daf_check_dependencies",
        "daf_check_disk_space",
        "daf_check_environment",
        "daf_check_gpu_availability",
        "daf_check_mission_configs",
        "daf_get_recommended_device",
    ),
    "errors": ("ConfigError", "DAFError", "DataError", "MissionError", "PolicyError", "StorageError", "UsageError"),
    "evaluation": ("Evaluation", "Settings", "evaluate"),
    "log_analysis": ("LogAnalysis", "LogSummary", "StreamingProcessor", "daf_analyze_logs", "daf_compare_logs"),
    "logging_config": ("DAFLogger", "create_daf_logger", "setup_daf_logging"),
    "metrics": ("daf_list_metrics", "daf_metric_values", "daf_metrics_per_agent"),
    "mission_analysis": (
        "daf_analyze_mission",
        "daf_analyze_mission_performance",
        "daf_analyze_mission_set",
        "daf_analyze_mission_variants",
        "daf_discover_missions_from_readme",
        "daf_get_mission_metadata",
        "daf_list_all_sites",
        "daf_list_all_variants",
        "daf_validate_mission_set",
    ),
    "output_manager": ("OutputManager", "get_output_manager", "reset_output_manager"),
    "power": ("PowerReport", "daf_power"),
    "policy_analysis": (
        "daf_analyze_policy",
        "daf_compare_policy_architectures",
        "daf_get_policy_spec",
        "daf_list_available_policies",
    ),
    "reporting.catalog": ("runs", "runs_sql"),
    "reporting": ("ReportFiles", "daf_report"),
    "replaying": ("daf_replay_diff", "daf_replay_gif", "daf_replay_html", "daf_replay_info"),
    "scoring_analysis": (
        "daf_allocate_agents",
        "daf_compute_vor",
        "daf_compute_weighted_score",
        "daf_rate_policies",
        "daf_score",
        "daf_scoring_summary",
        "daf_validate_proportions",
    ),
    "sweeps": (
        "SweepResult",
        "SweepTrialResult",
        "daf_grid_search",
        "daf_launch_sweep",
        "daf_random_search",
        "daf_sweep_best_config",
        "daf_sweep_importance",
        "daf_sweep_status",
        "daf_variant_sweep",
    ),
    "training": ("StopTraining", "TrainingResult", "daf_train_policy"),
    "until_decided": ("compare_until_decided",),
    "visualization": (
        "Plot",
        "daf_export_comparison_html",
        "daf_generate_leaderboard",
        "daf_generate_summary_dashboard",
        "daf_plot_action_frequency",
        "daf_plot_cumulative_performance",
        "daf_plot_detailed_metrics_comparison",
        "daf_plot_episode_reward_distribution",
        "daf_plot_learning_dynamics",
        "daf_plot_metric_correlations",
        "daf_plot_metric_distributions",
        "daf_plot_metrics_correlation_matrix",
        "daf_plot_policy_comparison",
        "daf_plot_policy_radar",
        "daf_plot_position_heatmap",
        "daf_plot_resource_collection_timeline",
        "daf_plot_run",
        "daf_plot_sweep_heatmap",
        "daf_plot_sweep_parallel_coordinates",
        "daf_plot_sweep_results",
        "daf_plot_training_curves",
    ),
}
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin make a busy machine crawl
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # the same numbers wherever in memory a tensor happens to lie

_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("daf")
    if name in _WHERE:
        try:
            return getattr(import_module(f"daf.{_WHERE[name]}"), name)
        except ModuleNotFoundError as error:
            from daf.config.extras import extra_of, needs
            from daf.errors import MissingExtraError

            extra = extra_of(error.name)
            if extra is None:
                raise
            raise MissingExtraError(needs(extra, f"daf.{name}")) from error
    raise AttributeError(f"module 'daf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
