"""DAF, the laboratory for CoGames policies.

`import daf` costs nothing: a public name is imported from its module when it is first used.
"""

import os
from importlib import import_module
from importlib.metadata import version as _version
from typing import Any

_MODULES = {
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
    "crossplay": ("daf_crossplay",),
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
    "policy_analysis": (
        "daf_analyze_policy",
        "daf_compare_policy_architectures",
        "daf_get_policy_spec",
        "daf_list_available_policies",
    ),
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
    "until_decided": ("compare_until_decided",),
}
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin make a busy machine crawl

_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)
__version__ = _version("daf")


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"daf.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'daf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
