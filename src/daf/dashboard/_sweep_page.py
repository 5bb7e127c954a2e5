"""The contents of a sweep's page, from its journal: while it runs, after it ended, after its process died."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from daf.dashboard._signatures import Signature, signature
from daf.sweeps.result import SweepResult, SweepTrialResult

MOST_TRIALS = 10_000
"""Maximum number of trials shown, the newest; the counts, the best and the front cover all trials."""
MOST_KEPT = 8
SOURCES = ("trials.jsonl", "result.json", "execution_log.json")


class Sweeps:
    """The sweeps that are viewed, reread when their files change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[tuple[Signature | None, ...], dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, folder: Path) -> dict[str, Any]:
        """The sweep in `folder`, as JSON data. Raises `DataError` if it is not a sweep, `StorageError`."""
        now = tuple(signature(folder / name) for name in SOURCES)
        with self._lock:
            known = self._kept.get(folder)
            if known is not None and known[0] == now:
                return known[1]
        data = _data(SweepResult.load(folder))
        with self._lock:
            self._kept[folder] = (now, data)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return data


def _data(sweep: SweepResult) -> dict[str, Any]:
    from daf.visualization.sweep_plots import log_scales  # takes a quarter of a second, and only sweeps need it

    best = sweep.top_trials(1)
    return {
        "name": sweep.name,
        "status": sweep.status,
        "strategy": sweep.strategy,
        "objectives": list(sweep.objectives),
        "directions": list(sweep.directions),
        "planned": sweep.planned,
        "counts": sweep.counts(),
        "best": _trial(best[0]) if best else None,
        "pareto": [trial.trial_id for trial in sweep.pareto_trials()] if len(sweep.objectives) > 1 else [],
        "log": log_scales(sweep),
        "held_out": sweep.held_out,
        "notes": list(sweep.notes),
        "trials": [_trial(trial) for trial in sweep.trials[-MOST_TRIALS:]],
        "trial_count": len(sweep.trials),
    }


def _trial(trial: SweepTrialResult) -> dict[str, Any]:
    return {
        "id": trial.trial_id,
        "status": trial.status,
        "value": trial.primary_metric,
        "values": list(trial.values),
        "hyperparameters": dict(trial.hyperparameters),
        "reason": trial.reason,
        "source": trial.source,
        "seconds": trial.seconds,
        "steps": trial.steps,
        "folder": f"{trial.trial_id:04d}" if trial.run_dir is None else Path(trial.run_dir).name,
    }
