"""`daf` commands that work for a long while in several processes, started for tests that end them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import BAD_POLICIES
from tests.streams.log_makers import flush, write_array

ENTERED = """
import os, sys
sys.argv[0] = "daf"
sys.addaudithook(lambda event, args: event == "import" and args[0] == "daf.cli.main" and os.write(1, b"\\n"))
from daf.cli import main
main()
"""
"""Like the command `daf`, and prints an empty line when its first module has run: before that it is Python's start."""

SWEEP = """
kind: sweep
name: long
missions: ["training_facility_1,max_steps=40"]
policy_class_path: token_lstm
search_space: {learning_rate: [0.001, 0.003]}
strategy: grid
episodes_per_trial: 1
max_steps_per_episode: 40
held_out_best: 0
training: {total_timesteps: 1048576, num_envs: 4, num_workers: 2, n_steps: 16, eval_frequency: null, trackers: []}
"""


@dataclass(frozen=True)
class Program:
    """arguments: of `daf`. workers: processes below it while it works. prepare: what it needs in its folder.

    seconds: of CPU time that the workers have used when they are at work.
    """

    arguments: tuple[str, ...]
    workers: int
    prepare: Callable[[Path], object] = lambda folder: None
    seconds: float = 0.0


BUSY = """
class Busy(_Policy):
    def act(self, obs):
        while True:
            pass
"""


def _policies(folder: Path) -> None:
    (folder / "busy.py").write_text(BAD_POLICIES + BUSY)


def _sweep(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(SWEEP)


def _logs(folder: Path) -> None:
    records = flush("flat", envs=4, length=2000)
    first = write_array(folder / "logs" / "json_logs" / "stats_1745500000.json", records, None)
    for index in range(1, 2000):  # work for any machine until the test ends it
        os.link(first, first.with_name(f"stats_{1745500000 + index}.json"))


MISSION = "training_facility_1,max_steps=40"
EVALUATE = Program(
    ("evaluate", "-p", "busy.Busy", "-m", MISSION, "-e", "4", "--jobs", "2", "--quiet"), 4, _policies, seconds=6.0
)  # a fork server, its resource tracker, two workers
TRAIN = Program(
    ("train", "-m", MISSION, "-p", "lstm", "--steps", "1000000", "--envs", "4", "--workers", "2", "--quiet"), 2
)
SWEEP_TRAINING = Program(("sweep", "run", "sweep.yaml", "--jobs", "1", "--quiet"), 3, _sweep)
LOGS = Program(("logs", "logs", "--jobs", "2", "--quiet"), 3, _logs, seconds=4.0)
PROGRAMS = {"evaluate": EVALUATE, "train": TRAIN, "sweep": SWEEP_TRAINING, "logs": LOGS}


def start(program: Program, folder: Path) -> subprocess.Popen[bytes]:
    """The command in `folder`, in a process group of its own, once DAF's code runs."""
    program.prepare(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", ENTERED, *program.arguments],
        cwd=folder,
        env=os.environ | {"DAF_OUTPUT_DIR": str(folder / "out"), "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("wb"),
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def said(folder: Path) -> str:
    """What the command wrote to stderr."""
    return (folder / "stderr").read_text(errors="replace")


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def when_it_works(process: subprocess.Popen[bytes], program: Program, folder: Path) -> list[psutil.Process]:
    """The processes below the command, once all of them are there."""
    deadline = time.monotonic() + 120
    while len(found := descendants(process)) < program.workers or _cpu_seconds(found) < program.seconds:
        assert process.poll() is None, said(folder)
        assert time.monotonic() < deadline, f"{len(found)} of {program.workers} processes: {found}"
        time.sleep(0.02)
    return found


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    used = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:2])
    return used
