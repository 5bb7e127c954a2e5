"""`daf train`, as a user meets it, on a mission of seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DafCall

SMALL = ["-m", "training_facility_1", "-p", "lstm", "--set", "n_steps=16", "--envs", "2", "--workers", "1"]
NO_EVALUATION = ["--eval-every", "never"]
UPDATE = 2 * 4 * 16
"""Agent steps of one update with `SMALL`."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def daf(tmp_path: Path, daf_call: DafCall) -> Run:
    """`daf` in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        done = daf_call(*arguments, DAF_OUTPUT_DIR=str(tmp_path / "out"))
        return done.returncode, done.stdout, done.stderr

    return run


def lines(run_dir: str | Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """The metrics that do not depend on the clock."""
    found = [json.loads(line) for line in (Path(run_dir) / name).read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(("clock/", "system/"))} for row in found]


def test_a_run_leaves_metrics_evaluations_events_logs_and_a_policy_that_plays(daf: Run, tmp_path: Path) -> None:
    code, out, err = daf(
        "train", *SMALL, "--steps", str(10 * UPDATE), "--eval-every", str(10 * UPDATE), "--eval-episodes", "2",
        "--checkpoint-every", str(5 * UPDATE), "--json", "--quiet",
    )  # fmt: skip
    assert code == 0, err
    result = json.loads(out)
    assert (result["status"], result["steps"], result["updates"]) == ("done", 10 * UPDATE, 10)
    run_dir = Path(result["run_dir"])
    assert [line["step"] for line in lines(run_dir)] == [UPDATE * (n + 1) for n in range(10)]
    assert [row["step"] for row in lines(run_dir, "evaluations.jsonl")] == [0, 10 * UPDATE]
    untrained, chance = result["learned"]["comparisons"]
    assert (untrained["against"], chance["against"]) == ("untrained", "random")
    assert "too few episodes for a verdict against untrained" in result["learned"]["sentence"]
    assert Path(result["report"]) == run_dir / "report.html"
    assert result["learned"]["sentence"] in unescape((run_dir / "report.html").read_text())
    assert result["evaluation"]["n"] == 2
    assert list((run_dir / "tensorboard").iterdir())
    assert all((run_dir / replay).is_file() for replay in result["evaluation"]["replays"])

    policy = f"run:{result['run_id']}"
    code, out, err = daf(
        "evaluate", "-p", policy, "-m", "training_facility_1", "-e", "1", "--executor", "serial", "--json"
    )
    assert code == 0, err
    code, out, err = daf("logs", str(run_dir), "--format", "html", "--json", "--quiet")
    assert code == 0, err


def test_stopped_and_called_again_it_ends_as_if_it_had_never_stopped(daf: Run, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train = ["train", *SMALL, *NO_EVALUATION, "--steps", str(4 * UPDATE), "--json", "--quiet"]
    assert daf(*train, "--run-dir", str(whole))[0] == 0
    code, out, _ = daf(*train, "--run-dir", str(parts), "--stop-at", str(2 * UPDATE))
    assert (code, json.loads(out)["status"], json.loads(out)["steps"]) == (0, "stopped", 2 * UPDATE)
    code, out, _ = daf(*train, "--run-dir", str(parts))
    assert (code, json.loads(out)["status"]) == (0, "done")
    assert lines(parts) == lines(whole)
    weights = Path("checkpoints/final/weights.safetensors")
    assert (parts / weights).read_bytes() == (whole / weights).read_bytes()
    code, out, err = daf("train", "--resume", str(parts), "--steps", str(5 * UPDATE), "--json", "--quiet")
    assert (code, json.loads(out)["steps"]) == (0, 5 * UPDATE), err
    assert lines(parts)[:4] == lines(whole)


def test_a_run_ends_with_what_it_learned_and_with_its_report(daf: Run, tmp_path: Path) -> None:
    short = ["train", *SMALL, "--steps", str(UPDATE), "--run-dir"]
    code, out, err = daf(*short, str(tmp_path / "never"), *NO_EVALUATION)
    assert code == 0, err
    assert "Whether the policy learned is not known: the policy was not evaluated during training." in out
    assert f"report: {tmp_path / 'never' / 'report.html'}" in out
    assert (tmp_path / "never" / "report.html").is_file()
    plain = ["--eval-episodes", "1", "--no-eval-baselines", "--no-report"]
    code, out, err = daf(*short, str(tmp_path / "plain"), *plain)
    assert code == 0, err
    assert "the initial weights and random were not evaluated on the same episodes" in out
    assert "report:" not in out
    assert not (tmp_path / "plain" / "report.html").exists()
    assert [row["step"] for row in lines(tmp_path / "plain", "evaluations.jsonl")] == [UPDATE]


def test_a_run_does_not_depend_on_what_the_process_did_before(daf: Run, tmp_path: Path) -> None:
    import torch

    train = ["train", *SMALL, *NO_EVALUATION, "--steps", str(UPDATE), "--quiet", "--set", "threads=1", "--run-dir"]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert daf(*train, str(tmp_path / str(threads)))[0] == 0
    finally:
        torch.set_num_threads(before)
    assert lines(tmp_path / "1") == lines(tmp_path / "2")


@pytest.mark.thorough
def test_ctrl_c_saves_says_how_to_resume_and_resume_continues(daf: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daf", "train", *SMALL, *NO_EVALUATION, "--steps", "2e6", "--json"]
    environment = os.environ | {"DAF_OUTPUT_DIR": str(tmp_path / "out")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for(lambda: any(p.stat().st_size for p in tmp_path.glob("out/training/*/metrics.jsonl")))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["status"] == "interrupted"
    assert f"daf train --resume {result['run_id']}" in err
    done = result["steps"]
    assert lines(result["run_dir"])[-1]["step"] == done
    code, out, err = daf("train", "--resume", "latest", "--stop-at", str(done + UPDATE), "--json", "--quiet")
    assert code == 0, err
    again = json.loads(out)
    assert (again["run_id"], again["steps"]) == (result["run_id"], done + UPDATE)


def test_a_named_run_directory_gets_the_log_and_the_terminal_each_warning_once(daf: Run, tmp_path: Path) -> None:
    run_dir = tmp_path / "mine"
    command = ["train", *SMALL, *NO_EVALUATION, "--steps", str(4 * UPDATE), "--run-dir", str(run_dir)]
    for threads in ("1", "2"):
        code, _, err = daf(*command, "--set", f"threads={threads}", "--stop-at", str(int(threads) * UPDATE))
        assert code == 0, err
    warning = "resuming with threads 1 → 2: results may differ in their last bits."
    assert err.count(warning) == 1
    logged = [json.loads(line) for line in (run_dir / "logs" / "training.jsonl").read_text().splitlines()]
    assert [record["event"] for record in logged if record["level"] == "warning"] == [warning]


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "no mission is given"),
        (("-m", "arena", "--steps", "2.5"), '--steps must be an integer above 0, got "2.5"'),
        (("-m", "arena", "--steps", "0"), "--steps"),
        (("-m", "arena", "-p", "lstm", "--set", "gama=0.9"), "Nearest: gamma"),
        (("-m", "arena", "--set", "gamma=3"), "gamma: 3 is above the maximum 1"),
        (("-m", "arena", "-p", "lstm", "--set", "network.hidden_sise=3"), "hidden_sise"),
        (("-m", "arena", "--seed", "3", "--set", "seed=4"), "seed: given by both --set and another flag"),
        (("-m", "arena", "--tracker", "tensorbord"), "Nearest: tensorboard"),
        (("-m", "arena", "--config", "nowhere.yaml"), "no such file"),
        (("-m", "arena", "--curriculum", "nowhere.yaml"), "no such file"),
        (
            ("--resume", "latest", "--set", "gamma=0.9"),
            "only --steps, --stop-at, --nproc and --num-workers are allowed",
        ),
        (("-m", "arena", "--nproc", "0"), "workers_per_node: 0 is below the minimum 1"),
        (("-m", "arena", "--nodes", "two"), '--nodes "two": must be the number of machines'),
        (("-m", "arena", "--nodes", "3:2"), "--nodes 3:2: must be N or MIN:MAX"),
        (("-m", "arena", "--nodes", "2"), "--nodes 2 needs --rendezvous HOST:PORT"),
        (("-m", "arena", "--nodes", "2", "--node-rank", "2"), "--node-rank 2: must be from 0 to 1"),
        (("-m", "arena", "--nodes", "2", "--rendezvous", "host"), '--rendezvous "host": must be HOST:PORT'),
        (("-m", "arena", "--rendezvous", "host:29400"), "--rendezvous is for several machines"),
        (("-m", "arena", "--join-timeout", "0"), "--join-timeout must be 1 second or more"),
        (("-m", "arena", "--max-restarts", "-1"), "--max-restarts must be 0 or more"),
        (("-m", "arena", "--scale", "medium"), "scale"),
        (("-m", "arena", "-p", "lstm", "--envs", "2", "--nproc", "3"), "2 environments can't be divided among 3 ranks"),
        (("-m", "arena", "-p", "starter"), "cannot be trained: it has no network"),
        (("-m", "arenna", "-p", "lstm"), "Nearest: arena"),
        (("-m", "arena", "-p", "lstm", "--device", "cuda"), "no CUDA device"),
        (("-m", "arena", "-p", "lstm", "--set", "batch_size=100"), "batch_size must be a multiple"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    daf: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    code, _, err = daf("train", *arguments)
    assert code == 2, err
    assert expected in err
    assert not (tmp_path / "out" / "training").exists()


def test_the_table_of_hyperparameters_is_printed_and_given_as_json(daf: Run) -> None:
    code, out, _ = daf("train", "--list-hyperparameters", "--json")
    rows = {row["name"]: row for row in json.loads(out)["hyperparameters"]}
    assert code == 0
    assert rows["learning_rate"]["aliases"] == ["lr"]
    assert rows["gamma"]["bounds"] == "≥ 0, ≤ 1"
    code, out, _ = daf("train", "--list-hyperparameters")
    assert code == 0
    assert "learning_rate" in out
