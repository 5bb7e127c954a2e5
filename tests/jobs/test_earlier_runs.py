"""Run directories that an earlier version wrote (20 November 2026): they are read, reported and resumed as before.

`sweep` and `sweep_that_trains` are finished sweeps, the second with halving and held-out episodes. `adaptive` is a
stopped experiment by successive halving over the small jobs of `tests/core/adaptive_jobs.py`.
"""

import json
import shutil
import socket
from pathlib import Path

import pytest

from daf.core.adaptive import record
from daf.core.adaptive.status import status_of
from daf.reporting.operation import daf_report
from daf.sweeps import SweepResult, journal

from ..core.adaptive_driver import config, controller
from ..sweeps.sweeping import SMALLEST, config_of, facts, run

EARLIER = Path(__file__).with_name("earlier")
ADAPTIVE = "training/20261130_140431"
SPACE = {"learning_rate": {"min": 0.1, "max": 1.0, "log": True}}
MEANS = {
    "r0000": {20: 0.2946729972027242},
    "r0001": {20: 0.919185962062329, 40: 0.6605018707923591, 80: 0.5387860769405961},
    "r0002": {20: 0.20190896792337298},
}
"""The scores of the experiment where the earlier version ended it without a stop."""


@pytest.fixture
def earlier(tmp_path):
    def copied(name):
        return Path(shutil.copytree(EARLIER / name, tmp_path / name))

    return copied


def lose_last_line(path):
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))


def test_an_earlier_sweep_is_read_from_its_journal_and_from_its_result(earlier):
    (folder,) = (earlier("sweep") / "sweeps").iterdir()
    from_journal, from_file = SweepResult.load(folder), SweepResult.load(folder / "result.json")
    assert [facts(trial) for trial in from_journal.trials] == [facts(trial) for trial in from_file.trials]
    assert (from_journal.status, from_journal.counts()["complete"]) == ("done", 3)
    assert from_journal.get_best_trial().trial_id == from_file.get_best_trial().trial_id


def test_an_earlier_sweep_that_lost_its_last_result_plays_that_trial_again(earlier):
    base = earlier("sweep")
    (folder,) = (base / "sweeps").iterdir()
    before = [facts(trial) for trial in SweepResult.load(folder).trials]
    lose_last_line(folder / journal.FILE)
    (folder / "result.json").unlink()
    resumed = run(config_of(num_trials=3), base)
    assert resumed.run_dir == folder
    *kept, again = [facts(trial) for trial in resumed.trials]
    for entry in again["mission_results"].values():  # the version that wrote the sweep did not name them
        assert entry.pop("mission") == SMALLEST
        assert len(entry.pop("keys")) == entry["n"]
    assert [*kept, again] == before


def test_an_earlier_sweep_that_trained_keeps_rungs_stopped_trials_and_the_held_out_record(earlier):
    (folder,) = (earlier("sweep_that_trains") / "sweeps").iterdir()
    history = journal.read(folder)
    assert {number: list(rungs) for number, rungs in history.rungs.items()} == {0: [256], 1: [256]}
    result = SweepResult.load(folder)
    assert [(trial.status, trial.steps) for trial in result.trials] == [("complete", 512), ("stopped", 256)]
    assert result.held_out is not None
    assert result.held_out["winner"] == 0


@pytest.mark.parametrize("name", ["sweep", "sweep_that_trains", "adaptive"])
def test_an_earlier_run_has_a_report(earlier, name):
    (folder,) = next(path for path in earlier(name).iterdir() if path.is_dir()).iterdir()
    report = daf_report(folder)
    assert report.run_id == folder.name
    assert all(file.stat().st_size > 1000 for file in report.written)


def experiment_config():
    return config(
        "earlier",
        scheduler="successive_halving",
        num_runs=3,
        search_space=SPACE,
        halving={"min_timesteps": 20, "reduction_factor": 2},
    )


def means(experiment):
    return {name: {score.steps: score.mean for score in run.scores} for name, run in experiment.runs.items()}


def test_an_earlier_experiment_is_resumed_to_the_end_that_it_would_have_had(earlier, tmp_path):
    base = earlier("adaptive")
    (tmp_path / "out").symlink_to(base, target_is_directory=True)
    before = status_of("earlier", base)
    assert (before.status, before.counts) == ("stopped", {"done": 2, "pending": 1})
    ended = controller(tmp_path, experiment_config()).start_experiment()
    assert (ended.status, means(ended.experiment)) == ("done", MEANS)
    assert ended.run_dir.name == (base / ADAPTIVE).name


def test_a_job_that_an_earlier_controller_left_behind_is_settled_by_its_files(earlier, tmp_path):
    base = earlier("adaptive")
    folder = base / ADAPTIVE
    (tmp_path / "out").symlink_to(base, target_is_directory=True)
    lose_last_line(folder / record.JOURNAL)  # "stopped"
    lose_last_line(folder / record.JOURNAL)  # the result of the evaluation of r0001, whose exit code is on disk
    process = folder / "jobs" / "r0001-evaluate-20-2" / "process.json"
    process.write_text(json.dumps(json.loads(process.read_text()) | {"host": socket.gethostname()}))
    ended = controller(tmp_path, experiment_config()).start_experiment()
    assert (ended.status, means(ended.experiment)) == ("done", MEANS)
    assert ended.experiment.runs["r0001"].launches == 6
