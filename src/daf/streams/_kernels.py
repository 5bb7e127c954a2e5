"""The modules of this package that numba compiles: what they are called, and whether they are loaded.

Nothing but the time depends on it: both ways give the same results, to the last bit.
"""

import sys
from typing import Any

from daf.compute import compiling
from daf.processes.memory_use import reuse_freed_memory

READING = "daf.streams._kernel_reading"
COUNTING = "daf.streams._kernel_counting"


def are_kept() -> bool:
    """Whether both were compiled before."""
    return compiling.is_kept(READING) and compiling.is_kept(COUNTING)


def load() -> None:
    """Load both, compiling what was not kept, and keep the memory of tables for the next ones."""
    reuse_freed_memory()
    for name in (READING, COUNTING):
        compiling.load(name)


def counting() -> Any | None:
    """The compiled counting, if it is loaded in this process."""
    return sys.modules.get(COUNTING)
