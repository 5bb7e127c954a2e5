"""Training trials under fire: a killed training is another attempt, a killed sweep takes its trainings along."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from .sweeping import journal, run_dir_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SWEEP = """
kind: sweep
name: killed
missions: ["training_facility_1,max_steps=60"]
policy_class_path: token_lstm
search_space: {learning_rate: [0.001, 0.003]}
strategy: grid
episodes_per_trial: 3
max_steps_per_episode: 60
held_out_best: 0
training:
  total_timesteps: 2048
  num_envs: 2
  num_workers: 1
  n_steps: 32
  checkpoint_frequency: 256
  eval_frequency: null
  log_agents: 0
  trackers: []
"""
COMMAND = [sys.executable, "-m", "daf", "sweep", "run", "sweep.yaml", "--jobs", "1", "--quiet", "--json"]


def start(folder):
    folder.mkdir(exist_ok=True)
    (folder / "sweep.yaml").write_text(SWEEP)
    environment = os.environ | {"DAF_OUTPUT_DIR": str(folder / "out"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def trainings(pid):
    """The processes `daf train` below `pid`."""
    below = psutil.Process(pid).children(recursive=True)
    return [child for child in below if "train" in child.cmdline()[2:7]]


def when_it_has_a_checkpoint(process, folder, trial):
    """Wait until that trial's training has written one, and return the training."""
    while process.poll() is None:
        try:
            if list((run_dir_in(folder / "out") / "trials" / trial / "checkpoints").glob("step_*")):
                found = trainings(process.pid)
                if found:
                    return found[0]
        except (FileNotFoundError, ValueError, psutil.Error):
            pass
        if process.poll() is None:
            os.sched_yield()
    raise AssertionError("the sweep ended first")


def results(folder):
    return journal.read(run_dir_in(folder / "out")).results


def test_killed_trainings_and_sweeps_end_as_one_left_alone(tmp_path):
    whole = start(tmp_path / "whole")
    assert json.loads(whole.communicate()[0])["status"] == "done"

    killed = start(tmp_path / "killed")
    when_it_has_a_checkpoint(killed, tmp_path / "killed", "0000").send_signal(signal.SIGKILL)
    training = when_it_has_a_checkpoint(killed, tmp_path / "killed", "0001")
    killed.kill()
    killed.wait()
    psutil.wait_procs([training], timeout=30)
    assert not training.is_running() or training.status() == psutil.STATUS_ZOMBIE
    assert results(tmp_path / "killed")[0].attempts == 2

    resumed = start(tmp_path / "killed")
    assert json.loads(resumed.communicate()[0])["status"] == "done"
    for number, result in results(tmp_path / "whole").items():
        there = results(tmp_path / "killed")[number]
        assert (there.values, there.mission_results, there.steps) == (
            result.values,
            result.mission_results,
            result.steps,
        )
