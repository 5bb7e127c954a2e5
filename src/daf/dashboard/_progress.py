"""The progress of a training run, from the end of its `metrics.jsonl`: only the file's last lines are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from daf.dashboard._json_files import JsonFiles
from daf.dashboard._settings_files import total_steps
from daf.dashboard._signatures import Signature, signature
from daf.output_manager import RunInfo

TAIL_BYTES = 32 * 1024
LAST_MEANINGFUL = ("episode/return", "clock/sps")


@dataclass(frozen=True, slots=True)
class Progress:
    """step: agent steps so far. total: those requested, if the run's configuration states them. episode_return, sps: in
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
    """A training run's progress, `known` while its file is unchanged; None for others and before the first update."""
    if run.operation != "training":
        return None
    return folder_progress(run.path, known)


def folder_progress(folder: Path, known: Progress | None = None) -> Progress | None:
    """The same, for a run directory that is known to be one of training."""
    path = folder / "metrics.jsonl"
    source = signature(path)
    if source is None:
        return None
    if known is not None and known.source == source:
        return known
    step: int | None = None
    latest: dict[str, float] = {}
    for line in _last_lines(path):
        if step is None and isinstance(line.get("step"), int):
            step = line["step"]
        found = {name: line[name] for name in LAST_MEANINGFUL if isinstance(line.get(name), int | float)}
        latest = found | latest
        if step is not None and len(latest) == len(LAST_MEANINGFUL):
            break
    if step is None:
        return None
    total = known.total if known is not None else total_steps(folder, JsonFiles())
    return Progress(source, step, total, latest.get("episode/return"), latest.get("clock/sps"))


def _last_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines at the end of the file that are JSON objects, the last one first."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            block = file.read(TAIL_BYTES)
    except OSError:
        return
    lines = block.split(b"\n")[1 if size > TAIL_BYTES else 0 : -1]
    for line in reversed(lines):
        try:
            value = msgspec.json.decode(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
