"""Programs as people write them: without a guard around what they do, and ended while workers still start."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = {
    "one pool": """
from daf.compute._local import LocalProcesses

executor = LocalProcesses(jobs=2)
print(sorted(done.value for done in executor.run(abs, [-3, -2, -1])))
executor.close()
""",
    "pools that are closed at once": """
from daf.compute._local import LocalProcesses

for _ in range(6):
    executor = LocalProcesses(jobs=3)
    next(iter(executor.run(abs, [-1])))
    executor.close()
print(__file__.endswith("program.py"), __spec__)
""",
}
PRINTED = {"one pool": "[1, 2, 3]\n", "pools that are closed at once": "True None\n"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_needs_no_guard_and_workers_leave_no_noise(tmp_path: Path, name: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[name])
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, PRINTED[name], "")
