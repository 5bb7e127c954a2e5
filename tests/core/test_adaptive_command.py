"""`daf adaptive` and its configuration, as a user meets them."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daf.adaptive import daf_adaptive_status, daf_run_adaptive, daf_stop_adaptive
from daf.config import DAFTrainingConfig
from daf.core.adaptive.commands import DafCommands, training_config
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.state import Run
from daf.core.jobs.interface import JobSpec
from daf.core.jobs.local import LocalJobs
from daf.errors import ConfigError, UsageError
from daf.output_manager import OutputManager
from tests.conftest import DafCall
from tests.core.adaptive_driver import config, controller

TRAINING = "training: {mission: arena, policy: lstm, total_timesteps: 1000}"
POPULATION = "scheduler: population\npopulation: {interval: 500}"


def written(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            "runs: [{}]\nmax_concurent_jobs: 2",
            r'max_concurent_jobs: no field "max_concurent_jobs". Nearest: max_concurrent_jobs',
        ),
        ("runs: [{learning_rat: 0.1}]", r'no setting "learning_rat". Nearest: learning_rate'),
        ("search_space: {gama: [0.9]}\nnum_runs: 2", r'no setting "gama". Nearest: gamma'),
        ("runs: [{steps: 5}]", "steps is the scheduler's. Set it in the section training"),
        ("runs: [{}]\nuse_skypilot: true", "use_skypilot: true and a section skypilot belong together"),
        (
            "runs: [{}]\nuse_skypilot: true\ndispatcher: ray\nskypilot: {outputs: 's3://b/c', mount: /mnt}",
            "use_skypilot: true excludes dispatcher: ray",
        ),
        ("runs: [{}]\ndispatcher: skypilot", "for jobs on SkyPilot set use_skypilot: true"),
        ("runs: [{}]\ndispatcher: slurm", 'no dispatcher "slurm"'),
        ("search_space: {gamma: [0.9]}", "search_space needs num_runs"),
        ("runs: [{}, {}]\nnum_runs: 1", "num_runs 1 is below the 2 entries of runs"),
        ("runs: [{}]\nnum_runs: 2", "without a search_space the others can't be drawn"),
        ("runs: [{}]\nsearch_space: {gamma: [0.9]}", "nothing is drawn from search_space"),
        ("runs: [{}, {}]\nscheduler: population", "scheduler population needs a section population"),
        ("runs: [{}]\nhalving: {min_timesteps: 5}", "halving has no effect with scheduler fixed"),
        (
            "runs: [{}, {}]\nscheduler: successive_halving\nhalving: {min_timesteps: 1000}",
            "halving.min_timesteps 1000 is not below total_timesteps 1000",
        ),
        ("runs: [{}]\nscheduler: population\npopulation: {interval: 10}", "population needs at least two runs"),
        (
            "checkpoint_interval: 5\nenable_checkpointing: false",
            "checkpoint_interval has no effect with enable_checkpointing: false",
        ),
        ("runs: [{}]\nheartbeat_interval: 0", "heartbeat_interval: 0 is not above 0"),
        ("search_space: {gamma: {min: 0.1, max: 0.9, prior: 0.5}}\nnum_runs: 2", "`when` and `prior` are for sweeps"),
        ("runs: [{lr: 0.1, learning_rate: 0.001}]", "learning_rate and lr are two names of one setting"),
        ("search_space: {lr: [0.1], learning_rate: [0.2]}\nnum_runs: 2", "are two names of one setting"),
        (
            f"{POPULATION}\nruns: [{{lr: 0.1}}, {{lr: 0.2}}]\nsearch_space: {{learning_rate: [0.3]}}",
            "learning_rate and lr are two names of one setting",
        ),
        (
            f"{POPULATION}\nnum_runs: 2\nsearch_space: {{network.hidden_size: [64, 128]}}",
            "search_space.network.hidden_size: a population's runs continue from each other's checkpoints",
        ),
        (
            f"{POPULATION}\nnum_runs: 2\nsearch_space: {{policy: [lstm, stateless]}}",
            "search_space.policy: a population's runs continue from each other's checkpoints",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_and_where(tmp_path: Path, lines: str, says: str) -> None:
    path = written(tmp_path, f"kind: adaptive\nexperiment_id: study\n{TRAINING}\n{lines}\n")
    with pytest.raises(ConfigError) as refused:
        DAFAdaptiveConfig.from_yaml(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x"])
def test_an_experiment_id_is_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="experiment_id"):
        config(name, runs=[{}])


def test_training_must_name_its_mission_and_policy() -> None:
    for training in ({"policy": "lstm"}, {"mission": "arena"}, {"policy": "lstm", "curriculum": {"name": "none"}}):
        with pytest.raises(ConfigError, match="training must name a policy and a mission"):
            DAFAdaptiveConfig(experiment_id="x", training=training, runs=[{}])


def test_the_missions_of_a_curriculum_are_those_that_are_evaluated() -> None:
    curriculum = {"missions": ["arena,rewards=credit", "hello"]}
    chosen = DAFAdaptiveConfig(experiment_id="x", training={"policy": "lstm", "curriculum": curriculum})
    assert chosen.trained_on == ["arena,rewards=credit", "hello"]
    assert chosen.evaluated_on == ["arena", "hello"]
    assert training_config(chosen, Run("r0000", {}, 80, "")).curriculum == curriculum


def test_the_game_of_training_is_the_one_that_is_evaluated(tmp_path: Path) -> None:
    training = {"mission": "classic", "policy": "lstm", "game": "overcogged"}
    chosen = DAFAdaptiveConfig(experiment_id="x", training=training)
    evaluate, _ = DafCommands(chosen, tmp_path).evaluate(Run("r0000", {}, 80, "", checkpoint="c"))
    assert evaluate[evaluate.index("--game") + 1] == "overcogged"


def test_an_alias_has_its_own_words() -> None:
    chosen = config(runs=[{"anneal_lr": True}])
    assert training_config(chosen, Run("r0000", chosen.runs[0], 80, "")).lr_schedule == "cosine"


def test_a_configuration_survives_its_own_yaml(tmp_path: Path) -> None:
    chosen = config(
        search_space={"lr": {"min": 0.001, "max": 0.1, "log": True}, "optimizer": ["adam", "sgd"]}, num_runs=4,
        scheduler="population", population={"interval": 20},
    )  # fmt: skip
    chosen.to_yaml(tmp_path / "study.yaml")
    assert DAFAdaptiveConfig.from_yaml(tmp_path / "study.yaml") == chosen


def test_a_run_trains_with_the_shared_section_and_its_own_settings() -> None:
    chosen = config(
        runs=[{"lr": 0.5, "network.hidden_size": 32, "policy": "stateless"}], num_runs=2, search_space={"gamma": [0.5]},
        checkpoint_interval=7, wandb_project="p",
    )  # fmt: skip
    first = training_config(chosen, Run("r0000", chosen.runs[0], 80, ""))
    assert (first.learning_rate, first.network, first.policy, first.seed) == (0.5, {"hidden_size": 32}, "stateless", 42)
    assert (first.checkpoint_frequency, first.trackers) == (7, ["tensorboard", "wandb"])
    assert first.tracker_options["wandb"] == {"group": "trial", "project": "p"}
    drawn = training_config(chosen, Run("r0001", {"gamma": 0.5}, 80, ""))
    assert (drawn.gamma, drawn.seed, drawn.policy) == (0.5, 43, "lstm")
    rarely = training_config(config(enable_checkpointing=False), Run("r0000", {}, 80, ""))
    assert rarely.checkpoint_frequency == 80


def test_the_commands_are_those_of_daf_train_and_daf_evaluate(tmp_path: Path) -> None:
    chosen = config(runs=[{"lr": 0.5}], evaluation={"missions": ["arena", "hello"], "episodes": 3, "max_steps": 9})
    commands = DafCommands(chosen, tmp_path, keep_checkpoints=2)
    run = Run("r0000", chosen.runs[0], 40, "", checkpoint="runs/r0000/checkpoints/final")
    train, signs = commands.train(run, Path("/parent"))
    assert train[1:4] == ("-m", "daf", "train")
    assert train[train.index("--stop-at") + 1] == "40"
    assert train[train.index("--branch-from") + 1] == "/parent"
    assert commands.run_dir(run) / "metrics.jsonl" in signs
    settings = DAFTrainingConfig.from_yaml(train[train.index("--config") + 1])
    assert (settings.learning_rate, settings.keep_last_checkpoints) == (0.5, 2)
    evaluate, _ = commands.evaluate(run)
    assert evaluate[evaluate.index("-p") + 1] == str(tmp_path / "runs/r0000/checkpoints/final")
    assert [evaluate[i + 1] for i, word in enumerate(evaluate) if word == "-m" and i > 2] == ["arena", "hello"]
    assert evaluate[evaluate.index("-e") + 1] == "3"
    assert evaluate[evaluate.index("--max-steps") + 1] == "9"


def test_an_unknown_experiment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`daf adaptive run CONFIG\.yaml` starts one"):
        daf_adaptive_status("trial", tmp_path / "out")
    controller(tmp_path, config(runs=[{}])).start_experiment()
    with pytest.raises(UsageError, match=r'no experiment "trail"\. Nearest: trial'):
        daf_adaptive_status("trail", tmp_path / "out")
    for name in ("trial", "latest", daf_adaptive_status("trial", tmp_path / "out").run_id):
        assert daf_adaptive_status(name, tmp_path / "out").status == "done"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        daf_run_adaptive(tmp_path / "none.yaml")


@pytest.fixture
def daf(tmp_path: Path, daf_call: DafCall) -> DafCall:
    return partial(daf_call, "adaptive", cwd=tmp_path, DAF_OUTPUT_DIR=str(tmp_path / "out"))


def answer(process: subprocess.Popen[str], code: int) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (process.returncode, out[-2000:], err[-2000:])
    found: dict[str, Any] = json.loads(out)
    return found


def driven(folder: Path, fields: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.core.adaptive_driver", str(folder), json.dumps(fields)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def until_training(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if list((folder / "out").glob("training/*/runs/*/metrics.jsonl")):
            return
        LocalJobs().wait([], 0.02)
    raise AssertionError("nothing trains")


LONG = {"runs": [{}], "total": 10_000_000}


def test_stop_ends_a_running_experiment_and_status_shows_it(tmp_path: Path, daf: DafCall) -> None:
    running = driven(tmp_path, LONG)
    until_training(tmp_path)
    assert json.loads(daf("status", "--json").stdout)["status"] == "running"
    shown = daf("status").stdout
    assert "r0000 training: r0000-train-10000000-1 is running, process" in shown
    assert "last heartbeat" in shown
    stopped = json.loads(daf("stop", "trial", "--json").stdout)
    assert (stopped["status"], stopped["reason"]) == ("stopped", "daf adaptive stop")
    assert answer(running, 0)["status"] == "stopped"
    assert stopped["runs"][0]["status"] == "pending"
    assert "daf adaptive run CONFIG` resumes it" in daf("status").stdout


def test_stop_ends_what_a_killed_controller_left(tmp_path: Path) -> None:
    running = driven(tmp_path, LONG)
    until_training(tmp_path)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    status = daf_adaptive_status("trial", tmp_path / "out")
    (run,) = status.to_data()["runs"]
    assert (status.status, run["status"], run["job_state"]) == ("interrupted", "training", "running")
    stopped = daf_stop_adaptive("trial", tmp_path / "out")
    assert stopped.status == "stopped"
    job = stopped.run_dir / "jobs" / str(run["job"])
    assert LocalJobs().status(JobSpec(job.name, (), job)).state in ("ended", "gone")


@pytest.mark.thorough
def test_ctrl_c_on_the_terminal_stops_with_a_sentence_and_130(tmp_path: Path) -> None:
    path = written(tmp_path, f"kind: adaptive\nexperiment_id: study\n{TRAINING}\nruns: [{{}}]\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "daf", "adaptive", "run", str(path), "--json"], text=True, cwd=tmp_path,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"DAF_OUTPUT_DIR": str(tmp_path / "out")},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("training/*/jobs/*/process.json")) and time.monotonic() < deadline:
        LocalJobs().wait([], 0.02)
    process.send_signal(signal.SIGINT)
    data = answer(process, 130)
    assert data["status"] == "interrupted"
    assert "The same command resumes them" in data["error"]["message"]


def test_a_mission_that_is_not_there_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    from daf.errors import MissionError

    training = {"mission": "arenna", "policy": "starter", "total_timesteps": 10}
    chosen = DAFAdaptiveConfig(experiment_id="x", training=training, runs=[{}])
    with pytest.raises(MissionError, match="arena"):
        daf_run_adaptive(chosen, output=OutputManager(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def refused(tmp_path: Path, chosen: DAFAdaptiveConfig) -> str:
    """What `daf_run_adaptive` says against it, before anything is written."""
    with pytest.raises(UsageError) as error:
        daf_run_adaptive(chosen, output=OutputManager(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    return str(error.value)


FACILITY = {"mission": "training_facility_1", "policy": "stateless", "num_envs": 4, "total_timesteps": 12_000}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"training": {"policy": "token_lstm"}, "runs": [{"network.hiden_size": 3}]},
            r'r0000: network.hiden_size: no argument of token_lstm "hiden_size". Nearest: hidden_size',
        ),
        ({"search_space": {"policy": ["lstm", "nonsense_policy"]}, "num_runs": 2}, "nonsense_policy"),
        ({"runs": [{"batch_size": 12_352}]}, "r0000: batch_size 12352 does not divide the rollout's 1,024 agent steps"),
        ({"training": {"game": "overcogged"}}, "training_facility_1"),
        ({"training": {"curriculum": {"missions": ["hello"]}}}, "the curriculum names its missions, and a mission is"),
        (
            {"runs": [{}, {}], "scheduler": "population", "population": {"interval": 600}},
            "nothing would be trained before 1,800 agent steps: an update takes 1,024, so that a run is at 2,048",
        ),
        (
            {"runs": [{}, {}], "scheduler": "successive_halving", "halving": {"min_timesteps": 30}},
            "nothing would be trained before 90 agent steps: an update takes 1,024",
        ),
    ],
)
def test_what_runs_would_fail_on_is_refused_before_a_folder_is_made(
    tmp_path: Path, fields: dict[str, Any], says: str
) -> None:
    training = FACILITY | fields.get("training", {})
    assert says in refused(tmp_path, DAFAdaptiveConfig(**{"experiment_id": "x", **fields, "training": training}))


def test_rollouts_of_a_curriculum_are_of_its_tasks(tmp_path: Path) -> None:
    curriculum = {"missions": ["arena"], "options": {"cogs": [2]}}
    training = {"policy": "stateless", "num_envs": 4, "batch_size": 1024, "curriculum": curriculum}
    says = refused(tmp_path, DAFAdaptiveConfig(experiment_id="x", training=training, runs=[{}]))
    assert "the rollout's 512 agent steps (4 environments × 2 agents × 64 steps)" in says


def test_without_a_training_section_there_is_only_feedback(tmp_path: Path) -> None:
    chosen = DAFAdaptiveConfig(experiment_id="x", max_concurrent_jobs=2)
    with pytest.raises(AdaptiveControllerError, match="experiment x has nothing to train"):
        controller(tmp_path, chosen).start_experiment()
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="need a section `training`"):
        DAFAdaptiveConfig(experiment_id="x", runs=[{}])


def test_a_training_section_alone_is_one_run(tmp_path: Path) -> None:
    assert list(controller(tmp_path, config()).start_experiment().experiment.runs) == ["r0000"]
