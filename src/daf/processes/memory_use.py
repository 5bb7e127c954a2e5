"""The memory that this process uses, in MiB."""

import ctypes
import os
import sys
from pathlib import Path


def resident_mib() -> float:
    """Resident memory now; the peak if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        return peak_mib()
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib() -> float:
    """The most resident memory so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 2**20


_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Names of settings in glibc's malloc.h."""


def reuse_freed_memory(most: int = 64 * 2**20) -> None:
    """Let this process use its freed memory again, up to `most` bytes, rather than return it to the system.

    glibc returns every array of more than some hundred kilobytes, and the next one costs a page fault per 4 KB, up to a
    fifth of the time of code that makes many. Other C libraries have no such setting and are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, min(most, 32 * 2**20))  # glibc accepts no more
        mallopt(_TRIM_THRESHOLD, most)
