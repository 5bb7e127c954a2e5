"""The machine's load, and what runs take of it."""

import os
from pathlib import Path

from runs_made import running

from daf.dashboard.machine import Machine, gpus
from daf.dashboard.run_index import RunIndex

SMI = """#!/bin/sh
test "$1" = "--query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu" || exit 2
echo "0, NVIDIA H200, 87, 1024, 143771, 41"
echo "1, NVIDIA H200, [N/A], 4, 143771, [N/A]"
"""


def test_a_sample_covers_the_machine_and_the_runs_in_progress(base):
    index = RunIndex(base)
    machine = Machine(base, index.running)
    with running(base, "it") as folder:
        index.refresh()
        sample = machine.sample()
        (run,) = sample["runs"]
        assert run["key"] == f"training/{folder.name}"
        assert run["memory_mb"] > 10
        assert run["processes"] >= 1
        assert len(sample["cores"]) == os.cpu_count()
        assert 0 < sample["memory"] <= 100
        assert sample["disk_free_mb"] > 0
    index.refresh()
    assert machine.sample()["runs"] == []


def test_what_nvidia_smi_says_is_read_and_its_absence_is_no_error(tmp_path):
    """The program is stood in for by a script with the output that its manual describes."""
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    first, second = gpus(str(program))
    assert first == {
        "index": "0", "name": "NVIDIA H200", "used": 87, "memory_mb": 1024, "total_mb": 143771, "celsius": 41
    }  # fmt: skip
    assert (second["used"], second["celsius"]) == (None, None)
    assert gpus(str(tmp_path / "none")) == []
    assert gpus("/bin/false") == []


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(tmp_path: Path):
    assert Machine(tmp_path / "not" / "yet", list).sample()["disk_free_mb"] > 0
