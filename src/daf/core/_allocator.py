"""The C library's allocator while a process learns.

An update allocates and frees the same hundreds of megabytes again and again. By default, glibc gives large pieces back
to the system at once, and the system clears every page for the next use: half of the time of an LSTM's backward pass.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = 2**30
_PAD = 2**26


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of freed memory for later; False where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # other C libraries; TypeError on Windows
        return False
    # glibc before 2.35 allows 32 MiB here at most.
    mapped = mallopt(_MMAP_THRESHOLD, _KEPT) or mallopt(_MMAP_THRESHOLD, 2**25)
    return bool(mapped and mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_TOP_PAD, _PAD))
