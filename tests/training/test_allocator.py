"""Memory that a learner frees is not cleared by the system each time that it is allocated again."""

import json
import subprocess
import sys

import pytest

REPEAT = """
import json, resource, sys
import numpy as np
from daf.core._allocator import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
faults = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(json.dumps([kept, faults]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's allocator has such a setting")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    def faults(mode: str) -> list[int]:
        done = subprocess.run([sys.executable, "-c", REPEAT, mode], capture_output=True, text=True, check=True)
        kept, found = json.loads(done.stdout)
        assert kept == (mode == "kept")
        return list(found)

    assert max(faults("kept")[2:]) < min(faults("default")[2:]) / 4
