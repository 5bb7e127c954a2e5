"""A run that was killed and resumed ends with the weights and metrics of one that was never stopped, to the bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.training.tiny import STEPS_PER_UPDATE, TINY, metrics_of, weights_of

pytestmark = pytest.mark.thorough

TOTAL = 12 * STEPS_PER_UPDATE
COMMAND = [
    *(sys.executable, "-m", "daf", "train", "-m", "training_facility_1,max_steps=40", "-p", "lstm"),
    *("--steps", str(TOTAL), "--set", f"n_steps={TINY['n_steps']}", "--envs", str(TINY["num_envs"])),
    *("--checkpoint-every", str(3 * STEPS_PER_UPDATE), "--eval-every", "never", "--workers", "2", "--seed", "7"),
    *("--tracker", "jsonl", "--quiet", "--json"),
]


def train(run_dir: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "--run-dir", str(run_dir), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(run_dir: Path, *more: str) -> dict[str, Any]:
    process = train(run_dir, *more)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert finish(run_dir)["status"] == "done"
    return run_dir


def assert_same(run_dir: Path, other: Path) -> None:
    assert weights_of(run_dir / "checkpoints" / "final") == weights_of(other / "checkpoints" / "final")
    assert metrics_of(run_dir) == metrics_of(other)


def killed_after(run_dir: Path, update: int, *, whole_group: bool) -> None:
    """Start the run, and kill it as soon as `update` stands in its metrics."""
    process = subprocess.Popen(
        [*COMMAND, "--run-dir", str(run_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    metrics = run_dir / "metrics.jsonl"
    while process.poll() is None:
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        if len(lines) >= update:
            break
        time.sleep(0.005)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


@pytest.mark.parametrize("update", [2, 7])
def test_killed_and_resumed_it_ends_the_same(tmp_path: Path, uninterrupted: Path, update: int) -> None:
    run_dir = tmp_path / "run"
    killed_after(run_dir, update, whole_group=update == 7)
    assert not (run_dir / "training.json").exists()
    assert finish(run_dir)["status"] == "done"
    assert_same(run_dir, uninterrupted)


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_the_same(tmp_path: Path, uninterrupted: Path) -> None:
    moments = random.Random(1)
    run_dir = tmp_path / "run"
    for _ in range(6):
        killed_after(run_dir, moments.randrange(1, 12), whole_group=moments.random() < 0.5)
    assert finish(run_dir)["status"] == "done"
    assert_same(run_dir, uninterrupted)


def test_ctrl_c_saves_and_the_same_command_continues(tmp_path: Path, uninterrupted: Path) -> None:
    run_dir = tmp_path / "run"
    process = train(run_dir)
    metrics = run_dir / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 4):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    data = json.loads(out)
    assert data["status"] == "interrupted"
    assert data["steps"] % STEPS_PER_UPDATE == 0
    assert Path(data["final_checkpoint"]).name == f"step_{data['steps']:012d}"
    assert "Resume with: daf train" in err
    assert finish(run_dir)["status"] == "done"
    assert_same(run_dir, uninterrupted)


def test_stopped_in_between_and_gone_on_it_ends_the_same(tmp_path: Path, uninterrupted: Path) -> None:
    run_dir = tmp_path / "run"
    stopped = finish(run_dir, "--stop-at", str(4 * STEPS_PER_UPDATE + 1))
    assert (stopped["status"], stopped["updates"]) == ("stopped", 5)
    assert finish(run_dir, "--workers", "1")["status"] == "done"  # the number of processes does not matter
    assert_same(run_dir, uninterrupted)


def test_another_setting_is_refused_with_what_differs(uninterrupted: Path) -> None:
    process = train(uninterrupted, "--set", "gamma=0.5")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "gamma 0.99 → 0.5" in err
    assert "--branch-from" in err
