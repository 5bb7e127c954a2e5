"""The resources that a run uses (CPU, memory, GPU), and a memory watch.

`SystemMetrics.read()` gives flat names for metrics.jsonl; metrics that this machine does not have (a GPU) are absent. A
reading takes about a millisecond, and is refreshed at most every `INTERVAL_SECONDS`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
_MEBI = 2**20


class SystemMetrics:
    """Readings of this process with its children. device: the name of a CUDA device adds that GPU's."""

    def __init__(self, device: str = "cpu") -> None:
        import psutil

        self._own = psutil.Process()
        self._processes: dict[int, Any] = {}
        self._device = device
        self._read_at: float | None = None
        self._last: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """The latest reading: `system/cpu_percent` (of one core, summed over processes), `system/memory_mb`, and with a
        GPU `system/gpu_memory_mb`, `system/gpu_percent`.
        """
        now = time.monotonic()
        if self._read_at is None or now - self._read_at >= INTERVAL_SECONDS:
            self._read_at = now
            self._last = {**self._processes_now(), **self._gpu_now()}
        return self._last

    def _processes_now(self) -> dict[str, float]:
        import psutil

        current = {self._own.pid: self._own} | {child.pid: child for child in self._own.children(recursive=True)}
        # A process's CPU share is measured since the previous reading, so the same object must be read again.
        self._processes = {pid: self._processes.get(pid, process) for pid, process in current.items()}
        cpu = memory = 0.0
        for process in self._processes.values():
            try:
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
        return {"system/cpu_percent": round(cpu, 1), "system/memory_mb": round(memory / _MEBI, 1)}

    def _gpu_now(self) -> dict[str, float]:
        if not self._device.startswith("cuda"):
            return {}
        import torch

        found = {"system/gpu_memory_mb": round(torch.cuda.memory_reserved(self._device) / _MEBI, 1)}
        try:
            found["system/gpu_percent"] = float(torch.cuda.utilization(self._device))
        except Exception:  # torch asks pynvml, which may be absent, find no driver, or not know the device (MIG)
            return found
        return found


@dataclass(slots=True)
class MemoryWatch:
    """Acts once, when the used part of the machine's memory, or of the container's limit, exceeds `limit` (0 to 1).

    what: the action in words, for the log ("a checkpoint is saved and training stops"). act: the action.
    """

    limit: float
    what: str
    act: Callable[[], None]
    acted: bool = False

    def check(self) -> bool:
        """Check the memory, and act if it exceeds the limit; returns whether it acted."""
        if self.acted:
            return False
        used, total = memory_used()
        if used <= self.limit * total:
            return False
        self.acted = True
        logger.warning(
            "memory: %.0f of %.0f MB is used, more than %.0f %%: %s",
            used / _MEBI,
            total / _MEBI,
            100 * self.limit,
            self.what,
        )
        self.act()
        return True


def memory_used() -> tuple[int, int]:
    """(used, total) in bytes: of the machine, or of this process's control group if its limit is lower."""
    import psutil

    machine = psutil.virtual_memory()
    group = _group_memory()
    if group is not None and group[1] < machine.total:
        return group
    return machine.total - machine.available, machine.total


def _group_memory(root: Path = Path("/sys/fs/cgroup")) -> tuple[int, int] | None:
    """Memory used by the control group (version 2), without reclaimable memory, and its limit; None without a limit."""
    try:
        limit = (root / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((root / "memory.current").read_text())
        stats = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return used - int(stats.get("inactive_file", 0)), int(limit)
