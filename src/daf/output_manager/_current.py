"""One manager per process, for commands and scripts; engines receive theirs as an argument."""

import threading
from pathlib import Path

from daf.errors import UsageError
from daf.output_manager import layout
from daf.output_manager._manager import OutputManager

_current: OutputManager | None = None
_current_lock = threading.Lock()


def get_output_manager(
    base_dir: str | Path | None = None, verbose: bool = False, log_to_file: bool = True
) -> OutputManager:
    """This process's manager, created by the first call; for commands and scripts. Engines receive theirs.

    Raises `UsageError` if a later call asks for another folder: `reset_output_manager` first.
    """
    global _current
    with _current_lock:
        if _current is None:
            _current = OutputManager(base_dir, verbose=verbose, log_to_file=log_to_file)
        elif base_dir is not None and layout.base_folder(base_dir).absolute() != _current.base_dir.absolute():
            raise UsageError(f"this process already writes to {_current.base_dir}; call reset_output_manager() first.")
        return _current


def reset_output_manager() -> None:
    """Forget this process's manager; the next `get_output_manager` starts a new session."""
    global _current
    with _current_lock:
        _current = None
