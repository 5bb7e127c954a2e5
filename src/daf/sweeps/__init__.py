"""Searches over hyperparameters of training, arguments of policies, and missions."""

import importlib
from typing import TYPE_CHECKING, Any

from daf.sweeps.result import SweepResult, SweepTrialResult

if TYPE_CHECKING:
    from daf.sweeps.importance import daf_sweep_importance
    from daf.sweeps.library import (
        daf_grid_search,
        daf_launch_sweep,
        daf_random_search,
        daf_sweep_best_config,
        daf_sweep_status,
    )
    from daf.sweeps.variants import daf_variant_sweep

_MODULES = {
    "daf_grid_search": "library",
    "daf_launch_sweep": "library",
    "daf_random_search": "library",
    "daf_sweep_best_config": "library",
    "daf_sweep_importance": "importance",
    "daf_sweep_status": "library",
    "daf_variant_sweep": "variants",
}

__all__ = [
    "SweepResult",
    "SweepTrialResult",
    "daf_grid_search",
    "daf_launch_sweep",
    "daf_random_search",
    "daf_sweep_best_config",
    "daf_sweep_importance",
    "daf_sweep_status",
    "daf_variant_sweep",
]


def __getattr__(name: str) -> Any:
    """Import the functions on first access, because reading a sweep needs neither the simulator nor Optuna."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"daf.sweeps.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
