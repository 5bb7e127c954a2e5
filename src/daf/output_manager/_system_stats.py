"""CPU and memory of a run, sampled while it runs.

A thread appends one JSON object per interval to a file, the first immediately and the last when it stops, so that even
a short run has two. A sample covers this process and its children. If the file cannot be written, sampling ends with a
warning in the log; the run continues.
"""

import logging
import threading
from pathlib import Path
from typing import Any

from daf.errors import StorageError
from daf.output_manager.execution import now
from daf.storage import journal
from daf.storage.atomic import explain

INTERVAL_SECONDS = 5.0


class SystemMonitor:
    """Samples from `start` to `stop`."""

    def __init__(self, path: Path, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.path = path
        self.interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the first sample and continue in the background.

        Raises `StorageError` if the first cannot be written.
        """
        import psutil

        psutil.cpu_percent()  # the first call only sets the start of the next measurement
        self._append()
        self._thread = threading.Thread(target=self._run, name="daf-system-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take the last sample and end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._stop.wait(self.interval_seconds):
                self._append()
            self._append()
        except StorageError as error:
            logging.getLogger(__name__).warning("system statistics stopped: %s", error)

    def _append(self) -> None:
        try:
            measured = sample()
        except OSError as error:
            raise StorageError(explain(error, "measuring the machine")) from error
        journal.append(self.path, measured)


def sample() -> dict[str, Any]:
    """The machine and this process with its children, now. Sizes in MiB, shares in percent of all cores."""
    import psutil

    memory = psutil.virtual_memory()
    resident = 0
    count = 0
    own = psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        try:
            resident += process.memory_info().rss
            count += 1
        except psutil.Error:  # it ended between being listed and being measured
            continue
    return {
        "time": now(),
        "cpu_percent": psutil.cpu_percent(),
        "memory_used_mb": round((memory.total - memory.available) / 2**20, 1),
        "memory_percent": memory.percent,
        "processes": count,
        "processes_memory_mb": round(resident / 2**20, 1),
    }
