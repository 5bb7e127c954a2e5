"""`optuna.db`: the trials as an Optuna study, for optuna-dashboard and other programs that read such files.

It is only a copy of the journal, and DAF never reads results from it. It is updated every few seconds and at the end,
holds trials 0 to n without a gap, and is recreated if it does not match the journal. If it cannot be written, a warning
is logged once and the sweep continues.
"""

import contextlib
import json
import logging
import sqlite3
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from daf.core.search.space import Space
from daf.storage.foreign_paths import sqlite_url
from daf.sweeps.strategies.by_optuna import distribution
from daf.sweeps.trial_result import SweepTrialResult

logger = logging.getLogger(__name__)

FILE = "optuna.db"
EVERY_SECONDS = 5.0
_STATES = {"complete": "COMPLETE", "infeasible": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}


class OptunaCopy:
    """The copy in the run directory of a sweep. name: of the study. objectives, directions: in order."""

    def __init__(
        self, run_dir: Path, name: str, space: Space, objectives: Sequence[str], directions: Sequence[str]
    ) -> None:
        self._path = run_dir / FILE
        self._name = name
        self._space = space
        self._objectives = list(objectives)
        self._directions = list(directions)
        self._study: Any = None
        self._written = 0
        self._last = time.monotonic()
        self._broken = False

    def update(self, results: Mapping[int, SweepTrialResult], *, now: bool = False) -> None:
        """Copy the new trials; with `now`, even if the last update was a moment ago."""
        if self._broken or not (now or time.monotonic() - self._last > EVERY_SECONDS):
            return
        try:
            self._copy(results)
        except Exception as error:  # a copy for other programs must not end the sweep
            self._broken = True
            logger.warning("%s is not kept up to date: %s: %s", self._path, type(error).__name__, error)
        self._last = time.monotonic()

    def close(self) -> None:
        """Close the file."""
        if self._study is not None:
            with contextlib.suppress(Exception):  # it is only a copy
                self._study._storage.remove_session()
                self._study._storage._backend.engine.dispose()
            self._study = None

    def _copy(self, results: Mapping[int, SweepTrialResult]) -> None:
        end = self._written
        while end in results:
            end += 1
        if end == self._written and self._study is not None:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._opened(end)
            self._insert([results[number] for number in range(self._written, end)])
        self._written = end

    def _opened(self, trials: int) -> Any:
        """Open the study; a file that holds more than the journal, or is damaged, is recreated."""
        if self._study is not None:
            return self._study
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = self._create()
            self._written = len(self._study.get_trials(deepcopy=False))
        except Exception as error:
            logger.info("%s is recreated: %s", self._path, error)
            self._written = trials + 1
        if self._written > trials:
            self.close()
            for path in (self._path, *(self._path.with_name(FILE + end) for end in ("-wal", "-shm", "-journal"))):
                path.unlink(missing_ok=True)
            self._study, self._written = self._create(), 0
        return self._study

    def _create(self) -> Any:
        import optuna
        from sqlalchemy import event

        storage = optuna.storages.RDBStorage(sqlite_url(self._path))
        backend = getattr(storage, "_backend", storage)

        @event.listens_for(backend.engine, "connect")
        def _no_sync(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA synchronous = OFF")  # it can be rebuilt from the journal
            connection.execute("PRAGMA journal_mode = WAL")  # readers neither wait nor block the writer

        study = optuna.create_study(
            storage=storage,
            study_name=self._name,
            directions=[optuna.study.StudyDirection[direction.upper()] for direction in self._directions],
            load_if_exists=True,
        )
        study.set_metric_names(self._objectives)
        return study

    def _insert(self, results: Sequence[SweepTrialResult]) -> None:
        """Write trials into Optuna's tables (schema 12 and compatible ones) in one transaction.

        Optuna's `add_trials` takes one transaction and about 8 ms per trial, as long as a short episode.
        """
        import optuna

        written = optuna.distributions.distribution_to_json
        dimensions = {d.name: distribution(d) for d in self._space.order}
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as database, database:
            study = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (self._name,)).fetchone()[0]
            for result in results:
                now = datetime.now().isoformat(sep=" ")
                row = (result.trial_id, study, _STATES[result.status], now, now)
                trial = database.execute(f"INSERT INTO trials ({_TRIAL}) VALUES (?, ?, ?, ?, ?)", row).lastrowid
                params = [
                    (trial, name, dimensions[name].to_internal_repr(value), written(dimensions[name]))
                    for name, value in result.hyperparameters.items()
                ]
                database.executemany(f"INSERT INTO trial_params ({_PARAM}) VALUES (?, ?, ?, ?)", params)
                if result.status in ("complete", "infeasible"):
                    values = [(trial, objective, value, "FINITE") for objective, value in enumerate(result.values)]
                    database.executemany(f"INSERT INTO trial_values ({_VALUE}) VALUES (?, ?, ?, ?)", values)
                rungs = [(trial, step, value, "FINITE") for step, value in result.rungs]
                database.executemany(f"INSERT INTO trial_intermediate_values ({_RUNG}) VALUES (?, ?, ?, ?)", rungs)
                notes = {"source": result.source, "seconds": result.seconds, "cost": result.cost}
                notes |= {"reason": result.reason} if result.reason else {}
                attributes = [(trial, key, json.dumps(value)) for key, value in notes.items()]
                violated = [
                    (trial, f"constraints:{name}", json.dumps(excess)) for name, excess in result.constraints.items()
                ]
                database.executemany(f"INSERT INTO trial_system_attributes ({_NOTE}) VALUES (?, ?, ?)", violated)
                database.executemany(f"INSERT INTO trial_user_attributes ({_NOTE}) VALUES (?, ?, ?)", attributes)


_TRIAL = "number, study_id, state, datetime_start, datetime_complete"
_PARAM = "trial_id, param_name, param_value, distribution_json"
_VALUE = "trial_id, objective, value, value_type"
_RUNG = "trial_id, step, intermediate_value, intermediate_value_type"
_NOTE = "trial_id, key, value_json"
