"""`json_logs/` of a training run: files of sampled records in the nested format that `daf logs` reads.

Records are kept until a checkpoint, then written as one JSON array `stats_<unixtime>.json`, completely or not at all,
environment by environment, agent by agent, in the order of their steps, with `total_steps` the agent steps so far; the
last file is `stats_final_<unixtime>.json`. On resume, files of steps that are trained again are removed. Records that
are not written yet when the process is killed belong to such steps too.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daf.errors import StorageError
from daf.storage.atomic import explain, write_text

FOLDER = "json_logs"
_NAME = re.compile(r"stats_(?:final_)?(\d+)\.json")
_TOTAL = re.compile(rb'"total_steps": (\d+)')


class TrainingLogs:
    """The logs of the run in `run_dir`, after step `resumed_at` (None: a new run). Raises `StorageError`."""

    def __init__(self, run_dir: Path, resumed_at: int | None) -> None:
        self._folder = run_dir / FOLDER
        self._records: list[Mapping[str, Any]] = []
        self._last = 0
        try:
            for path in sorted(self._folder.glob("stats_*.json")):
                name = _NAME.fullmatch(path.name)
                if name is None:
                    continue
                if resumed_at is None or _total_steps(path) > resumed_at:
                    path.unlink()
                else:
                    self._last = max(self._last, int(name[1]))
        except OSError as error:
            raise StorageError(explain(error, f"reading {self._folder}")) from error

    def add(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Keep records of a step, as `daf.game.training_samples` makes them."""
        self._records.extend(records)

    def flush(self, total_steps: int, *, final: bool = False) -> Path | None:
        """Write the kept records, at `total_steps` agent steps; returns the file, or None if there are no records.

        Raises `StorageError`.
        """
        if not self._records:
            return None
        # The times in the names order the files, so two files of the same second must not share a name.
        self._last = max(int(time.time()), self._last + 1)
        path = self._folder / f"stats_{'final_' if final else ''}{self._last}.json"
        ordered = sorted(self._records, key=lambda record: (record["environment"], record["agent"]))
        lines = [json.dumps({"step": r["step"], "total_steps": total_steps, **r}, allow_nan=False) for r in ordered]
        write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")
        self._records = []
        return path


def _total_steps(path: Path) -> int:
    """The agent steps at which a file was written, from its first record."""
    with path.open("rb") as file:
        found = _TOTAL.search(file.read(4096))
    if found is None:
        raise StorageError(
            f"{path} is not a log of a training run: it has no total_steps. Move it to another directory."
        )
    return int(found[1])
