"""The curves of training runs, read once and then only where the files grow.

`Curves.full(folder)` returns every series of a run, thinned out to what a screen can show; `Curves.added(folder, at)`
returns what came after a cursor, in full. Both return the cursor to continue from. A resumed run truncates what it will
repeat: then the cursor is no longer valid, and `added` returns everything again with `restart` true.
"""

import math
import threading
from array import array
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from daf.dashboard._tailing import LineTail
from daf.dashboard._thinning import kept

MOST_POINTS = 2000
MOST_RUNS = 24
"""Number of runs whose curves stay in memory; the least recently requested one is dropped first."""
AXES = ("step", "update")


class RunCurves:
    """The series of one run directory. `generation` changes when previously read data is no longer valid."""

    def __init__(self, folder: Path) -> None:
        self.generation = 0
        self.damaged = 0
        self._metrics = LineTail(folder / "metrics.jsonl")
        self._evaluations = LineTail(folder / "evaluations.jsonl")
        self._series: dict[str, tuple[array[float], array[float]]] = {}
        self._evaluated: list[dict[str, Any]] = []

    def refresh(self) -> None:
        """Read what was added to the files."""
        metrics = self._metrics.read()
        evaluations = self._evaluations.read()
        if metrics.restarted or evaluations.restarted:
            self.generation += 1
        if metrics.restarted:
            self._series = {}
            self.damaged = 0
        if evaluations.restarted:
            self._evaluated = []
        self.damaged += metrics.damaged + evaluations.damaged
        for line in metrics.lines:
            self._add(line)
        self._evaluated += evaluations.lines

    def cursor(self) -> dict[str, Any]:
        """The current position of the reader."""
        counts = {name: len(steps) for name, (steps, _) in self._series.items()}
        return {"generation": self.generation, "counts": counts, "evaluations": len(self._evaluated)}

    def data(self, cursor: dict[str, Any] | None) -> dict[str, Any]:
        """What came after `cursor`; everything, thinned out, without a cursor or if it is no longer valid."""
        fits = cursor is not None and cursor["generation"] == self.generation
        since: dict[str, int] = cursor["counts"] if cursor is not None and fits else {}
        first = cursor["evaluations"] if cursor is not None and fits else 0
        series = {}
        for name, (steps, values) in self._series.items():
            start = since.get(name, 0)
            if start == len(steps):
                continue
            if len(steps) - start > MOST_POINTS:
                found = kept(np.asarray(values[start:], np.float64), MOST_POINTS)
                series[name] = [[steps[start + at] for at in found], [values[start + at] for at in found], len(steps)]
            else:
                series[name] = [list(steps[start:]), list(values[start:]), len(steps)]
        return {
            "restart": not fits,
            "series": series,
            "evaluations": self._evaluated[first:],
            "damaged": self.damaged,
        }

    def _add(self, line: dict[str, Any]) -> None:
        step = line.get("step")
        if not isinstance(step, int | float) or not _number(step):
            self.damaged += 1
            return
        for name, value in line.items():
            if name not in AXES and _number(value):
                steps, values = self._series.setdefault(name, (array("d"), array("d")))
                steps.append(step)
                values.append(float(value))


class Curves:
    """The curves of the runs that are viewed."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Path, RunCurves] = OrderedDict()
        self._lock = threading.Lock()

    def full(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """All series of a run, thinned out, and the cursor after them."""
        return self.added(folder, None)

    def added(self, folder: Path, cursor: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """What came after `cursor`, and the cursor after it."""
        with self._lock:
            run = self._runs.get(folder)
            if run is None:
                run = self._runs[folder] = RunCurves(folder)
                while len(self._runs) > MOST_RUNS:
                    self._runs.popitem(last=False)
            self._runs.move_to_end(folder)
            run.refresh()
            return run.data(cursor), run.cursor()


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
