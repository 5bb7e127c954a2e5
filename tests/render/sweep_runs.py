"""Sweep runs in the journal's format: a random search for the top of a noisy hill."""

import math
from pathlib import Path

import numpy as np

from daf.output_manager import OutputManager
from daf.storage.atomic import write_json
from daf.sweeps import journal
from daf.sweeps.journal import Proposal
from daf.sweeps.result import SweepTrialResult


def search_hill(
    base: Path,
    *,
    trials: int = 40,
    name: str = "hill",
    names: tuple[str, str] = ("learning_rate", "hidden_size"),
    fails: str = "OutOfMemory: 24 GB are too few",
    objectives: tuple[str, ...] = ("reward",),
    held_out: dict[str, object] | None = None,
    all_fail: bool = False,
) -> Path:
    """Search, and return the run folder. Every seventh trial fails with the message `fails`."""
    output = OutputManager(base, monitor_system_stats=False)
    space = {names[0]: {"min": 1e-4, "max": 0.1, "log": True}, names[1]: [32, 64, 128]}
    config = {"name": name, "search_space": space, "seed": 42, "episodes_per_trial": 5}
    folder = output.log_operation_start("sweeps", title=name, config=config)
    write_json(
        folder / "sweep.json",
        {
            "name": name,
            "objectives": list(objectives),
            "directions": ["maximize"] * len(objectives),
            "strategy": "random",
            "run_id": output.session_id,
            "planned": trials,
            "best_n": 3,
            "config": {},
        },
    )
    generator = np.random.default_rng(3)
    for number in range(trials):
        rate, size = float(10 ** generator.uniform(-4, -1)), int(generator.choice([32, 64, 128]))
        proposed = {names[0]: rate, names[1]: size, "optimizer": str(generator.choice(["adam", "sgd"]))}
        journal.proposed(folder, Proposal(number, proposed, "random"))
        top = 1 - (math.log10(rate) + 2.5) ** 2 / 4 + float(generator.normal(0, 0.1))
        values = (top, float(-size))[: len(objectives)]
        if all_fail or number % 7 == 6:
            result = SweepTrialResult(number, proposed, status="failed", reason=fails, source="random", seconds=1.0)
        else:
            result = SweepTrialResult(
                number,
                proposed,
                values[0],
                success=True,
                status="complete",
                values=values,
                source="random",
                seconds=2.5,
            )
        journal.finished(folder, result)
    if held_out is not None:
        journal.held_out(folder, held_out)
    output.log_operation_complete("sweeps")
    return folder
