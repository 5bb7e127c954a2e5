"""Processes, identified safely across pid reuse.

A pid identifies a process only until it is reused, and ending the wrong process cannot be undone. `identity` adds a
value that no later process shares: on Linux the boot and the clock tick at which it started, elsewhere its start time.
"""

import contextlib
import os
import signal
from pathlib import Path

MARK = "DAF_ADAPTIVE_JOB"
"""Environment variable that marks every process of a job, even after its supervisor has died.

The name is from a version in which only adaptive experiments had jobs; one that it left running is still found.
"""


def identity(pid: int) -> str | None:
    """A value that distinguishes the process `pid` from every other with this pid; None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _identity_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()  # the name before it may contain any character
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _identity_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def alive(pid: int, known: str) -> bool:
    """Whether the process that had this pid and identity is still running."""
    return identity(pid) == known


def signal_group(pid: int, known: str, number: signal.Signals) -> bool:
    """Send a signal to the process group that `pid` leads; False if that process is gone."""
    if not alive(pid, known):
        return False
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def marked(mark: str) -> list[int]:
    """The processes of this user that carry `mark` in `MARK`: the remains of a job, however it ended."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found


def end_marked(mark: str) -> int:
    """Kill the remaining processes of a job, even if they outlived its supervisor; returns how many there were."""
    import psutil

    ended = 0
    for pid in marked(mark):
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.environ().get(MARK) == mark:
                process.kill()
                ended += 1
    return ended
