"""The contents of a sweep's page, from its journal: while it runs, after it ended, after its process died."""

import threading
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.dashboard._run_files import list_files
from daf.dashboard._signatures import Signature, signature
from daf.dashboard.run_index import children
from daf.errors import UsageError
from daf.sweeps.result import SweepResult, SweepTrialResult

if TYPE_CHECKING:
    from daf.render.scales import SettingScale

MOST_TRIALS = 10_000
"""Maximum number of trials shown, the newest; the counts, the best and the front cover all trials."""
MOST_KEPT = 8
TRIALS = "trials"
SOURCES = ("trials.jsonl", "result.json", "execution_log.json")


class Sweeps:
    """The sweeps that are viewed, reread when their files change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[tuple[Signature | None, ...], SweepResult, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, folder: Path) -> dict[str, Any]:
        """The sweep in `folder`, as JSON data. Raises `DataError` if it is not a sweep, `StorageError`."""
        return self._read(folder)[1]

    def trial(self, key: str, folder: Path, number: int) -> dict[str, Any]:
        """One trial closely: settings, the value of each episode, replays. Raises `UsageError` if there is none."""
        from daf.sweeps.analysis_columns import stored_config
        from daf.sweeps.trial_episodes import evaluate_command, trial_episodes

        sweep, _ = self._read(folder)
        trial = next((one for one in sweep.trials if one.trial_id == number), None)
        if trial is None:
            raise UsageError(f"the sweep has no trial {number}.")
        config, name = stored_config(sweep), _folder(trial)
        place = next((child for child in children(folder / TRIALS) if child.name == name), None)
        replays = [] if place is None else [file.path for file in list_files(place)[0] if file.kind == "replay"]
        return {
            **_trial(trial),
            "objectives": list(sweep.objectives),
            "policy": None if place is not None else trial.policy,
            "run": None if place is None else f"{key}/{TRIALS}/{name}",
            "replays": replays,
            "episodes": [asdict(episode) for episode in trial_episodes(trial, folder, config)],
            "command": evaluate_command(trial, config),
        }

    def _read(self, folder: Path) -> tuple[SweepResult, dict[str, Any]]:
        now = tuple(signature(folder / name) for name in SOURCES)
        with self._lock:
            known = self._kept.get(folder)
            if known is not None and known[0] == now:
                return known[1:]
        sweep = SweepResult.load(folder)
        data = _data(sweep)
        with self._lock:
            self._kept[folder] = (now, sweep, data)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return sweep, data


def _data(sweep: SweepResult) -> dict[str, Any]:
    from daf.sweeps.analysis_columns import setting_scales

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
        "axes": {scale.name: _axis(scale) for scale in setting_scales(sweep)},
        "held_out": sweep.held_out,
        "notes": list(sweep.notes),
        "trials": [_trial(trial) for trial in sweep.trials[-MOST_TRIALS:]],
        "trial_count": len(sweep.trials),
    }


def _axis(scale: "SettingScale") -> dict[str, Any]:
    """How a hyperparameter is drawn. values: of an axis with choices, in their order, else None."""
    return {
        "log": scale.log,
        "ends": list(scale.ends) if scale.scaled else None,
        "values": None if scale.scaled else list(scale.values),
        "ticks": [[value, text] for value, text in scale.ticks()],
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
    }


def _folder(trial: SweepTrialResult) -> str:
    """The name of the trial's directory, if it has one."""
    return f"{trial.trial_id:04d}" if trial.run_dir is None else Path(trial.run_dir).name
