"""The load of this machine and of the runs on it, sampled while the dashboard serves.

A thread takes a sample every two seconds and keeps half an hour of them. It only reads `/proc`; runs do not notice it.
GPUs are queried through `nvidia-smi` if that is on PATH, less often, because each query starts a process.
"""

import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from daf.dashboard.run_index import Row
from daf.errors import DamagedFileError, StorageError
from daf.output_manager import execution as execution_log
from daf.processes.answers import answer_of

INTERVAL_SECONDS = 2.0
KEPT = 900
GPU_EVERY = 3
"""Samples between two queries of nvidia-smi."""
GPU_QUESTION = ("index", "name", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu")


class Machine:
    """Samples from `start` to `stop`. running: returns the runs in progress; called again for each sample."""

    def __init__(self, base: Path, running: Callable[[], Sequence[Row]]) -> None:
        self.samples: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._base = base
        self._running = running
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._processes: dict[tuple[int, float], Any] = {}
        self._smi = shutil.which("nvidia-smi")
        self._gpus: list[dict[str, Any]] = []
        self._taken = 0

    def start(self) -> None:
        """Start sampling in the background."""
        self._thread = threading.Thread(target=self._run, name="daf-dashboard-machine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; returns when the thread has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def facts(self) -> dict[str, Any]:
        """Facts that do not change: host, cores, memory."""
        import platform

        import psutil

        return {
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "cores": psutil.cpu_count() or 1,
            "memory_mb": psutil.virtual_memory().total / 2**20,
        }

    def sample(self) -> dict[str, Any]:
        """The current load. Sizes in MiB, shares in percent: of all cores for the machine, of one core for a run."""
        import psutil

        memory = psutil.virtual_memory()
        if self._smi is not None and self._taken % GPU_EVERY == 0:
            self._gpus = gpus(self._smi)
        self._taken += 1
        return {
            "time": time.time(),
            "cpu": psutil.cpu_percent(),
            "cores": psutil.cpu_percent(percpu=True),
            "load": psutil.getloadavg()[0],
            "memory_mb": (memory.total - memory.available) / 2**20,
            "memory": memory.percent,
            "disk_free_mb": self._disk_free(),
            "gpus": self._gpus,
            "runs": self._runs(),
        }

    def _run(self) -> None:
        import psutil

        for each in (
            False,
            True,
        ):  # the first calls in a thread return 0 and set the reference points for the next ones
            psutil.cpu_percent(percpu=each)
        while not self._stop.wait(INTERVAL_SECONDS):
            self.samples.append(self.sample())

    def _disk_free(self) -> float | None:
        place = next((path for path in (self._base, *self._base.absolute().parents) if path.is_dir()), None)
        return None if place is None else shutil.disk_usage(place).free / 2**20

    def _runs(self) -> list[dict[str, Any]]:
        import psutil

        found, alive = [], {}
        for row in self._running():
            try:
                execution = execution_log.read(row.run.path)
            except (DamagedFileError, StorageError):  # damaged since the list was made; the list will show it
                continue
            if execution is None or execution["host"] != socket.gethostname():
                continue
            resident, shares = 0.0, list[float]()
            count = 0
            try:
                root = psutil.Process(execution["pid"])
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                try:
                    name = (process.pid, process.create_time())
                    known = alive[name] = self._processes.get(name, process)
                    share = known.cpu_percent()
                    if name in self._processes:  # the first call for a process returns 0
                        shares.append(share)
                    resident += known.memory_info().rss
                    count += 1
                except psutil.Error:  # the process ended after it was listed
                    continue
            cpu = sum(shares) if shares else None
            found.append({"key": row.key, "cpu": cpu, "memory_mb": resident / 2**20, "processes": count})
        self._processes = alive
        return found


def gpus(smi: str) -> list[dict[str, Any]]:
    """What `nvidia-smi` reports for each GPU; empty if it does not answer."""
    answer = answer_of(smi, f"--query-gpu={','.join(GPU_QUESTION)}", "--format=csv,noheader,nounits") or ""
    found = []
    for line in answer.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(GPU_QUESTION):
            index, name, *numbers = parts
            used, memory, total, heat = (_number(text) for text in numbers)
            found.append(
                {"index": index, "name": name, "used": used, "memory_mb": memory, "total_mb": total, "celsius": heat}
            )
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None
