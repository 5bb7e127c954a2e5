"""How far a training run is, from the end of its `metrics.jsonl`: the file's last lines are read, never all of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.dashboard.signatures import Signature, signature
from daf.output_manager import RunInfo

TAIL_BYTES = 32 * 1024
LAST_MEANINGFUL = ("episode/return", "clock/sps")


@dataclass(frozen=True, slots=True)
class Progress:
    """step: agent steps so far. total: those asked for, where the run's configuration says so. episode_return, sps: in
    the last update that had one.
    """

    source: Signature
    step: int
    total: int | None
    episode_return: float | None
    sps: float | None

    def to_data(self) -> dict[str, Any]:
        """As JSON data."""
        return {"step": self.step, "total": self.total, "return": self.episode_return, "sps": self.sps}


def progress_of(run: RunInfo, known: Progress | None = None) -> Progress | None:
    """A training run's progress, `known` while its file is the same; None for others and before the first update."""
    if run.operation != "training":
        return None
    return folder_progress(run.path, known)


def folder_progress(folder: Path, known: Progress | None = None) -> Progress | None:
    """The same, of a run folder that is known to be one of training."""
    path = folder / "metrics.jsonl"
    source = signature(path)
    if source is None:
        return None
    if known is not None and known.source == source:
        return known
    last = _last_lines(path)
    steps = [line["step"] for line in last if isinstance(line.get("step"), int)]
    if not steps:
        return None
    latest: dict[str, float] = {}
    for line in last:
        latest.update({name: line[name] for name in LAST_MEANINGFUL if isinstance(line.get(name), int | float)})
    total = known.total if known is not None else total_steps(folder)
    return Progress(source, steps[-1], total, latest.get("episode/return"), latest.get("clock/sps"))


def total_steps(folder: Path) -> int | None:
    """`total_timesteps` of the run's configuration, wherever in it that stands."""
    try:
        config = json.loads((folder / "experiment_config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return _find_total(config, 0)


def _find_total(value: Any, depth: int) -> int | None:
    if not isinstance(value, dict) or depth > 4:
        return None
    found = value.get("total_timesteps")
    if isinstance(found, dict):
        found = found.get("value")
    if isinstance(found, int):
        return found
    inner = (_find_total(part, depth + 1) for part in value.values())
    return next((total for total in inner if total is not None), None)


def _last_lines(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            block = file.read(TAIL_BYTES)
    except OSError:
        return []
    lines = block.split(b"\n")[1 if size > TAIL_BYTES else 0 : -1]
    values = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            values.append(value)
    return values
