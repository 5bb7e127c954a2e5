"""Run folders made by the frame that real runs use, with files in the formats that training and sweeps write."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daf.output_manager import OutputManager


@contextmanager
def running(base: Path, title: str, operation: str = "training", config: object = None) -> Iterator[Path]:
    """A run that goes on inside the block."""
    with OutputManager(base).operation(operation, title=title, config=config) as folder:
        yield folder


def training(base: Path, title: str, updates: int, *, config: object = None, gain: float = 0.1) -> Path:
    """A training run that ended."""
    asked = {"total_timesteps": 1000 * updates, "learning_rate": 0.001} if config is None else config
    with running(base, title, config=asked) as folder:
        append(folder, range(updates), gain=gain)
    return folder


def append(folder: Path, updates: range, *, gain: float = 0.1) -> None:
    """Add updates to a training run's files; every fifth one evaluates."""
    with (folder / "metrics.jsonl").open("a") as metrics, (folder / "evaluations.jsonl").open("a") as evaluations:
        for update in updates:
            metrics.write(json.dumps(metrics_line(update, gain)) + "\n")
            if update % 5 == 4:
                evaluations.write(json.dumps(evaluation_line(update, gain)) + "\n")


def metrics_line(update: int, gain: float = 0.1) -> dict[str, float]:
    return {
        "step": 1000 * (update + 1),
        "update": update + 1,
        "episode/return": gain * (update + 1),
        "loss/policy": -0.01 * (update % 7),
        "clock/seconds": 2.0 * (update + 1),
        "clock/sps": 500.0,
    }


def evaluation_line(update: int, gain: float = 0.1) -> dict[str, object]:
    mean = gain * (update + 1)
    missions = {
        name: {"mean": mean + shift, "low": mean + shift - 0.5, "high": mean + shift + 0.5, "iqm": mean, "n": 20}
        for name, shift in (("arena", 0.0), ("tutorial.miner", 1.0))
    }
    whole = {"mean": mean + 0.5, "low": mean, "high": mean + 1, "n": 40, "seed": 7, "replays": [], "seconds": 1.5}
    return {"step": 1000 * (update + 1), "update": update + 1, "missions": missions, **whole}


def comparison(base: Path, title: str, scores: dict[str, list[float]], *, mission: str = "arena") -> Path:
    """A comparison's results in the form that `daf compare` writes, of given scores by policy."""
    episodes = [
        {
            "mission": mission,
            "seed": 42 + index,
            "index": index,
            "contender": policy,
            "policies": [policy],
            "assignment": [0, 0],
            "rewards": [score, score],
            "steps": 100,
            "status": "ok",
            "cached": False,
            "key": f"{policy}{index}",
            "replay": None,
            "failure": None,
        }
        for policy, given in scores.items()
        for index, score in enumerate(given)
    ]
    with running(base, title, "comparisons", {"seed": 42}) as folder:
        (folder / "results.json").write_text(json.dumps({"status": "ok", "episodes": episodes, "ranking": []}))
    return folder
