"""Memory of this process: what is freed is used again where a process asks for it."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from daf.processes.memory_use import reuse_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        kept = [np.ones(100_000) for _ in range(10)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
reuse_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    usual, reused = map(int, done.stdout.split())
    assert reused < 500, f"{usual} page faults before, {reused} after"
