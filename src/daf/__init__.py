"""DAF, the laboratory for CoGames policies.

`import daf` costs nothing: a public name is imported from its module when it is first used.
"""

from importlib import import_module
from importlib.metadata import version as _version
from typing import Any

_MODULES = {
    "comparison": ("ComparisonReport", "PolicyComparisonResult", "daf_compare_policies", "daf_run_comparison"),
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
    "logging_config": ("DAFLogger", "create_daf_logger", "setup_daf_logging"),
    "output_manager": ("OutputManager", "get_output_manager", "reset_output_manager"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)
__version__ = _version("daf")


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"daf.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'daf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
