"""Logging: JSON lines in files, rich on the terminal on request, operations with duration and memory."""

from daf.logging_config._logger import DAFLogger, create_daf_logger
from daf.logging_config._tracking import CallTracker, OperationTracker, track_function_calls
from daf.logging_config.setup import LogManager, setup_daf_logging

__all__ = [
    "CallTracker",
    "DAFLogger",
    "LogManager",
    "OperationTracker",
    "create_daf_logger",
    "setup_daf_logging",
    "track_function_calls",
]
