"""Searches over hyperparameters: of training, of policies' arguments and of missions."""

from typing import TYPE_CHECKING, Any

from daf.sweeps.result import SweepResult, SweepTrialResult

if TYPE_CHECKING:
    from daf.sweeps.library import (
        daf_grid_search,
        daf_launch_sweep,
        daf_random_search,
        daf_sweep_best_config,
        daf_sweep_status,
    )

_OF_LIBRARY = (
    "daf_grid_search",
    "daf_launch_sweep",
    "daf_random_search",
    "daf_sweep_best_config",
    "daf_sweep_status",
)

__all__ = [
    "SweepResult",
    "SweepTrialResult",
    "daf_grid_search",
    "daf_launch_sweep",
    "daf_random_search",
    "daf_sweep_best_config",
    "daf_sweep_status",
]


def __getattr__(name: str) -> Any:
    """The functions, imported when they are asked for: reading a sweep needs neither the simulator nor Optuna."""
    if name in _OF_LIBRARY:
        from daf.sweeps import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
