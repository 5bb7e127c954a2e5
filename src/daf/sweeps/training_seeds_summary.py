"""Conclusions from the record of several training runs of the best configurations."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def winner_over_seeds(held_out: Mapping[str, Any] | None) -> int | None:
    """The best trial over training seeds; None if there is none, or if each configuration was trained once."""
    record = (held_out or {}).get("training_seeds")
    winner = record.get("winner") if isinstance(record, Mapping) else None
    return winner if isinstance(winner, int) else None


def retrain_command(run_dir: Path, trial: int, seed: int) -> str:
    """The command that trains a trial's configuration again in a new run directory, with another seed."""
    settings = run_dir / "trials" / f"{trial:04d}.yaml"
    return shlex.join(["daf", "train", "--config", str(settings), "--seed", str(seed)])
