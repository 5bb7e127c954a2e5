"""Metrics and evaluations as JSON lines in the run directory: `metrics.jsonl`, `evaluations.jsonl`.

Always enabled; other commands read these files. On resume both are cut at the step from which the run resumes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.core.tracking._interface import Number, TrackedRun
from daf.core.tracking._lines import Lines

METRICS = "metrics.jsonl"
EVALUATIONS = "evaluations.jsonl"


class JsonLines:
    """See the module."""

    name = "jsonl"

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._metrics: Lines | None = None
        self._evaluations: Lines | None = None

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        self._metrics = Lines(self._run_dir / METRICS, resumed_at)
        self._evaluations = Lines(self._run_dir / EVALUATIONS, resumed_at)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        assert self._metrics is not None
        self._metrics.append(step, values)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        assert self._evaluations is not None
        self._evaluations.append(step, {name: value for name, value in record.items() if name != "step"})

    def last_evaluation(self) -> int | None:
        """The step of the last recorded evaluation."""
        return None if self._evaluations is None else self._evaluations.last_step

    def sync(self) -> None:
        for lines in (self._metrics, self._evaluations):
            if lines is not None:
                lines.sync()

    def close(self, status: str) -> None:
        for lines in (self._metrics, self._evaluations):
            if lines is not None:
                lines.close()
