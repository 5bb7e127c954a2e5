"""`daf sweep` as users call it."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from .sweeping import facts, journal, run_dir_in

SWEEP = """
kind: sweep
name: command
missions: ["memory_mystery_path_easy,max_steps=10"]
policy_class_path: random
search_space:
  policy.vibe_action_p: {min: 0.0, max: 0.9}
strategy: tpe
num_trials: 30
episodes_per_trial: 2
held_out_best: 0
"""


@pytest.fixture
def daf(daf_call):
    return partial(daf_call, "sweep")


def interrupted(folder, *options):
    """What a sweep says that gets Ctrl-C after three trials."""
    (folder / "sweep.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "daf", "sweep", "run", "sweep.yaml", "--executor", "serial", "--output-dir", "out"]
    command += options
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in process.stderr:
        if line.startswith("3/30"):
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait() == 130
    return said


@pytest.mark.thorough
def test_ctrl_c_of_a_new_sweep_advises_resume_alone(tmp_path):
    said = interrupted(tmp_path, "--new")
    assert f"`daf sweep resume {run_dir_in(tmp_path / 'out').name} --output-dir out`" in said
    assert "so does the same command" not in said
    assert "would start another sweep" in said


def test_ctrl_c_says_how_to_resume_and_resume_finishes_the_sweep(tmp_path, daf):
    said = interrupted(tmp_path)
    assert "daf sweep resume" in said
    assert "so does the same command: daf sweep run sweep.yaml" in said
    before = journal.read(run_dir_in(tmp_path / "out"))
    assert len(before.results) < 30

    resumed = daf("resume", "--executor", "serial", "--output-dir", "out", "--json", "--quiet", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    found = json.loads(resumed.stdout)
    assert (found["status"], found["counts"]["complete"]) == ("done", 30)
    after = journal.read(run_dir_in(tmp_path / "out"))
    assert all(facts(after.results[n]) == facts(result) for n, result in before.results.items())
    best = json.loads(daf("best", "--output-dir", "out", "--json", cwd=tmp_path).stdout)
    assert best["trial"] == found["best"]["trial_id"]
    assert best["run_dir"] == found["run_dir"] or Path(best["run_dir"]).name == Path(found["run_dir"]).name


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_training_trials_train_stop_at_rungs_and_keep_what_they_must(tmp_path, daf):
    (tmp_path / "sweep.yaml").write_text(TRAINING)
    ended = daf("run", "sweep.yaml", "--output-dir", "out", "--json", "--jobs", "1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    trials = result["trials"]
    assert {trial["status"] for trial in trials} <= {"complete", "stopped"}
    full = [trial for trial in trials if trial["status"] == "complete"]
    assert all(trial["steps"] >= 1024 for trial in full)
    assert trials[0]["rungs"][0][0] == 256
    for trial in trials:
        checkpoints = list((Path(tmp_path) / trial["run_dir"] / "checkpoints").glob("step_*"))
        kept = trial["status"] == "stopped" or trial["trial_id"] == result["best"]["trial_id"]
        assert bool(checkpoints) == kept, trial["trial_id"]
    twins = [trial for trial in trials if trial["repeats"] is not None]
    assert all(trial["values"] == trials[trial["repeats"]]["values"] for trial in twins)


TRAINING = """
kind: sweep
name: ppo
missions: ["training_facility_1,max_steps=60"]
policy_class_path: token_lstm
search_space:
  learning_rate: {min: 1.0e-4, max: 1.0e-2, log: true}
  hidden_size: [16, 32]
strategy: random
num_trials: 3
episodes_per_trial: 4
max_steps_per_episode: 60
early_stopping: {method: halving, min_steps: 256, factor: 2}
held_out_best: 1
held_out_episodes: 6
checkpoint_best_n: 1
training:
  total_timesteps: 1024
  num_envs: 2
  num_workers: 1
  n_steps: 32
  eval_frequency: null
  log_agents: 0
  trackers: []
"""
