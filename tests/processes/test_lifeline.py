"""No process of DAF outlives the command that started it, however that ended."""

from pathlib import Path

import psutil
import pytest

from .programs import PROGRAMS, start, when_it_works


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] if name != "logs" else []) for name in PROGRAMS]
)
def test_every_worker_ends_with_a_command_that_is_killed(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    process = start(program, tmp_path)
    workers = when_it_works(process, program, tmp_path)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    try:
        assert not alive, [worker.cmdline()[:4] for worker in alive]
    finally:
        for worker in alive:
            worker.kill()
