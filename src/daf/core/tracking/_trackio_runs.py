"""Metrics to trackio, in its local store on this machine; `trackio show --project daf` shows them in the browser.

The store is trackio's own (`TRACKIO_DIR`), in one project for all runs. The step of every metric is agent steps.

trackio stores metrics from a background thread and loses the last ones when the process is killed, so a resumed run is
deleted from the store and written again from the JSON lines. Runs are not sent to a Space or server, where they could
not be deleted: `trackio sync` publishes a project.
"""

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.core.tracking._catch_up import catch_up
from daf.core.tracking._interface import Number, TrackedRun, flat_evaluation
from daf.core.tracking._names import Names
from daf.core.tracking._sent_steps import SentSteps
from daf.errors import UsageError

REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
"""Variables that make trackio send runs elsewhere."""


@dataclass(frozen=True, slots=True)
class TrackioOptions:
    """project: name of the project in the store. group: of the run, shown in trackio."""

    project: str = "daf"
    group: str | None = None


class TrackioRuns:
    """See the module."""

    name = "trackio"

    def __init__(self, run_dir: Path, options: TrackioOptions) -> None:
        self._run_dir = run_dir
        self._options = options
        self._run: Any = None
        self._names = Names()

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        for variable in REMOTE:
            if os.environ.get(variable):
                raise UsageError(
                    f"{variable} is set, but the tracker trackio stores runs on this machine only. Unset it, and "
                    "publish the project with `trackio sync` afterwards."
                )
        sent = SentSteps(self._run_dir, self.name, resumed_at)
        name = f"{run.run_id}-{sent.id}"  # two output directories may have runs with the same id
        with _silenced():
            import trackio

            if sent.resumed:
                self._forget(name)
            sent.write()
            try:
                self._run = trackio.init(
                    project=self._options.project,
                    name=name,
                    group=self._options.group,
                    config={
                        **run.config,
                        "mission": run.mission,
                        "policy": run.policy,
                        "seed": run.seed,
                        "total_timesteps": run.total_timesteps,
                    },
                    resume="never",
                    embed=False,
                    auto_log_cpu=False,
                    auto_log_gpu=False,
                )
            except ValueError as error:
                raise UsageError(f"trackio rejected the run: {error}") from error
        if resumed_at is not None:
            catch_up(self, self._run_dir)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        self._run.log({self._names.of(name): value for name, value in values.items()}, step=step)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        self.log(step, flat_evaluation(record))

    def sync(self) -> None:
        """Nothing to do: `start` writes again what trackio loses of this run if it is killed."""

    def close(self, status: str) -> None:
        """Store the remaining metrics. trackio has no field for the status."""
        if self._run is not None:
            from trackio import context_vars

            with _silenced():
                self._run.finish()
                if context_vars.current_run.get() is self._run:
                    context_vars.current_run.set(None)  # or trackio finishes it again at exit, and prints that
            self._run = None

    def _forget(self, name: str) -> None:
        """Delete the run from the store, if it is there."""
        import trackio

        with contextlib.suppress(ValueError):  # there is no such project yet
            for run in trackio.Api().runs(self._options.project):
                if run.name == name:
                    run.delete()


def _silenced() -> contextlib.AbstractContextManager[object]:
    """trackio prints what it does on stdout, where DAF prints its result."""
    return contextlib.redirect_stdout(io.StringIO())
