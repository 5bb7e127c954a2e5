"""A controller as a process of its own, for tests that kill it: `python -m tests.core.adaptive_driver FOLDER CONFIG`.

CONFIG with a section `training` trains by `daf train`, else by `adaptive_jobs.py`.

KILL_AT="N before" or "N after" in the environment: the process is killed (SIGKILL) before or after it commits its Nth
event, so that every gap between two of the controller's steps can be met.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from daf.core.adaptive import record
from daf.core.adaptive.commands import DafCommands
from daf.core.adaptive.hooks import Hooks, Milestone
from daf.core.adaptive.state import Run
from daf.core.adaptive_controller import DAFAdaptiveConfig, DAFAdaptiveController
from daf.output_manager import OutputManager
from daf.storage import journal

JOBS = str(Path(__file__).with_name("adaptive_jobs.py"))
PYTHON = (sys.executable, "-S", "-E", JOBS)


class SmallJobs(DafCommands):
    """The jobs of `adaptive_jobs.py` in the place of `daf train` and `daf evaluate`; their results are read alike."""

    def train(self, run: Run, branch_from: Path | None) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        folder = self.run_dir(run)
        rate = str(run.settings.get("learning_rate", 1.0))
        branch = "-" if branch_from is None else str(branch_from)
        argv = (*PYTHON, "train", str(folder), str(run.target), run.name, rate, branch)
        return argv, (folder / "metrics.jsonl", folder)

    def evaluate(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        return (*PYTHON, "evaluate", str(self.folder / str(run.checkpoint))), ()


def config(experiment_id: str = "trial", **fields: Any) -> DAFAdaptiveConfig:
    """A small experiment; fields as in YAML."""
    training = {"mission": "arena", "policy": "lstm", "total_timesteps": fields.pop("total", 80)}
    quick = {"retry_delay": 0.0, "heartbeat_interval": 0.5, "max_concurrent_jobs": 2, "stop_grace": 10.0}
    return DAFAdaptiveConfig(**{"experiment_id": experiment_id, "training": training, **quick, **fields})


def controller(folder: Path, chosen: DAFAdaptiveConfig, **arguments: Any) -> DAFAdaptiveController:
    """A controller over small jobs."""
    output = OutputManager(folder / "out", log_to_file=False)
    return DAFAdaptiveController(chosen, output=output, **{"commands": SmallJobs, **arguments})


def journal_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of an experiment's journal."""
    return list(journal.read(folder / record.JOURNAL))


def recording_hooks(folder: Path) -> Hooks:
    """Hooks that write each milestone's id into a file."""

    def tell(milestone: Milestone) -> None:
        with (folder / "hooks").open("a") as file:
            file.write(milestone.id + "\n")

    return Hooks(tell, tell, tell)


def _kill_at(when: str) -> None:
    number, side = when.split()
    count = 0
    commit = journal.append

    def append(path: str | Path, value: dict[str, Any]) -> None:
        nonlocal count
        if Path(path).name != "experiment.jsonl":
            commit(path, value)
            return
        count += 1
        if count == int(number) and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(path, value)
        if count == int(number) and side == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    journal.append = append


if __name__ == "__main__":
    place, fields = Path(sys.argv[1]), json.loads(sys.argv[2])
    if "KILL_AT" in os.environ:
        _kill_at(os.environ["KILL_AT"])
    jobs = DafCommands if "training" in fields else SmallJobs
    ended = controller(place, config(**fields), hooks=recording_hooks(place), commands=jobs).start_experiment()
    print(json.dumps(ended.to_data()))
