"""What the sweeps' tests share: a sweep that plays in seconds, also in a process of its own, and what must agree."""

import multiprocessing
import os
from pathlib import Path

from daf.config import DAFSweepConfig
from daf.output_manager import OutputManager
from daf.sweeps import journal
from daf.sweeps.operation import launch
from daf.sweeps.result import SweepResult

SMALLEST = "memory_mystery_path_easy,max_steps=10"
CLOCK = ("seconds", "cost", "attempts", "run_dir", "checkpoint", "policy")
"""Fields of a trial that depend on the machine and the moment."""


def config_of(**fields):
    values = {
        "name": "small",
        "missions": [SMALLEST],
        "policy_class_path": "random",
        "search_space": {"policy.vibe_action_p": {"min": 0.0, "max": 1.0}},
        "strategy": "random",
        "num_trials": 4,
        "episodes_per_trial": 2,
        "seed": 7,
        "held_out_best": 0,
    }
    return DAFSweepConfig(**values | fields)


def run(config, folder, **options):
    """Run a sweep in this process."""
    return launch(config, output=OutputManager(folder), **{"executor": "serial"} | options)


def _in_child(config, folder, options):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    run(config, folder, **options)


def start(config, folder, **options):
    """Run a sweep in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["daf.game.preload", "daf.sweeps.operation", "optuna", "cogames.cli.mission"])
    process = context.Process(target=_in_child, args=(config, Path(folder), options))
    process.start()
    return process


def facts(trial):
    """What must be equal however a sweep was run."""
    return {name: value for name, value in trial.to_data().items() if name not in CLOCK}


def outcome(folder):
    """The one sweep below an output folder: its trials, without what the clock decides."""
    return [facts(trial) for trial in SweepResult.load(run_dir_in(folder)).trials]


def run_dir_in(folder):
    (found,) = (Path(folder) / "sweeps").iterdir()
    return found


def events(folder):
    """(event, trial) of every line of the journal, in order."""
    import json

    lines = (run_dir_in(folder) / journal.FILE).read_text().splitlines()
    return [(event["event"], event.get("trial")) for event in map(json.loads, lines)]
