"""The status of an experiment for other processes: found by its id, read from its journal."""

import logging
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daf.core.adaptive import record
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.state import Experiment, Run
from daf.core.jobs.interface import JobError, JobSpec
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.training import progress_files
from daf.errors import DataError, UsageError, nearest
from daf.output_manager import RunInfo, list_runs
from daf.storage import journal

logger = logging.getLogger(__name__)
TITLE = "Experiment {experiment_id} ({scheduler})"
"""The title of an experiment's run in the execution log."""
TITLED = re.compile(r"^Experiment (\S+) \(\w+\)$")


@dataclass(frozen=True)
class ExperimentStatus:
    """A committed experiment. controlled: whether a controller of this machine holds it now.

    started: False before its first event; run_id is then its experiment_id, and run_dir the output directory.
    """

    run_id: str
    run_dir: Path
    experiment: Experiment
    controlled: bool
    started: bool = True

    @property
    def status(self) -> str:
        """One of: done, failed, stopped, running, interrupted (unfinished without a controller), not started."""
        if not self.started:
            return "not started"
        if self.experiment.status == "running" and not self.controlled:
            return "interrupted"
        return self.experiment.status

    @property
    def counts(self) -> dict[str, int]:
        """Runs by state."""
        return dict(Counter(run.status for run in self.experiment.runs.values()))

    def to_data(self) -> dict[str, Any]:
        """What `--json` prints, as JSON data."""
        experiment, best = self.experiment, self.experiment.best
        return {
            "run_id": self.run_id if self.started else None,
            "run_dir": str(self.run_dir) if self.started else None,
            "status": self.status,
            "experiment_id": experiment.experiment_id,
            "reason": experiment.reason,
            "scheduler": experiment.config.get("scheduler"),
            "counts": self.counts,
            "best": None if best is None else best.name,
            "runs": [self._run(run) for run in experiment.runs.values()],
            "ranking": [run.name for run in experiment.ranked()],
            "hooks": dict(experiment.hooks),
            "adjustments": [dict(adjustment) for adjustment in experiment.adjustments],
            "sessions": experiment.sessions,
        }

    def _run(self, run: Run) -> dict[str, Any]:
        data = asdict(run) | {"run_dir": str(record.run_dir(self.run_dir, run.name)), "pid": None, "job_state": None}
        data["seconds_since_sign"] = None
        if run.active:
            watched = progress_files(record.run_dir(self.run_dir, run.name))
            try:
                job = LocalJobs().status(JobSpec(str(run.job), (), self.run_dir / "jobs" / str(run.job), watched))
            except JobError:  # the job is on another machine
                return data | {"job_state": "elsewhere"}
            data |= {"pid": job.pid, "job_state": job.state, "seconds_since_sign": job.seconds_since_heartbeat}
        return data


def find(name: str, base_dir: Path | None = None) -> RunInfo | None:
    """The newest run directory of the experiment `name` (its id, its run id, or "latest"); None if there is none."""
    known = experiments(base_dir)
    if name == "latest":
        return known[0][1] if known else None
    return next((run for experiment_id, run in known if name in (experiment_id, run.run_id)), None)


def status_of(name: str, base_dir: Path | None = None) -> ExperimentStatus:
    """The experiment `name`. Raises `UsageError`, which lists the existing ones, if there is none."""
    found = find(name, base_dir)
    experiment = None if found is None else record.read(found.path)
    if found is None or experiment is None:
        names = [experiment_id for experiment_id, _ in experiments(base_dir)]
        near = nearest(name, names) or names[:5]
        hint = f"Nearest: {', '.join(near)}." if near else "`daf adaptive run CONFIG.yaml` starts one."
        raise UsageError(f'no experiment "{name}". {hint}')
    return ExperimentStatus(found.run_id, found.path, experiment, record.controlled(found.path))


def not_started(config: DAFAdaptiveConfig, base_dir: Path) -> ExperimentStatus:
    """The status of an experiment before its first event."""
    experiment = Experiment(config.experiment_id, config.to_data(), time.time())
    return ExperimentStatus(config.experiment_id, base_dir, experiment, controlled=False, started=False)


def experiments(base_dir: Path | None = None) -> list[tuple[str, RunInfo]]:
    """All experiments of the output directory by their ids, newest first.

    One whose journal starts with a damaged line appears under its run's title: opening it raises the error.
    """
    found = []
    for run in list_runs(base_dir, "training"):
        try:
            first = next(iter(journal.read(run.path / record.JOURNAL)), None)
        except DataError as error:  # a damaged experiment must not hide the others
            logger.warning("%s", error)
            found.append((TITLED.sub(r"\1", run.title), run))
            continue
        if first is not None:
            found.append((str(first.get("experiment_id")), run))
    return found
