"""Sweeps over real episodes: what is proposed, played, kept and told."""

import csv
import io
import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from daf.config import DAFSweepConfig, DAFTrainingConfig
from daf.errors import ConfigError, DataError, MetricError, MissionError, UsageError
from daf.game.missions import resolve as resolve_missions
from daf.output_manager import OutputManager
from daf.sweeps import (
    SweepResult,
    SweepTrialResult,
    daf_grid_search,
    daf_random_search,
    daf_sweep_best_config,
    daf_sweep_status,
    journal,
)
from daf.sweeps.export import exported
from daf.sweeps.held_out import held_out_seeds
from daf.sweeps.journal import Proposal
from daf.sweeps.operation import launch
from daf.sweeps.preparing import prepare
from daf.sweeps.resuming import config_of_run
from daf.sweeps.targets import setting_of
from tests.conftest import write_module

from .sweeping import SMALLEST, config_of, facts, outcome, run

GRID = {"strategy": "grid", "search_space": {"policy.vibe_action_p": [0.1, 0.9], "max_steps": [5, 10]}}
MISSION = ["memory_mystery_path_easy"]
ARENA = "training_facility_1,max_steps=20"
CONDITIONAL = {"search_space": {"a": ["x", "y"], "b": {"choices": [1, 2], "when": {"a": "y"}}}}
STOPPED = {"search_space": {"gamma": [0.9, 0.99]}, "training": {"total_timesteps": 1000}}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A finished grid with held-out episodes, and its output folder."""
    folder = tmp_path_factory.mktemp("grid")
    config = config_of(**GRID, missions=MISSION, held_out_best=2, held_out_episodes=6, objective_metric="steps")
    return config, folder, run(config, folder)


def test_a_grid_evaluates_every_cell_on_the_same_episodes(grid):
    _, _, result = grid
    assert result.status == "done"
    assert [dict(trial.hyperparameters) for trial in result.trials] == daf_grid_search(GRID["search_space"])
    assert [trial.primary_metric for trial in result.trials] == [5.0, 10.0, 5.0, 10.0]
    assert result.get_best_trial().trial_id == 1
    assert result.get_worst_trial().trial_id in (0, 2)
    assert all(trial.mission_results[MISSION[0]]["n"] == 2 for trial in result.trials)


def test_the_same_call_again_runs_nothing_and_more_trials_continue(grid, tmp_path):
    config, folder, result = grid
    assert run(config, folder).run_dir == result.run_dir
    fewer = config_of(num_trials=2)
    first = run(fewer, tmp_path)
    more = run(config_of(num_trials=4), tmp_path)
    assert more.run_dir == first.run_dir
    assert [facts(trial) for trial in more.trials[:2]] == [facts(trial) for trial in first.trials]
    whole = run(config_of(num_trials=4), tmp_path / "whole")
    assert [facts(trial) for trial in more.trials] == [facts(trial) for trial in whole.trials]


def test_workers_and_parallel_trials_change_no_result(tmp_path):
    config = config_of(strategy="tpe", num_trials=14, num_parallel=3, search_space=GRID["search_space"] | {
        "policy.vibe_action_p": {"min": 0.0, "max": 1.0}}, missions=MISSION)  # fmt: skip
    run(config, tmp_path / "serial")
    run(config, tmp_path / "local", executor="local", jobs=2)
    assert outcome(tmp_path / "local") == outcome(tmp_path / "serial")


def test_the_best_are_played_again_on_seeds_that_chose_none_of_them(grid):
    config, _, result = grid
    held = result.held_out
    first, episodes = held_out_seeds(config)
    assert (held["seed"], held["episodes"]) == (first, episodes) == (7 + 1_000_000, 6)
    assert [entry["trial"] for entry in held["trials"]] == [1, 3]
    assert all(entry["value"] == 10.0 for entry in held["trials"])
    assert held["default"]["value"] > 10  # its step limit is the mission's
    assert {entry["verdict"] for entry in held["trials"]} <= {"worse", "too few", "undecided"}
    best = daf_sweep_best_config(result)
    assert best.hyperparameters == dict(result.trials[1].hyperparameters)
    assert best["max_steps"] == 10
    assert (best.value, best.held_out, best.default) == (10.0, 10.0, held["default"]["value"])
    assert "it did better than both trials" in held["finding"]
    (own,) = resolve_missions(MISSION)
    assert f"(in episodes of at most {own.max_steps:,} steps; those of trial 1 have 10)" in held["finding"]
    assert "trial 1, the best in the sweep, is best again, with 10.0 steps, tied with trial 3." in held["finding"]
    assert held["finding"] in (result.run_dir / "sweep.html").read_text()


def test_what_is_saved_reads_back(grid, tmp_path):
    _, _, result = grid
    again = SweepResult.load(result.save_json(tmp_path / "copy.json"))
    assert again.to_data() == result.to_data()
    from_folder = SweepResult.load(result.run_dir)
    assert [facts(trial) for trial in from_folder.trials] == [facts(trial) for trial in result.trials]
    assert (from_folder.status, from_folder.notes) == (result.status, result.notes)
    status = daf_sweep_status(result.run_dir)
    assert (status["status"], status["trials"]["complete"], status["planned"]) == ("done", 4, 4)
    rows = list(csv.DictReader(io.StringIO(exported(result, "csv"))))
    assert [float(row["steps"]) for row in rows] == [5.0, 10.0, 5.0, 10.0]
    assert rows[3]["hp.max_steps"] == "10"


def test_optuna_opens_the_copy_of_the_study(grid):
    import optuna

    _, _, result = grid
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{result.run_dir}/optuna.db")
    assert [trial.values for trial in study.trials] == [list(trial.values) for trial in result.trials]
    assert [trial.params for trial in study.trials] == [dict(trial.hyperparameters) for trial in result.trials]


def test_a_trial_whose_policy_fails_is_failed_with_the_reason_and_never_best(tmp_path):
    config = config_of(
        policy_class_path="chaos-monkey",
        search_space={"policy.fail_step": [3, 1000]},
        strategy="grid",
        optimize_direction="minimize",
    )
    result = run(config, tmp_path)
    failed, whole = result.trials
    assert (failed.status, failed.primary_metric, failed.values, failed.attempts) == ("failed", None, (), 1)
    assert "episodes have no result" in failed.reason
    assert result.get_best_trial() == whole
    assert result.status == "done"
    assert "1 of 2 trials failed" in result.notes[0]


def test_a_sweep_in_which_every_trial_failed_has_failed(tmp_path):
    config = config_of(
        policy_class_path="chaos-monkey", search_space={"policy.fail_step": [2, 3]}, strategy="grid", held_out_best=2
    )
    result = run(config, tmp_path)
    assert result.status == "failed"
    with pytest.raises(DataError, match="no trial of small is complete"):
        result.get_best_trial()


def test_a_dead_worker_is_tried_again_and_then_reported(tmp_path, bad_policies):
    config = config_of(
        policy_class_path=f"{bad_policies}.Dies", search_space={"max_steps": [5]}, strategy="grid",
        missions=MISSION, max_retries=1, episodes_per_trial=1,
    )  # fmt: skip
    (trial,) = run(config, tmp_path, executor="local", jobs=1).trials
    assert (trial.status, trial.attempts) == ("failed", 2)


def test_missions_count_alike_by_the_default_configurations_scale(tmp_path):
    config = config_of(
        missions=[SMALLEST, ARENA], search_space={"policy.vibe_action_p": [0.1, 0.9]}, strategy="grid", num_trials=2,
        episodes_per_trial=4, held_out_best=1,
    )  # fmt: skip
    result = run(config, tmp_path)
    assert result.held_out["default"]["in_the_sweep"] == pytest.approx(0.0)
    default = journal.read(result.run_dir).default
    for trial in result.trials:
        parts = []
        for mission in config.missions:
            reference = np.array(default.mission_results[mission]["values"])
            unit = reference.std(ddof=1) or abs(reference.mean()) or 1.0
            parts.append((np.mean(trial.mission_results[mission]["values"]) - reference.mean()) / unit)
        assert trial.primary_metric == pytest.approx(np.mean(parts))
    plain = run(config.replace(normalise="none"), tmp_path)
    assert plain.trials[0].primary_metric == pytest.approx(plain.trials[0].all_metrics["reward"])


def test_several_objectives_leave_the_trials_that_none_beats(tmp_path):
    objectives = [{"metric": "steps"}, {"metric": "reward", "direction": "minimize", "aggregate": "quantile"}]
    config = config_of(**GRID, missions=MISSION, objectives=objectives)
    result = run(config, tmp_path)
    assert result.objectives == ("steps", "reward (0.25-quantile)")
    front = {trial.trial_id for trial in result.pareto_trials()}
    for trial in result.trials:
        beaten = any(
            other.values[0] >= trial.values[0] and other.values[1] <= trial.values[1] and other.values != trial.values
            for other in result.trials
        )
        assert (trial.trial_id in front) == (not beaten)


def test_a_trial_that_is_plainly_worse_block_by_block_is_stopped(tmp_path):
    config = config_of(
        missions=MISSION, objective_metric="steps", search_space={"max_steps": [12, 6]}, strategy="grid",
        num_trials=2, episodes_per_trial=12, early_stopping={"method": "wilcoxon", "min_blocks": 6},
    )  # fmt: skip
    result = run(config, tmp_path)
    assert [trial.status for trial in result.trials] == ["complete", "stopped"]
    assert result.trials[1].mission_results[MISSION[0]]["n"] == 6
    assert "worse than trial 0" in result.trials[1].reason
    assert result.get_best_trial().trial_id == 0


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"search_space": {}}, ConfigError, "search_space"),
        ({"search_space": {"x": {"min": 2, "max": 1}}}, ConfigError, "min 2 is above max 1"),
        ({"search_space": {"x": {"min": 0, "max": 1, "log": True}}}, ConfigError, "log needs a min above 0"),
        ({"search_space": {"x": {"min": 0, "max": 1, "int": 3}}}, ConfigError, "int must be true or false"),
        ({"search_space": {"x": [1, 2], "y": {"choices": [1], "when": {"z": 1}}}}, ConfigError, "when"),
        ({"strategy": "bayes"}, ConfigError, "Nearest: bayesian"),
        ({"search_space": {"max_stepps": [5]}}, ConfigError, "Nearest: max_steps"),
        ({"search_space": {"learning_rate": [0.1]}}, ConfigError, "has no network"),
        ({"search_space": {"cogs": [2, 999]}, "missions": ["arena"]}, ConfigError, "takes 1 to 20 cogs, got 999"),
        ({"search_space": {"variants": ["none", "no_clipss"]}, "missions": ["arena"]}, ConfigError, ": no_clips"),
        ({"search_space": {"max_steps": [5]}, "missions": ["arena, steps=9"]}, ConfigError, "already sets max_steps"),
        ({"search_space": {"rewards": ["credit"]}}, ConfigError, "changes the reward"),
        ({"search_space": {"mission.rewards": ["credit"]}}, ConfigError, "changes the reward"),
        ({"search_space": {"policy.x": ["a,'\"b"]}}, ConfigError, "both kinds"),
        ({"search_space": {"cogs": [0, 1]}}, ConfigError, "cogs must be an integer above 0"),
        ({"search_space": {"max_steps": [5, 5]}, "missions": MISSION}, ConfigError, "listed twice"),
        ({"search_space": {"max_steps": [5]}}, ConfigError, "already sets max_steps"),
        (
            {
                "search_space": {"n_steps": [32, 64], "bptt_horizon": [16, 48]},
                "training": {"total_timesteps": 1000},
                "policy_class_path": "stateless",
                "missions": ["arena,max_steps=10"],
            },
            ConfigError,
            "n_steps 32 with bptt_horizon 48",
        ),
        (
            {
                "search_space": {"vtrace_rho_clip": {"min": 0.5, "max": 1.5}},
                "training": {"total_timesteps": 1000},
                "policy_class_path": "stateless",
                "missions": ["arena,max_steps=10"],
            },
            ConfigError,
            "set both or neither",
        ),
        ({"objective_metric": "rewart"}, MetricError, "rewart"),
        ({"objective_metric": "agent.action.moved.faild"}, MetricError, "agent.action.move.failed"),
        ({"missions": ["arenna"]}, MissionError, "arena"),
        ({"early_stopping": {"method": "halving"}}, ConfigError, "training steps"),
        (
            {"strategy": "cmaes", "objectives": [{"metric": "reward"}, {"metric": "steps"}]},
            ConfigError,
            "one objective",
        ),
        ({"held_out_seed": 8, "held_out_best": 1}, ConfigError, "overlap"),
        ({"starting_points": [{"policy.vibe_action_p": 7}]}, ConfigError, "not in the search space"),
        (CONDITIONAL | {"starting_points": [{"a": "x", "b": 1}]}, ConfigError, "only where a is 'y', and this point"),
        (CONDITIONAL | {"starting_points": [{"b": 1}]}, ConfigError, "and this point leaves it out"),
        (
            {"strategy": "grid", "search_space": {"a": {"choices": [0, 1], "prior": 0}}},
            ConfigError,
            "leave out starting_points and prior",
        ),
        (
            {"strategy": "grid", "search_space": {"a": {"choices": [True, False], "prior": False}}},
            ConfigError,
            "leave out starting_points and prior",
        ),
        ({"early_stopping": {"method": "wilcoxon"}}, ConfigError, "wilcoxon would never run"),
        ({"early_stopping": {"method": "wilcoxon", "factor": 4}}, ConfigError, "wilcoxon does not take factor"),
        ({"early_stopping": {"method": "halving", "p": 0.2}}, ConfigError, "halving does not take p"),
        (STOPPED | {"early_stopping": {"method": "halving", "min_steps": 1000}}, ConfigError, "total_timesteps 1000"),
        (
            STOPPED
            | {
                "early_stopping": {"method": "hyperband", "min_steps": 500},
                "search_space": {"training.steps": {"min": 200, "max": 400}},
            },
            ConfigError,
            "must be below total_timesteps 400, got 500",
        ),
        ({"quantile": 0.05}, ConfigError, "aggregate is mean"),
        ({"objectives": [{"metric": "reward", "quantile": 0.05}]}, ConfigError, "aggregate is mean"),
        ({"strategy": "tpe", "population_size": 9}, ConfigError, "cmaes and nsga2, not tpe"),
        ({"strategy": "tpe", "max_cost": 3.0}, ConfigError, "strategy protein, not tpe"),
        (
            {
                "search_space": {f"policy.p{i}": list(range(1000)) for i in range(3)},
                "strategy": "grid",
                "num_trials": None,
            },
            ConfigError,
            "1,000,000,000 cells",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_a_folder_is_made(tmp_path, fields, error, says):
    whole = config_of()
    values = {name: value for name, value in whole.to_data().items() if name in whole.model_fields_set} | fields
    given = {name: value for name, value in values.items() if value is not None}
    with pytest.raises(error) as raised:
        launch(DAFSweepConfig(**given), output=OutputManager(tmp_path), executor="serial")
    assert says in str(raised.value)
    assert not (tmp_path / "sweeps").exists()


def test_what_a_sweep_writes_of_itself_reads_back_with_fields_that_others_use():
    config = config_of(early_stopping={"method": "wilcoxon", "min_blocks": 2}, episodes_per_trial=4)
    assert DAFSweepConfig(**config.to_data()).to_data() == config.to_data()
    searched = {"search_space": {"num_steps": [400, 2000]}}
    config_of(**STOPPED | searched, early_stopping={"method": "halving", "min_steps": 500})


def test_a_sweep_with_several_objectives_continues_from_its_folder(tmp_path):
    config = config_of(objectives=[{"metric": "reward"}, {"metric": "steps", "direction": "minimize"}], num_trials=2)
    config.to_yaml(tmp_path / "sweep.yaml")
    assert DAFSweepConfig.from_yaml(tmp_path / "sweep.yaml").objectives == config.objectives
    first = run(config, tmp_path / "out")
    again = launch(
        config_of_run(first.run_dir).replace(num_trials=3), output=OutputManager(tmp_path / "out"), executor="serial",
        run=str(first.run_dir),
    )  # fmt: skip
    assert (again.run_dir, len(again.trials)) == (first.run_dir, 3)


def test_a_sweep_that_runs_is_not_run_twice_at_once(tmp_path):
    refused = []

    def once_more(*_):
        with pytest.raises(UsageError, match="is still running") as caught:
            run(config_of(num_trials=1), tmp_path)
        refused.append(caught.value)

    launch(config_of(num_trials=1), output=OutputManager(tmp_path), executor="serial", on_start=once_more)
    assert len(refused) == 1


def test_sweeps_started_at_the_same_moment_are_one(tmp_path):
    together = threading.Barrier(3)

    def started():
        together.wait()
        try:
            return run(config_of(num_trials=1), tmp_path).run_dir
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        found = [each.result() for each in [pool.submit(started) for _ in range(3)]]
    (folder,) = (tmp_path / "sweeps").iterdir()
    assert folder in found
    assert all(each == folder or "is still running" in each for each in found)


def test_random_search_is_the_same_for_the_same_seed():
    space = {"lr": {"min": 1e-4, "max": 1e-1, "log": True}, "n": {"min": 1, "max": 8, "type": "int"}}
    first = daf_random_search(space, 20, seed=1)
    assert first == daf_random_search(space, 20, seed=1) != daf_random_search(space, 20, seed=2)
    assert first[:5] == daf_random_search(space, 5, seed=1)
    assert all(1e-4 <= each["lr"] <= 1e-1 and each["n"] in range(1, 9) for each in first)


def test_best_and_pareto_of_a_hundred_thousand_trials_take_less_than_a_second():
    values = np.random.default_rng(0).normal(size=(100_000, 2))
    trials = [
        SweepTrialResult(n, {"x": float(a)}, float(a), values=(float(a), float(b)), status="complete", success=True)
        for n, (a, b) in enumerate(values)
    ]
    result = SweepResult(objectives=("a", "b"), directions=("maximize", "minimize"), trials=trials)
    started = time.process_time()  # whatever else this machine does
    best, front = result.get_best_trial(), result.pareto_trials()
    assert time.process_time() - started < 1.0
    assert best.trial_id == int(values[:, 0].argmax())
    for trial in front:
        assert not ((values[:, 0] > trial.values[0]) & (values[:, 1] < trial.values[1])).any()


def _read_until(folder, most, errors):
    try:
        seen = 0
        while seen < most:
            trials = SweepResult.load(folder).trials
            assert len(trials) >= seen
            assert [trial.trial_id for trial in trials] == list(range(len(trials)))
            seen = sum(trial.success for trial in trials)
    except BaseException as error:
        errors.put(repr(error))
        raise


def test_eight_processes_read_while_one_writes(tmp_path):
    result = run(config_of(num_trials=1), tmp_path)
    context = multiprocessing.get_context("forkserver")
    errors = context.SimpleQueue()
    most = 12
    readers = [context.Process(target=_read_until, args=(result.run_dir, most, errors)) for _ in range(8)]
    for reader in readers:
        reader.start()
    for number in range(1, most):
        journal.proposed(result.run_dir, Proposal(number, {"x": number}, "random"))
        journal.finished(result.run_dir, SweepTrialResult(number, {"x": number}, 1.0, values=(1.0,), success=True))
    for reader in readers:
        reader.join()
    assert errors.empty(), errors.get()
    assert [reader.exitcode for reader in readers] == [0] * 8


def test_a_torn_last_line_is_not_an_event_and_a_damaged_one_is_reported(tmp_path):
    result = run(config_of(num_trials=2), tmp_path)
    path = result.run_dir / journal.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "proposed", "tri')
    assert len(journal.read(result.run_dir).results) == 2
    more = launch(config_of(num_trials=3), output=OutputManager(tmp_path), executor="serial")
    assert len(more.trials) == 3
    path.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(DataError, match=r"trials.jsonl:1"):
        journal.read(result.run_dir)


def test_the_folder_says_what_was_run(grid):
    _, _, result = grid
    written = json.loads((result.run_dir / "sweep.json").read_text())
    assert written["places"] == {"policy.vibe_action_p": "policy.vibe_action_p", "max_steps": "mission.max_steps"}
    again = DAFSweepConfig(**written["config"])
    assert again.search_space["max_steps"] == [5, 10]


def test_changed_code_of_the_policy_makes_another_sweep(tmp_path, monkeypatch):
    write_module(tmp_path / "code", "policies_that_change")
    monkeypatch.syspath_prepend(tmp_path / "code")
    config = config_of(
        policy_class_path="policies_that_change.Prints", search_space={"max_steps": [4]}, strategy="grid",
        missions=MISSION, episodes_per_trial=1,
    )  # fmt: skip
    first = run(config, tmp_path / "out")
    assert run(config, tmp_path / "out").run_dir == first.run_dir
    source = tmp_path / "code" / "policies_that_change.py"
    source.write_text(source.read_text() + "# another line\n")
    second = run(config, tmp_path / "out")
    assert second.run_dir != first.run_dir
    with pytest.raises(UsageError, match="can't be resumed"):
        launch(config, output=OutputManager(tmp_path / "out"), executor="serial", run=str(first.run_dir))


def test_searched_rewards_are_trained_on_and_scored_without(tmp_path):
    config = config_of(
        policy_class_path="stateless", missions=[ARENA], training={"total_timesteps": 1000},
        search_space={"rewards": ["none", "credit+milestones"], "cogs": [2]},
    )  # fmt: skip
    prepared = prepare(config, OutputManager(tmp_path), jobs=1, executor="serial", use_cache=True)
    setting = setting_of(config, prepared.targets, {"rewards": "credit+milestones", "cogs": 2})
    assert setting.missions == (f"{ARENA},cogs=2",)
    assert setting.training.mission == f"{ARENA},rewards=credit+milestones,cogs=2"
    assert setting_of(config, prepared.targets, {"rewards": "none", "cogs": 2}).training.mission == f"{ARENA},cogs=2"


def test_values_that_fit_only_together_are_searched_as_pairs(tmp_path):
    config = config_of(
        policy_class_path="token_lstm", missions=[ARENA], strategy="random", training={"total_timesteps": 1000},
        search_space={
            "vtrace_rho_clip": [1.0, 2.0], "vtrace_c_clip": [1.0], "n_steps": [96], "bptt_horizon": [48], "lr": [0.01],
        },
    )  # fmt: skip
    prepared = prepare(config, OutputManager(tmp_path), jobs=1, executor="serial", use_cache=True)
    values = {"vtrace_rho_clip": 2.0, "vtrace_c_clip": 1.0, "n_steps": 96, "bptt_horizon": 48, "lr": 0.01}
    training = setting_of(config, prepared.targets, values).training
    assert (training.vtrace_rho_clip, training.vtrace_c_clip) == (2.0, 1.0)
    assert (training.n_steps, training.bptt_horizon, training.learning_rate) == (96, 48, 0.01)
    with pytest.raises(ConfigError, match="bptt_horizon 48 does not divide n_steps 64"):
        setting_of(config, prepared.targets, {"bptt_horizon": 48})
    with pytest.raises(ConfigError, match=r"search_space\.gamma: .*above the maximum"):
        prepare(
            config.replace(search_space={"gamma": [0.9, 1.5]}), OutputManager(tmp_path), jobs=1, executor="serial",
            use_cache=True,
        )  # fmt: skip


def test_missions_keep_their_step_limit_unless_the_file_sets_one(tmp_path):
    config = config_of(
        missions=["training_facility_1,max_steps=12", "memory_mystery_path_easy"], num_trials=1, episodes_per_trial=1,
        normalise="none", objective_metric="steps", search_space={"policy.vibe_action_p": [0.5]}, held_out_best=1,
        held_out_episodes=1,
    )  # fmt: skip
    (own,) = resolve_missions("memory_mystery_path_easy")
    kept = run(config, tmp_path)
    assert kept.step_limits() == {"training_facility_1,max_steps=12": [12], "memory_mystery_path_easy": [own.max_steps]}
    limited = run(config.replace(max_steps_per_episode=9), tmp_path)
    assert limited.run_dir != kept.run_dir
    assert limited.step_limits() == {"training_facility_1,max_steps=12": [12], "memory_mystery_path_easy": [9]}
    assert limited.step_limits_text() == (
        "Episodes had at most 12 steps on training_facility_1,max_steps=12, 9 steps on memory_mystery_path_easy."
    )
    assert limited.step_limits_text() in (limited.run_dir / "sweep.html").read_text()
    assert limited.held_out["default"]["value"] == (12 + 9) / 2


@pytest.mark.parametrize("given", [{}, {"max_steps_per_episode": 1000}])
def test_a_sweeps_file_keeps_whether_a_step_limit_was_given(tmp_path, given):
    config = config_of(**given)
    config.to_yaml(tmp_path / "sweep.yaml")
    again = DAFSweepConfig.from_yaml(tmp_path / "sweep.yaml")
    assert again.step_limit == config.step_limit == given.get("max_steps_per_episode")
    assert again.max_steps_per_episode == 1000


def test_a_space_of_hyperparameters_without_a_training_section_trains_with_its_defaults_and_says_so(tmp_path):
    space = {"batch_size": [32], "total_timesteps": [256], "num_envs": [2]}
    found = launch(
        DAFSweepConfig(
            name="implied", missions=["training_facility_1,max_steps=20"], policy_class_path="stateless",
            search_space=space, episodes_per_trial=1, objective_metric="avg_reward", held_out_best=0,
        ),
        output=OutputManager(tmp_path, max_checkpoints_to_keep=2),
    )  # fmt: skip
    assert [trial.status for trial in found.trials] == ["complete"]
    (settings,) = found.run_dir.glob("trials/*.yaml")
    assert DAFTrainingConfig.from_yaml(settings).keep_last_checkpoints == 2
    assert all(trial.steps >= 256 for trial in found.trials)
    assert found.objectives == ("reward",)
    assert "Every trial trains with the training section's defaults (sequences of 32 steps)" in found.notes[0]
