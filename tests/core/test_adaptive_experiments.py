"""Experiments of real processes: what comes out, whatever was killed on the way."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daf.adaptive import daf_stop_adaptive
from daf.core.adaptive import record
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.hooks import Hooks, Milestone
from daf.core.adaptive.state import FORMAT, Run, Score
from daf.core.adaptive.status import ExperimentStatus, experiments, status_of
from daf.core.adaptive_controller import AdaptiveControllerError
from daf.core.jobs.interface import JobSpec
from daf.core.jobs.local import LocalJobs
from daf.errors import ConfigError, DataError, Interrupted, UsageError
from daf.storage import journal
from tests.core.adaptive_driver import PYTHON, SmallJobs, config, controller, journal_of, recording_hooks

HALVING: dict[str, Any] = {
    "runs": [{"learning_rate": rate} for rate in (0.1, 0.2, 0.3)],
    "scheduler": "successive_halving",
    "halving": {"min_timesteps": 20, "reduction_factor": 2},
    "total": 40,
}
POPULATION: dict[str, Any] = {
    "search_space": {"learning_rate": {"min": 0.001, "max": 1.0, "log": True}},
    "num_runs": 3,
    "scheduler": "population",
    "population": {"interval": 20},
    "total": 40,
}
TRAINED: dict[str, Any] = {"time": 0.0, "steps": 80, "checkpoint": None, "metrics": {}}
FEW: dict[str, Any] = HALVING | {"runs": HALVING["runs"][:2]}
KINDS = {"halving": HALVING, "population": POPULATION}


def place_left_out(score: Score) -> Score:
    """A score without its checkpoint, whose path has the experiment's folder in it."""
    return replace(score, checkpoint=None)


def outcome(status: ExperimentStatus) -> dict[str, Any]:
    """What must not depend on what happened on the way."""
    return {
        run.name: (
            run.status,
            run.steps,
            run.target,
            dict(run.settings),
            run.parent,
            list(map(place_left_out, run.scores)),
        )
        for run in status.experiment.runs.values()
    }


def committed(status: ExperimentStatus) -> Counter[tuple[str, str, int]]:
    """How often each result was committed."""
    return Counter(
        (event["event"], event["run"], event["job"].split("-")[2])
        for event in journal_of(status.run_dir)
        if event["event"] in ("trained", "evaluated")
    )


def drive(folder: Path, fields: Mapping[str, Any], kill_at: str | None = None) -> int:
    """Run the experiment in a process of its own; its exit code."""
    environment = os.environ | ({} if kill_at is None else {"KILL_AT": kill_at})
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.adaptive_driver", str(folder), json.dumps(fields)],
        env=environment, capture_output=True, text=True, check=False, timeout=280, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return done.returncode


def kill_workers(folder: Path) -> None:
    """End all jobs that a killed controller left, as a power cut would."""
    for path in (folder / "out").glob("training/*/jobs/*"):
        LocalJobs().kill(JobSpec(path.name, (), path))


def end_of(folder: Path) -> ExperimentStatus:
    return status_of("trial", folder / "out")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], list[str], int]]:
    """What comes out of each experiment, the hooks called, and how many events it has."""
    found = {}
    for name, fields in KINDS.items():
        folder = tmp_path_factory.mktemp(name)
        status = controller(folder, config(**fields), hooks=recording_hooks(folder)).start_experiment()
        assert set(status.counts) == {"done"}, status.to_data()
        assert not events_of(status, "broke")
        hooks = sorted((folder / "hooks").read_text().split())
        found[name] = (outcome(status), hooks, len(journal_of(status.run_dir)))
    return found


NEVER = "it was never started: the controller died before"
ALONE = "it was killed while no controller was running"


def events_of(status: ExperimentStatus, kind: str) -> list[dict[str, Any]]:
    return [event for event in journal_of(status.run_dir) if event["event"] == kind]


