"""A sweep that is killed again and again ends as one that was left alone."""

import random
import signal

import psutil
import pytest

from daf.sweeps import journal

from .sweeping import config_of, events, outcome, run, run_dir_in, start

SPACE = {
    "policy.vibe_action_p": {"min": 0.0, "max": 1.0},
    "max_steps": [4, 8],
}
MISSION = ["memory_mystery_path_easy"]


def sweep_of(trials, strategy="tpe", **fields):
    return config_of(
        missions=MISSION, search_space=SPACE, strategy=strategy, num_trials=trials, max_retries=50, **fields
    )


def journal_size(folder):
    try:
        return (run_dir_in(folder) / journal.FILE).stat().st_size
    except (FileNotFoundError, ValueError):
        return 0


def kill_at_random(config, folder, kills, seed, **options):
    """Kill the sweep `kills` times, each a random moment after the journal grew, and then let it end."""
    moments = random.Random(seed)
    done = 0
    while done < kills:
        before = journal_size(folder)
        process = start(config, folder, **options)
        while process.is_alive() and journal_size(folder) <= before:
            process.join(0.001)
        process.join(moments.random() * 0.02)
        if not process.is_alive():
            assert process.exitcode == 0
            break
        process.kill()
        process.join()
        done += 1
    process = start(config, folder, **options)
    process.join()
    assert process.exitcode == 0
    return done


def check(config, tmp_path, kills, seed, **options):
    run(config, tmp_path / "whole")
    killed = kill_at_random(config, tmp_path / "killed", kills, seed, **options)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
    seen = events(tmp_path / "killed")
    assert len(seen) == len(set(seen)), "an event is in the journal twice"
    return killed


@pytest.mark.thorough
def test_a_sweep_killed_eight_times_ends_as_one_left_alone(tmp_path):
    assert check(sweep_of(40), tmp_path, kills=8, seed=1) == 8


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("strategy", ["tpe", "cmaes", "nsga2"])
def test_a_sweep_killed_at_fifty_points_ends_as_one_left_alone(tmp_path, strategy):
    assert check(sweep_of(200, strategy, num_parallel=3), tmp_path, kills=50, seed=2) >= 50


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_workers_cost_attempts_but_no_trial(tmp_path):
    config = sweep_of(8, num_parallel=2)
    run(config, tmp_path / "whole")
    process = start(config, tmp_path / "killed", executor="local", jobs=2)
    moments = random.Random(3)
    kills = 0
    while process.is_alive() and kills < 4:
        before = journal_size(tmp_path / "killed")
        while process.is_alive() and journal_size(tmp_path / "killed") <= before:
            process.join(0.001)
        process.join(moments.random() * 0.05)
        kills += kill_a_worker(process.pid)
    process.join()
    assert process.exitcode == 0
    assert kills
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def kill_a_worker(pid):
    """Kill the youngest process that plays for `pid` (a child of its fork server); whether there was one."""
    try:
        workers = [worker for server in psutil.Process(pid).children() for worker in server.children()]
        workers[-1].send_signal(signal.SIGKILL)
    except (psutil.Error, IndexError):
        return 0
    return 1
