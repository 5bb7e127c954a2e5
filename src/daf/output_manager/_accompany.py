"""Services that run next to an operation: its log file, the terminal log, the samples of the machine."""

import contextlib
import logging
from pathlib import Path

from daf.logging_config.setup import ROOT, attach_console, attach_file, detach
from daf.output_manager._system_stats import SystemMonitor


def accompany(folder: Path, name: str, *, log_to_file: bool, verbose: bool, monitor: bool) -> contextlib.ExitStack:
    """Start the requested services; closing the result ends them. Raises `StorageError`, and then none keeps running.

    log_to_file: `logs/NAME.jsonl` in `folder`. verbose: the log on stderr too, and debug messages in the file.
    monitor: samples into `stats/system.jsonl`.
    """
    logger = logging.getLogger(ROOT)
    with contextlib.ExitStack() as stack:
        if log_to_file:
            handler = attach_file(logger, folder / "logs" / f"{name}.jsonl", "DEBUG" if verbose else "INFO")
            stack.callback(detach, logger, handler)
        if verbose and not any(getattr(h, "_daf_console", False) for h in logger.handlers):
            stack.callback(detach, logger, attach_console(logger, "INFO"))
        if monitor:
            samples = SystemMonitor(folder / "stats" / "system.jsonl")
            samples.start()
            stack.callback(samples.stop)
        return stack.pop_all()
