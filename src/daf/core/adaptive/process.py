"""Processes that are certainly the ones we started.

A pid alone names a process only until it is taken again, and ending the wrong one is not to be undone. `identity` adds
what no later process shares: on Linux the boot and the clock tick at which it began, elsewhere its start time.
"""

import contextlib
import os
import signal
from pathlib import Path

MARK = "DAF_ADAPTIVE_JOB"
"""Environment variable by which every process of a job is known, also after its supervisor has died."""


def identity(pid: int) -> str | None:
    """What tells the process `pid` from every other one that ever had this pid; None where it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _identity_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _identity_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def alive(pid: int, known: str) -> bool:
    """Whether the process that had this pid and identity still runs."""
    return identity(pid) == known


def signal_group(pid: int, known: str, number: signal.Signals) -> bool:
    """Send a signal to the process group that `pid` leads; False where that process is gone."""
    if not alive(pid, known):
        return False
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def marked(mark: str) -> list[int]:
    """The processes of this user that carry `mark` in `MARK`: what is left of a job, however it ended."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found


def end_marked(mark: str) -> int:
    """Kill what is left of a job, also what outlived its supervisor; returns how many processes were there."""
    import psutil

    ended = 0
    for pid in marked(mark):
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.environ().get(MARK) == mark:
                process.kill()
                ended += 1
    return ended