def check_same(folder: Path, expected: tuple[dict[str, Any], list[str], int], *allowed: str) -> None:
    """The same came out, each result once, and jobs were launched again for the `allowed` reasons only."""
    status = end_of(folder)
    assert status.status == "done", status.to_data()
    assert outcome(status) == expected[0]
    assert set(committed(status).values()) == {1}
    assert not list(status.run_dir.glob("runs/*/overlap"))
    broke = [event["error"] for event in events_of(status, "broke")]
    assert not [error for error in broke if error not in allowed]
    launched = Counter(event["job"].rpartition("-")[0] for event in events_of(status, "launching"))
    assert sum(launched.values()) == len(launched) + len(broke)
    called = (folder / "hooks").read_text().split()
    unknown = {name for name, state in status.experiment.hooks.items() if state == "unfinished"}
    assert len(called) == len(set(called))
    assert set(called) | unknown == set(expected[1])


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        pytest.param("halving", ["5 after", "9 before", "10 after!", "7 before!"], marks=pytest.mark.thorough),
        pytest.param("population", ["6 after!", "12 before", "11 after", "8 before!"], marks=pytest.mark.slow),
    ],
)
def test_a_controller_killed_again_and_again_loses_no_run_and_repeats_none(
    tmp_path: Path, uninterrupted: dict[str, tuple[dict[str, Any], list[str], int]], name: str, kills: list[str]
) -> None:
    for kill in kills:  # with "!" its workers are killed too
        if drive(tmp_path, KINDS[name], kill.rstrip("!")) == 0:
            break
        if kill.endswith("!"):
            kill_workers(tmp_path)
    drive(tmp_path, KINDS[name])
    check_same(tmp_path, uninterrupted[name], NEVER, ALONE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", KINDS)
def test_a_controller_killed_at_any_of_its_events_loses_no_run_and_repeats_none(
    tmp_path: Path, uninterrupted: dict[str, tuple[dict[str, Any], list[str], int]], name: str
) -> None:
    for number in range(1, uninterrupted[name][2] + 1):
        for side in ("before", "after"):
            folder = tmp_path / f"{number}{side}"
            folder.mkdir()
            assert drive(folder, KINDS[name], f"{number} {side}") != 0
            if number % 2:
                kill_workers(folder)
            drive(folder, KINDS[name])
            check_same(folder, uninterrupted[name], NEVER, *([ALONE] if number % 2 else []))


class KillsJobs(LocalJobs):
    """Kills the supervisor's group, or its command only, of some of the jobs that it launches."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self._count = 0

    def launch(self, job: JobSpec) -> None:
        super().launch(job)
        self._count += 1
        if self._count % self._every == 0:
            while (pid := self.status(job).pid) is None:
                self.wait([job], 0.02)
            os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize("name", [pytest.param("halving", marks=pytest.mark.slow), "population"])
def test_killed_jobs_are_tried_again_and_nothing_else_comes_out(
    tmp_path: Path, uninterrupted: dict[str, tuple[dict[str, Any], list[str], int]], name: str
) -> None:
    status = controller(
        tmp_path, config(**KINDS[name]), dispatcher=KillsJobs(3), hooks=recording_hooks(tmp_path)
    ).start_experiment()
    assert events_of(status, "broke")
    check_same(tmp_path, uninterrupted[name], "its process was killed")


def test_the_same_command_again_does_nothing_more(tmp_path: Path) -> None:
    first = controller(tmp_path, config(runs=[{}]), hooks=recording_hooks(tmp_path)).start_experiment()
    before = journal_of(first.run_dir)
    again = controller(tmp_path, config(runs=[{}]), hooks=recording_hooks(tmp_path)).start_experiment()
    assert again.run_id == first.run_id
    assert journal_of(first.run_dir) == before


def test_the_best_run_is_the_experiments_own_policy(tmp_path: Path) -> None:
    status = controller(tmp_path, config(runs=[{"learning_rate": 0.1}, {"learning_rate": 0.2}])).start_experiment()
    best = max(status.experiment.runs.values(), key=lambda run: run.scores[-1].mean)
    own = json.loads((status.run_dir / "checkpoints" / "final" / "state.json").read_text())
    there = json.loads((record.run_dir(status.run_dir, best.name) / "checkpoints/final/state.json").read_text())
    assert own == there
    result = json.loads((status.run_dir / "result.json").read_text())
    assert result["best"] == best.name


def test_the_policy_of_the_best_is_the_one_that_was_scored(tmp_path: Path) -> None:
    class FailsToScoreAgain(SmallJobs):
        def evaluate(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            return (("/nowhere",), ()) if run.target == 40 else super().evaluate(run)

    status = controller(tmp_path, config(**FEW, max_retries=0), commands=FailsToScoreAgain).start_experiment()
    best = status.experiment.best
    assert best is not None
    assert best.score is not None
    assert (best.status, best.steps, best.score.steps, best.score.trained) == ("failed", 40, 20, 20)
    played = json.loads((status.run_dir / "checkpoints" / "final" / "state.json").read_text())
    assert played["steps"] == 20
    assert int(played["chain"][:8], 16) / 2**32 == best.score.mean


def test_scored_checkpoints_are_kept_only_until_the_next_score(tmp_path: Path) -> None:
    status = controller(tmp_path, config(**FEW)).start_experiment()
    assert status.counts == {"done": 2}
    assert not list(status.run_dir.glob("scored/*"))


def test_a_run_that_is_past_its_next_target_fails_and_is_not_scored_again(tmp_path: Path) -> None:
    fields = FEW | {"halving": {"min_timesteps": 2, "reduction_factor": 2}, "total": 4}  # blocks are of ten steps
    status = controller(tmp_path, config(**fields)).start_experiment()
    assert status.counts == {"done": 1, "failed": 1}
    assert set(committed(status).values()) == {1}
    (failed,) = [run for run in status.experiment.runs.values() if run.status == "failed"]
    assert "it has 10 agent steps already and its target is 4" in str(failed.error)
    assert len(failed.scores) == 1


def test_a_copy_of_a_run_past_the_copys_target_fails_too(tmp_path: Path) -> None:
    fields = POPULATION | {"population": {"interval": 2}, "total": 4}
    status = controller(tmp_path, config(**fields)).start_experiment()
    (copy,) = [run for run in status.experiment.runs.values() if run.parent is not None]
    assert (copy.status, copy.launches) == ("failed", 0)
    assert "it has 10 agent steps already" in str(copy.error)


def test_an_initial_checkpoint_past_the_first_target_is_refused(tmp_path: Path) -> None:
    first = controller(tmp_path, config("first", runs=[{}])).start_experiment()
    begin = first.run_dir / "checkpoints" / "final"
    with pytest.raises(AdaptiveControllerError, match=r"before 20 agent steps: the initial_checkpoint has 80 already"):
        controller(tmp_path, config(**FEW, initial_checkpoint=begin)).start_experiment()
    with pytest.raises(AdaptiveControllerError, match=r"initial_checkpoint .*none cannot be read"):
        controller(tmp_path, config(**FEW, initial_checkpoint=tmp_path / "none")).start_experiment()
    later = config(runs=[{}], total=100, initial_checkpoint=begin)
    status = controller(tmp_path, later).start_experiment()
    assert status.status == "done"
    assert controller(tmp_path, later).start_experiment().run_id == status.run_id


def test_a_run_that_fails_is_tried_again_and_then_failed_with_the_reason(tmp_path: Path) -> None:
    runs = [{"learning_rate": 0.5}, {"learning_rate": 0.1}]

    class Fails(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            argv, signs = super().train(run, branch_from)
            return (argv if run.name != "r0000" else (*argv[:-2], "-1.0", "-")), signs

    status = controller(tmp_path, config(runs=runs, max_retries=2), commands=Fails).start_experiment()
    assert status.status == "done"
    failed, done = status.experiment.runs["r0000"], status.experiment.runs["r0001"]
    assert (failed.status, failed.launches, failed.scores) == ("failed", 3, ())
    assert failed.error == "Diverged: rate -1.0 (exit code 1)"
    assert done.status == "done"
    assert status.experiment.reason == "1 of 2 runs failed: r0000"
    again = controller(tmp_path, config(runs=runs, max_retries=2)).start_experiment(retry_failed=True)
    assert again.counts == {"done": 2}


def test_without_retries_a_failure_is_for_good_and_an_experiment_of_failures_fails(tmp_path: Path) -> None:
    class Fails(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            argv, signs = super().train(run, branch_from)
            return (*argv[:-2], "-1.0", "-"), signs

    status = controller(tmp_path, config(runs=[{}], retry_on_failure=False), commands=Fails).start_experiment()
    assert status.status == "failed"
    assert status.experiment.runs["r0000"].launches == 1


def test_delays_between_attempts_double_up_to_their_bound(tmp_path: Path) -> None:
    class Fails(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            argv, signs = super().train(run, branch_from)
            return (*argv[:-2], "-1.0", "-"), signs

    chosen = config(runs=[{}], max_retries=4, retry_delay=0.1, max_retry_delay=0.3)
    status = controller(tmp_path, chosen, commands=Fails).start_experiment()
    events = [event for event in journal_of(status.run_dir) if event["event"] == "broke"]
    delays = [event["retry_at"] - event["time"] for event in events if event["retry_at"] is not None]
    assert delays == pytest.approx([0.1, 0.2, 0.3, 0.3], abs=0.04)


def test_a_job_without_a_heartbeat_is_ended_and_becomes_stale(tmp_path: Path) -> None:
    class Hangs(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            return (*PYTHON, "hang"), ()

    chosen = config(runs=[{}], max_retries=1, heartbeat_timeout=0.5, heartbeat_interval=0.1)
    status = controller(tmp_path, chosen, commands=Hangs).start_experiment()
    run = status.experiment.runs["r0000"]
    assert (run.status, run.launches) == ("stale", 2)
    assert "no heartbeat for 0.5 s" in str(run.error)
    assert status.status == "failed"
    for path in (status.run_dir / "jobs").iterdir():
        assert LocalJobs().status(JobSpec(path.name, (), path)).state == "gone"


def stopping(number: int) -> Any:
    """Hooks that stop the experiment at the milestone of that number."""
    seen: list[str] = []

    def hook(milestone: Milestone) -> None:
        seen.append(milestone.id)
        if len(seen) == number:
            owner[0].stop_experiment("enough")

    owner: list[Any] = []
    return Hooks(hook, hook), owner


def test_a_stopped_experiment_continues_to_the_same_end(
    tmp_path: Path, uninterrupted: dict[str, tuple[dict[str, Any], list[str], int]]
) -> None:
    hooks, owner = stopping(2)
    first = controller(tmp_path, config(**HALVING), hooks=hooks)
    owner.append(first)
    status = first.start_experiment()
    assert (status.status, status.experiment.reason) == ("stopped", "enough")
    assert not any(run.active for run in status.experiment.runs.values())
    again = controller(tmp_path, config(**HALVING)).start_experiment()
    assert outcome(again) == uninterrupted["halving"][0]
    assert again.experiment.sessions == 2


def test_ctrl_c_leaves_an_experiment_that_continues(tmp_path: Path) -> None:
    def interrupt(milestone: Milestone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="The same command resumes them"):
        controller(tmp_path, config(**FEW), hooks=Hooks(interrupt)).start_experiment()
    status = end_of(tmp_path)
    assert status.status == "stopped"
    assert not any(run.active for run in status.experiment.runs.values())
    assert controller(tmp_path, config(**FEW)).start_experiment().status == "done"


def test_a_hook_that_raises_is_reported_and_called_once(tmp_path: Path) -> None:
    calls: list[str] = []

    def hook(milestone: Milestone) -> None:
        calls.append(milestone.id)
        raise ValueError("no")

    status = controller(tmp_path, config(runs=[{}]), hooks=Hooks(hook)).start_experiment()
    assert calls == ["training_complete:r0000:80"]
    assert status.experiment.hooks == {"training_complete:r0000:80": "failed"}
    assert status.status == "done"


def test_a_hook_in_which_the_controller_was_killed_is_called_again_only_where_it_says_so(tmp_path: Path) -> None:
    folder = controller(tmp_path, config(runs=[{}])).start_experiment().run_dir
    milestone = "training_complete:r0000:80"
    journal.append(folder / record.JOURNAL, {"event": "hook", "time": 0.0, "id": milestone, "state": "begun"})
    calls: list[str] = []
    repeatable = Hooks(lambda m: calls.append(m.id), repeatable=True)
    controller(tmp_path, config(runs=[{}]), hooks=repeatable).start_experiment()
    assert calls == [milestone]
    journal.append(folder / record.JOURNAL, {"event": "hook", "time": 0.0, "id": milestone, "state": "begun"})
    status = controller(tmp_path, config(runs=[{}]), hooks=Hooks(lambda m: calls.append(m.id))).start_experiment()
    assert calls == [milestone]
    assert status.experiment.hooks[milestone] == "unfinished"


def test_two_controllers_of_one_experiment_are_one_too_many(tmp_path: Path) -> None:
    refused: list[str] = []

    def second(milestone: Milestone) -> None:
        try:
            controller(tmp_path, config(runs=[{}])).start_experiment()
        except AdaptiveControllerError as error:
            refused.append(str(error))

    controller(tmp_path, config(runs=[{}]), hooks=Hooks(second)).start_experiment()
    assert len(refused) == 1
    assert "already has a controller" in refused[0]


def test_two_controllers_that_start_together_begin_one_experiment(tmp_path: Path) -> None:
    fields = json.dumps({"runs": [{}], "total": 100_000_000})
    command = [sys.executable, "-m", "tests.core.adaptive_driver", str(tmp_path), fields]
    started = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(2)
    ]
    while all(process.poll() is None for process in started):
        LocalJobs().wait([], 0.02)
    refused = next(process for process in started if process.poll() is not None)
    assert "already has a controller" in refused.communicate()[1]
    daf_stop_adaptive("trial", tmp_path / "out")
    for process in started:
        process.communicate()
    assert len(experiments(tmp_path / "out")) == 1


def test_who_only_looks_keeps_no_controller_from_starting(tmp_path: Path) -> None:
    folder = controller(tmp_path, config(runs=[{}])).start_experiment().run_dir
    with (folder / record.LOCK).open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(0.3, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        release.start()
        assert controller(tmp_path, config(runs=[{}])).start_experiment().status == "done"
        release.join()


def test_a_stop_that_is_asked_for_as_the_controller_starts_is_heard(tmp_path: Path) -> None:
    def asked(chosen: DAFAdaptiveConfig, folder: Path) -> SmallJobs:
        if record.controlled(folder):
            record.request_stop(folder, "at once")
        return SmallJobs(chosen, folder)

    status = controller(tmp_path, config(runs=[{}]), commands=asked).start_experiment()
    assert (status.status, status.experiment.reason) == ("stopped", "at once")


def test_a_stop_that_an_earlier_controller_was_asked_for_is_not_heard(tmp_path: Path) -> None:
    hooks, owner = stopping(1)
    first = controller(tmp_path, config(**FEW), hooks=hooks)
    owner.append(first)
    record.request_stop(first.start_experiment().run_dir, "of one that died")
    assert controller(tmp_path, config(**FEW)).start_experiment().status == "done"


def test_a_script_that_loads_a_checkpoint_continues(tmp_path: Path) -> None:
    begin = controller(tmp_path, config("first", runs=[{}])).start_experiment().run_dir / "checkpoints" / "final"
    shutil.copytree(begin, tmp_path / "other")
    hooks, owner = stopping(1)
    first = controller(tmp_path, config(runs=[{}], total=100), hooks=hooks)
    owner.append(first)
    first.load_checkpoint(begin)
    assert first.start_experiment().status == "stopped"
    again = controller(tmp_path, config(runs=[{}], total=100))
    with pytest.raises(
        AdaptiveControllerError, match=r"started from .*final; choose another experiment_id to start from .*other"
    ):
        again.load_checkpoint(tmp_path / "other")
    assert again.load_checkpoint(begin) == begin
    assert again.start_experiment().status == "done"


def test_a_damaged_journal_is_its_own_experiments_trouble_alone(tmp_path: Path) -> None:
    damaged = controller(tmp_path, config("damaged", runs=[{}])).start_experiment().run_dir
    (damaged / record.JOURNAL).write_text("{\n")
    assert controller(tmp_path, config(runs=[{}])).start_experiment().status == "done"
    assert end_of(tmp_path).status == "done"
    with pytest.raises(DataError, match=r"experiment\.jsonl:1 is damaged: "):
        status_of("damaged", tmp_path / "out")
    with pytest.raises(AdaptiveControllerError, match=r"experiment\.jsonl:1 is damaged: "):
        controller(tmp_path, config("damaged", runs=[{}])).start_experiment()


def test_two_scores_at_the_same_steps_are_two_milestones(tmp_path: Path) -> None:
    score = {"mean": 1.0, "low": None, "high": None, "iqm": 1.0, "n": 1}
    events: list[dict[str, Any]] = [
        {"event": "created", "format": FORMAT, "experiment_id": "x", "config": {}},
        {"event": "planned", "run": "r0000", "settings": {}, "target": 50, "why": "", "parent": None},
        {"event": "launching", "run": "r0000", "job": "a"},
        {"event": "trained", "run": "r0000", "steps": 128, "checkpoint": "c", "metrics": {}},
        {"event": "launching", "run": "r0000", "job": "b"},
        {"event": "evaluated", "run": "r0000", "score": score},
        {"event": "extended", "run": "r0000", "target": 100, "why": ""},
        {"event": "launching", "run": "r0000", "job": "c"},
        {"event": "evaluated", "run": "r0000", "score": score},
    ]
    for event in events:
        journal.append(tmp_path / record.JOURNAL, {"time": 0.0, **event})
    experiment = record.read(tmp_path)
    assert experiment is not None
    assert experiment.milestones[1:] == ("evaluation_complete:r0000:128", "evaluation_complete:r0000:128:100")
    assert [(one.steps, one.trained, one.checkpoint) for one in experiment.runs["r0000"].scores] == [
        (50, 128, "c"),
        (100, 128, "c"),
    ]


def test_another_configuration_under_the_same_id_is_refused_with_what_differs(tmp_path: Path) -> None:
    controller(tmp_path, config(runs=[{}])).start_experiment()
    with pytest.raises(AdaptiveControllerError, match=r"training\.total_timesteps: 80 → 90"):
        controller(tmp_path, config(runs=[{}], total=90)).start_experiment()
    assert controller(tmp_path, config(runs=[{}], max_retries=7)).start_experiment().status == "done"


def test_a_journal_that_does_not_fit_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = controller(tmp_path, config(runs=[{}])).start_experiment().run_dir
    journal.append(folder / record.JOURNAL, {"event": "trained", "run": "r0000", **TRAINED})
    lines = len(journal_of(folder))
    with pytest.raises(AdaptiveControllerError, match=rf"jsonl:{lines} is damaged: r0000 is done, not training"):
        controller(tmp_path, config(runs=[{}])).start_experiment()


def test_settings_that_cannot_be_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(AdaptiveControllerError, match="r0000 with learning_rate 7") as caught:
        controller(tmp_path, config(runs=[{"learning_rate": 7.0}])).start_experiment()
    assert isinstance(caught.value, UsageError)
    assert isinstance(caught.value.__cause__, ConfigError)
    with pytest.raises(AdaptiveControllerError, match="nothing to train"):
        controller(tmp_path, DAFAdaptiveConfig(experiment_id="bare")).start_experiment()
    assert not (tmp_path / "out").exists()


def test_the_status_can_be_asked_for_before_an_experiment_begins(tmp_path: Path) -> None:
    status = controller(tmp_path, config(runs=[{}])).get_experiment_status()
    assert (status.status, status.counts, status.experiment.runs, status.started) == ("not started", {}, {}, False)
    data = status.to_data()
    assert (data["status"], data["run_id"], data["run_dir"], data["runs"]) == ("not started", None, None, [])
    assert not (tmp_path / "out").exists()


def test_a_moved_output_folder_continues(tmp_path: Path) -> None:
    hooks, owner = stopping(2)
    first = controller(tmp_path / "a", config(**POPULATION), hooks=hooks)
    owner.append(first)
    assert first.start_experiment().status == "stopped"
    (tmp_path / "a").rename(tmp_path / "b")
    assert controller(tmp_path / "b", config(**POPULATION)).start_experiment().status == "done"


def test_a_controller_that_cannot_continue_asks_its_jobs_to_end_and_the_next_continues(tmp_path: Path) -> None:
    broken: list[str] = []

    class Breaks(LocalJobs):
        def wait(self, jobs: Any, seconds: float) -> None:
            super().wait(jobs, 0.05)
            if not broken and jobs and all(self.status(job).pid is not None for job in jobs):
                broken.append("broken")
                raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        controller(tmp_path, config(runs=[{}], total=1_000_000), dispatcher=Breaks()).start_experiment()
    (path,) = (end_of(tmp_path).run_dir / "jobs").iterdir()
    job, dispatcher = JobSpec(path.name, (), path), LocalJobs()
    while dispatcher.status(job).state == "running":
        dispatcher.wait([job], 0.5)
    assert dispatcher.status(job).state == "ended"
    assert end_of(tmp_path).status == "interrupted"


def test_an_experiment_without_results_may_start_again_with_another_configuration(tmp_path: Path) -> None:
    class Fails(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            return ("/nowhere",), ()

    failed = controller(tmp_path, config(**FEW, max_retries=0), commands=Fails).start_experiment()
    assert failed.status == "failed"
    assert controller(tmp_path, config(**FEW, max_retries=0)).start_experiment().status == "failed"
    other = controller(tmp_path, config(runs=[{}])).start_experiment()
    assert (other.status, other.run_dir == failed.run_dir) == ("done", False)
    assert end_of(tmp_path).run_id == other.run_id


def test_failed_runs_get_new_attempts_unless_the_scheduler_has_decided_on_them(tmp_path: Path) -> None:
    class Fails(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            argv, signs = super().train(run, branch_from)
            return (("/nowhere",) if run.name == "r0000" else argv), signs

    class FailsAll(SmallJobs):
        def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
            return ("/nowhere",), ()

    chosen = config(**FEW, max_retries=0)
    controller(tmp_path / "a", chosen, commands=FailsAll).start_experiment()
    assert controller(tmp_path / "a", chosen).start_experiment(retry_failed=True).status == "done"
    controller(tmp_path / "b", chosen, commands=Fails).start_experiment()
    with pytest.raises(AdaptiveControllerError, match="has already acted on the failure of r0000"):
        controller(tmp_path / "b", chosen).start_experiment(retry_failed=True)


def test_a_job_that_outlives_its_controller_is_adopted_and_not_launched_again(tmp_path: Path) -> None:
    fields = {"runs": [{}], "total": 12_000}
    first = subprocess.Popen(
        [sys.executable, "-m", "tests.core.adaptive_driver", str(tmp_path), json.dumps(fields)],
        stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    while not list((tmp_path / "out").glob("training/*/runs/*/metrics.jsonl")):
        assert first.poll() is None
        LocalJobs().wait([], 0.01)
    first.kill()
    first.wait()
    status = controller(tmp_path, config(**fields)).start_experiment()
    assert status.counts == {"done": 1}
    assert [event["what"] for event in events_of(status, "noted")] != []
    assert len(events_of(status, "launching")) == 2  # one to train, one to evaluate
