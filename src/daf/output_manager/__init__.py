"""Run directories: created on the first write, described, and with the true status of the run."""

from daf.output_manager._current import get_output_manager, reset_output_manager
from daf.output_manager._manager import OutputManager
from daf.output_manager.layout import default_base_dir
from daf.output_manager.runs import RunInfo, find_run, list_runs

__all__ = [
    "OutputManager",
    "RunInfo",
    "default_base_dir",
    "find_run",
    "get_output_manager",
    "list_runs",
    "reset_output_manager",
]
