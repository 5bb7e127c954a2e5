"""Trials that are begun again, in the same process or the next: what was looked at stays, time runs out, disks fill."""

import json
import time

import pytest

from daf.config import DAFTrainingConfig
from daf.core import checkpoints
from daf.core.jobs.interface import JobError, JobStatus
from daf.core.jobs.local import LocalJobs
from daf.errors import StorageError, UsageError
from daf.storage.hashing import hash_file
from daf.sweeps import operation
from daf.sweeps._training import roll_back
from daf.sweeps.result import SweepTrialResult
from daf.training import daf_train_policy

from .sweeping import config_of, events, journal, outcome, run, run_dir_in

ROLLOUT = 256
TRAINING = {
    "total_timesteps": 3 * ROLLOUT, "checkpoint_frequency": 10_000, "num_envs": 2, "num_workers": 1, "n_steps": 32,
    "eval_frequency": None, "log_agents": 0, "trackers": [],
}  # fmt: skip
HALVING = {
    "missions": ["training_facility_1,max_steps=20"], "policy_class_path": "stateless", "strategy": "grid",
    "search_space": {"learning_rate": [0.05]}, "num_trials": 1, "episodes_per_trial": 2,
    "early_stopping": {"method": "halving", "min_steps": 300, "factor": 3}, "training": TRAINING,
}  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """Trainings take place in this process, which is faster; where each was to stop."""
    goals = []

    class Here(LocalJobs):
        def launch(self, job):
            options = dict(zip(job.argv[4::2], job.argv[5::2], strict=False))
            goal = int(options["--stop-at"]) if "--stop-at" in options else None
            goals.append(goal)
            config = DAFTrainingConfig.from_yaml(options["--config"])
            daf_train_policy(config=config, run_dir=options["--run-dir"], stop_at=goal)

        def status(self, job):
            return JobStatus("ended", exit_code=0)

    monkeypatch.setattr(operation, "make_runner", lambda *arguments, **options: Here())
    return goals


def lose(folder, *lost):
    """Take events of these kinds out of the journal, and the result, as if the sweep had been killed before them."""
    path = run_dir_in(folder) / journal.FILE
    kept = [line for line in path.read_text().splitlines(True) if json.loads(line)["event"] not in lost]
    path.write_text("".join(kept))
    (run_dir_in(folder) / "result.json").unlink()


def weights(folder, step):
    found = run_dir_in(folder) / "trials" / "0000" / "checkpoints" / f"step_{step:012d}" / checkpoints.WEIGHTS
    return hash_file(found)


@pytest.mark.thorough
def test_a_resumed_trial_keeps_the_rungs_that_were_recorded_and_finds_again_those_that_were_not(tmp_path, trained):
    config = config_of(**HALVING)
    run(config, tmp_path)
    assert (trained, events(tmp_path)) == (
        [300, None],
        [("proposed", 0), ("rung", 0), ("finished", 0)],
    )
    whole, before = outcome(tmp_path), weights(tmp_path, 2 * ROLLOUT)
    trained.clear()

    lose(tmp_path, "finished")
    run(config, tmp_path)
    assert (trained, outcome(tmp_path)) == ([None], whole)
    trained.clear()

    lose(tmp_path, "finished", "rung")  # as earlier versions left it: trained to its end, and no rung told
    run(config, tmp_path)
    assert trained == [300, 300, None]
    assert weights(tmp_path, 2 * ROLLOUT) == before
    for name in ("rungs", "values", "steps", "mission_results", "status"):
        assert outcome(tmp_path)[0][name] == whole[0][name]


def test_going_back_keeps_the_checkpoint_that_reached_the_goal(tmp_path):
    folder = tmp_path / "checkpoints"
    for updates in range(1, 6):
        path = folder / f"step_{updates * 100:012d}"
        path.mkdir(parents=True)
        (path / "state.json").write_text(json.dumps({"steps": updates * 100, "updates": updates}))
    (folder / "final").mkdir()
    roll_back(folder, 400)
    assert sorted(path.name[-3:] for path in folder.iterdir()) == ["100", "200", "300", "400"]
    roll_back(folder, 201)
    assert list(checkpoints.steps(folder)) == [100, 200, 300]


def test_a_journal_keeps_the_first_value_of_a_rung(tmp_path):
    journal.rung(tmp_path, 100, SweepTrialResult(0, {}, 1.0, values=(1.0,), rungs=((50, 0.5),)))
    journal.rung(tmp_path, 100, SweepTrialResult(0, {}, 2.0, values=(2.0,)))
    (there,) = journal.read(tmp_path).rungs[0].values()
    assert (there.values, there.rungs) == ((1.0,), ((50, 0.5),))


@pytest.mark.parametrize(("executor", "episodes"), [("local", 2), ("serial", 200)])
def test_a_trial_that_evaluates_ends_at_its_timeout(tmp_path, bad_policies, executor, episodes):
    config = config_of(
        policy_class_path=f"{bad_policies}.{'Hangs' if executor == 'local' else 'Slow'}", strategy="grid",
        search_space={"max_steps": [100]}, missions=["memory_mystery_path_easy"], num_trials=1,
        episodes_per_trial=episodes, trial_timeout=1.0,
    )  # fmt: skip
    began = time.monotonic()
    (trial,) = run(config, tmp_path, executor=executor, jobs=1).trials
    assert (trial.status, trial.reason) == ("failed", "it took longer than trial_timeout and was ended")
    assert trial.seconds < 10, f"{trial.seconds:.1f} s, {time.monotonic() - began:.1f} s in all"


@pytest.mark.parametrize("what", ["episodes", "training"])
def test_a_full_disk_is_another_attempt_and_then_reported(tmp_path, monkeypatch, what):
    from daf.episodes.cache import EpisodeCache

    full = []

    def refuse(*_):
        full.append(1)
        if len(full) <= 3:
            raise (StorageError if what == "episodes" else JobError)("no space left")

    if what == "episodes":
        monkeypatch.setattr(EpisodeCache, "put", refuse)
        config = config_of(search_space={"policy.vibe_action_p": [0.1, 0.9]}, strategy="grid", max_retries=1)
        first, second = run(config, tmp_path).trials
        assert (first.status, first.attempts, second.status, second.attempts) == ("failed", 2, "complete", 2)
    else:
        monkeypatch.setattr(LocalJobs, "launch", refuse)
        (trial,) = run(config_of(**HALVING | {"max_retries": 1}), tmp_path).trials
        assert (trial.status, trial.attempts) == ("failed", 2)
        first = trial
    assert "no space left" in first.reason


def test_a_trial_may_train_on_no_gpu_where_its_sweep_may_not(tmp_path):
    training = TRAINING | {"device": "cuda"}
    config = config_of(**HALVING | {"early_stopping": None, "training": training})
    with pytest.raises(UsageError, match="--device cuda is a GPU, and the configuration says enable_gpu: false"):
        run(config, tmp_path, gpu_allowed=False)
