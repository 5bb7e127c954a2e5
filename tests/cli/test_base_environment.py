"""Without the optional packages every command works, or says in one sentence which extra it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDES = '''
"""Loaded by every Python below: the packages of DAF's extras can be neither found nor imported."""
import importlib.machinery
import sys

ABSENT = {"torch", "pufferlib", "pyro", "safetensors", "einops", "tensorboard", "wandb", "mlflow", "ray"}
ABSENT |= {"imageio_ffmpeg", "pytest", "coverage", "trackio", "numba", "llvmlite"}
find = importlib.machinery.PathFinder.find_spec


def hidden(name, path=None, target=None):
    return None if name.partition(".")[0] in ABSENT else find(name, path, target)


importlib.machinery.PathFinder.find_spec = staticmethod(hidden)
'''
MISSION = "training_facility_1,max_steps=20"
EVALUATE = ("-m", MISSION, "-e", "2", "--executor", "serial", "--quiet")
TRAIN = 'pip install "daf[train]"'
SWEEP = """
kind: sweep
name: {name}
missions: ["training_facility_1,max_steps=20"]
policy_class_path: {policy}
search_space: {{{space}}}
strategy: {strategy}
num_trials: 2
episodes_per_trial: 1
held_out_best: 0
{training}
"""
ADAPTIVE = """
kind: adaptive
experiment_id: study
training: {mission: "training_facility_1,max_steps=20", policy: lstm, total_timesteps: 64}
runs: [{}]
"""
CURRICULUM = "missions: [training_facility_1]\nsampler: uniform\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with an output folder in which a network was trained (where torch was there)."""
    from daf.config import DAFTrainingConfig
    from daf.output_manager import OutputManager
    from daf.training import daf_train_policy

    folder = tmp_path_factory.mktemp("base")
    config = DAFTrainingConfig(
        n_steps=16, num_envs=1, num_workers=1, threads=1, eval_frequency=None, trackers=[], device="cpu"
    )
    trained = daf_train_policy(
        MISSION, "stateless", config=config, total_timesteps=128, output=OutputManager(folder / "out")
    )
    (folder / "trained").write_text(trained.run_id)
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDES)
    files = {
        "cogs": SWEEP.format(name="cogs", policy="starter", space="cogs: [2, 4]", strategy="grid", training=""),
        "gp": SWEEP.format(name="gp", policy="starter", space="cogs: [2, 4]", strategy="gp", training=""),
        "protein": SWEEP.format(
            name="protein", policy="random", space="policy.vibe_action_p: {min: 0.0, max: 1.0}", strategy="protein",
            training="",
        ),
        "learning": SWEEP.format(
            name="learning", policy="token_lstm", space="learning_rate: [0.001, 0.01]", strategy="grid",
            training="training: {total_timesteps: 64}",
        ),
        "study": ADAPTIVE,
        "curriculum": CURRICULUM,
        "train": 'kind: training\nmission: "training_facility_1,max_steps=20"\n',
    }  # fmt: skip
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def ran(folder: Path, commands: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, str, str]]:
    """What each command came to, in an environment without the extras."""
    (folder / "commands.json").write_text(json.dumps(commands))
    own = {"PYTHONPATH": os.pathsep.join((str(folder / "hidden"), str(Path.cwd()))), "COLUMNS": "200"}
    environment = os.environ | own | {"DAF_OUTPUT_DIR": str(folder / "out")}
    program = str(Path(__file__).with_name("base_commands.py"))
    done = subprocess.run(
        [sys.executable, program, str(folder / "commands.json")], cwd=folder, env=environment, capture_output=True,
        text=True, check=False, timeout=280, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(commands, (tuple(one) for one in json.loads(done.stdout.splitlines()[-1])), strict=True))


@pytest.mark.thorough
def test_what_needs_no_network_works_without_torch(folder: Path) -> None:
    trained = (folder / "trained").read_text()
    commands: list[tuple[str, ...]] = [
        ("--version",),
        ("doctor", "--json"),
        ("missions", "arena"),
        ("policies",),
        ("evaluate", "-p", "starter", "-p", "noop", *EVALUATE, "--save-replays", "best"),
        ("compare", "-p", "starter", "-p", "noop", *EVALUATE),
        ("metrics", "-p", "noop", *EVALUATE),
        ("score", "starter", "--pool", "noop", *EVALUATE),
        ("crossplay", "-p", "starter", "-p", "noop", *EVALUATE),
        ("analyze", "mission", MISSION),
        ("analyze", "policy", "noop", "-m", MISSION, "--max-steps", "10", "--cogs", "none"),
        ("analyze", "ablation", "starter", "-c", "mask:inv:*", *EVALUATE),
        ("sweep", "run", "cogs.yaml", "--executor", "serial", "--quiet"),
        ("sweep", "status"),
        ("sweep", "best"),
        ("sweep", "variants", "-p", "noop", "-V", "sparse", *EVALUATE),
        ("train", "--list-hyperparameters"),
        ("runs",),
        ("runs", "show", trained),
        ("runs", "rebuild", "latest"),
        ("report", trained),
        ("plot", trained),
        ("logs", str(folder / "out" / "training" / trained), "--format", "svg", "--quiet"),
        ("bench", "evaluate", "-p", "noop", "-m", MISSION, "-e", "1", "--rounds", "1", "--quiet"),
    ]
    found = ran(folder, commands)
    wrong = {
        command: (code, err[-800:]) for command, (code, _, err) in found.items() if code != 0 or "Traceback" in err
    }
    assert not wrong, json.dumps({" ".join(command): what for command, what in wrong.items()}, indent=1)


def test_what_needs_an_extra_says_which_in_one_sentence(folder: Path) -> None:
    trained = (folder / "trained").read_text()
    commands: list[tuple[str, ...]] = [
        ("train", "-m", MISSION),
        ("train", "-m", MISSION, "-p", "lstm", "--steps", "64"),
        ("train", "--config", "train.yaml"),
        ("train", "--curriculum", "curriculum.yaml"),
        ("train", "--resume", trained),
        ("train", "--resume", "latest"),
        ("train", "-m", MISSION, "--run-dir", "mine"),
        ("sweep", "run", "learning.yaml"),
        ("sweep", "run", "gp.yaml"),
        ("sweep", "run", "protein.yaml"),
        ("adaptive", "run", "study.yaml"),
        ("evaluate", "-p", "lstm", *EVALUATE),
        ("evaluate", "-p", f"run:{trained}", *EVALUATE),
        ("compare", "-p", "starter", "-p", "stateless", *EVALUATE),
        ("score", "lstm", "--pool", "noop", *EVALUATE),
        ("crossplay", "-p", "starter", "-p", "lstm", *EVALUATE),
        ("metrics", "-p", "lstm", *EVALUATE),
        ("analyze", "policy", "lstm"),
        ("bench", "evaluate", "-p", "lstm", "-m", MISSION),
    ]
    found = ran(folder, [*commands, *((*command, "--json") for command in commands)])
    wrong = {}
    for command, (code, out, err) in found.items():
        lines = [line for line in err.splitlines() if line.strip()]
        refused = code == 2 and len(lines) == 1 and TRAIN in lines[0] and "Traceback" not in out + err
        if refused and "--json" in command:
            data = json.loads(out)
            refused = data["status"] == "failed" and TRAIN in data["error"]["message"]
        if not refused:
            wrong[" ".join(command)] = (code, out[-300:], err[-600:])
    assert not wrong, json.dumps(wrong, indent=1)
    assert not list((folder / "out").rglob("*.tmp"))
    assert not (folder / "mine").exists()
