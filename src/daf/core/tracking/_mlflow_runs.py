"""Metrics to MLflow: a server, or a database in the run directory.

The store is `options.tracking_uri`, else `MLFLOW_TRACKING_URI`, else `mlflow.db` (SQLite) in the run directory, which
`mlflow ui --backend-store-uri sqlite:///…` shows. MLflow cannot remove points, so a resumed run sends only new ones. A
request takes 10 to 40 ms, so points are sent in batches, at most every `SEND_SECONDS` and at every checkpoint.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any

from daf.core.tracking._catch_up import catch_up
from daf.core.tracking._interface import Number, TrackedRun, flat_evaluation
from daf.core.tracking._names import Names
from daf.core.tracking._sent_steps import SentSteps
from daf.errors import UsageError
from daf.storage.foreign_paths import sqlite_url

_STATUS = {"done": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")
_PARAMS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000
SEND_SECONDS = 2.0
_LONGEST_PARAM = 6000
_LONGEST_NAME = 250


@dataclass(frozen=True, slots=True)
class MlflowOptions:
    """Where runs are stored."""

    tracking_uri: str | None = None
    experiment: str = "daf"


class MlflowRuns:
    """See the module."""

    name = "mlflow"

    def __init__(self, run_dir: Path, options: MlflowOptions) -> None:
        self._run_dir = run_dir
        self._options = options
        self._client: Any = None
        self._sent: SentSteps | None = None
        self._waiting: list[Any] = []
        self._names = Names(replaced=_NOT_IN_NAMES, longest=_LONGEST_NAME, paths=True)
        self._last = -1
        self._sent_at = monotonic()

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        own = sqlite_url(self._run_dir / "mlflow.db")
        place = self._options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or own
        sent = SentSteps(self._run_dir, self.name, resumed_at)
        try:
            self._client = MlflowClient(tracking_uri=place)
            if sent.resumed:
                self._client.update_run(sent.id, status="RUNNING")
            else:
                found = self._client.create_run(self._experiment(place == own), run_name=run.run_id)
                sent.id = found.info.run_id
                self._describe(sent.id, run)
        except MlflowException as error:
            raise UsageError(f"MLflow at {place} rejected the run: {error}") from error
        sent.write()
        self._sent = sent
        if resumed_at is not None:
            catch_up(self, self._run_dir)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        assert self._sent is not None
        if step > self._sent.metrics:
            self._waiting += self._points(step, values)
            self._last = step
            if monotonic() - self._sent_at >= SEND_SECONDS:
                self.sync()

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        assert self._sent is not None
        if step > self._sent.evaluations:
            self._send(self._points(step, flat_evaluation(record)))
            self._sent.evaluations_to(step)

    def sync(self) -> None:
        """Send the pending points."""
        if self._waiting and self._sent is not None:
            self._send(self._waiting)
            self._waiting = []
            self._sent.metrics_to(self._last)
        self._sent_at = monotonic()

    def close(self, status: str) -> None:
        if self._client is not None and self._sent is not None:
            self.sync()
            self._client.set_terminated(self._sent.id, _STATUS[status])
            self._client = None

    def _send(self, points: list[Any]) -> None:
        assert self._sent is not None
        for first in range(0, len(points), _METRICS_AT_ONCE):
            self._client.log_batch(self._sent.id, metrics=points[first : first + _METRICS_AT_ONCE])

    def _experiment(self, own: bool) -> str:
        """The id of the experiment, which is created if it does not exist."""
        name = self._options.experiment
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = (self._run_dir.resolve() / "mlflow_artifacts").as_uri() if own else None
        return str(self._client.create_experiment(name, artifact_location=place))

    def _describe(self, run_id: str, run: TrackedRun) -> None:
        from mlflow.entities import Param

        facts = {
            "mission": run.mission,
            "policy": run.policy,
            "seed": run.seed,
            "total_timesteps": run.total_timesteps,
            **run.config,
        }
        names = Names(replaced=_NOT_IN_NAMES, longest=_LONGEST_NAME, paths=True)
        params = [Param(names.of(name), str(value)[:_LONGEST_PARAM]) for name, value in facts.items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(run_id, params=params[start : start + _PARAMS_AT_ONCE])

    def _points(self, step: int, values: Mapping[str, Number]) -> list[Any]:
        from mlflow.entities import Metric

        now = int(time() * 1000)
        return [Metric(self._names.of(name), float(value), now, step) for name, value in values.items()]
