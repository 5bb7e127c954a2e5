"""Replays a run's JSON lines to a tracker that lacks some of them.

A tracker may be new to a resumed run, or may have lost what its service had not stored when the process was killed. The
JSON lines, cut at the step from which the run resumes, are the source of truth.
"""

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from daf.core.tracking._interface import Tracker
from daf.core.tracking._json_lines import EVALUATIONS, METRICS
from daf.storage import journal


def catch_up(tracker: Tracker, run_dir: Path) -> None:
    """Log everything to `tracker` in order; it skips what it has. Raises `DataError` for damaged lines."""
    for step, kind, row in heapq.merge(_rows(run_dir / METRICS, 0), _rows(run_dir / EVALUATIONS, 1), key=_place):
        if kind == 0:
            tracker.log(step, {name: value for name, value in row.items() if name != "step"})
        else:
            tracker.evaluation(step, row)


def _rows(path: Path, kind: int) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    for row in journal.read(path):
        yield row["step"], kind, row


def _place(row: tuple[int, int, Mapping[str, Any]]) -> tuple[int, int]:
    return row[:2]
