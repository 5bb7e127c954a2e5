"""Run folders: made when first written to, described, and true about how the run ended."""

from daf.output_manager.manager import OutputManager, get_output_manager, reset_output_manager
from daf.output_manager.runs import RunInfo, find_run, list_runs

__all__ = ["OutputManager", "RunInfo", "find_run", "get_output_manager", "list_runs", "reset_output_manager"]
