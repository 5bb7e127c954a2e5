"""Attempts: the jobs of runs, from their launch to the commit of their outcome.

A launch is committed before it happens, a result after, so that a crash at any point neither loses nor repeats a run: a
job is launched under a name that was committed, at most once per name, and a later controller finds it by that name. A
job that ended is committed together with its result in one event.
"""

import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path

from daf.core.adaptive import _parents as parents
from daf.core.adaptive.commands import Commands, Ended
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.record import Record
from daf.core.adaptive.state import Run
from daf.core.jobs.interface import JobError, JobRunner, JobSpec
from daf.core.jobs.retry import RetryRule
from daf.errors import UsageError

logger = logging.getLogger(__name__)
INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes of a command that was interrupted and can be resumed."""


class Attempts:
    """The jobs of one experiment's runs. changed: called after each commit."""

    def __init__(
        self,
        record: Record,
        config: DAFAdaptiveConfig,
        runner: JobRunner,
        commands: Commands,
        changed: Callable[[], None],
    ) -> None:
        self._record = record
        self._config = config
        self._retries = RetryRule(
            config.max_retries if config.retry_on_failure else 0, config.retry_delay, config.max_retry_delay
        )
        self._runner = runner
        self._commands = commands
        self._changed = changed
        self._jobs: dict[str, JobSpec] = {}

    def launch(self, run: Run) -> None:
        """Start the next phase of a run."""
        try:
            argv, heartbeat_files = self._command(run)
        except UsageError as error:  # the settings were changed and are now invalid
            self._refuse(run, str(error))
            return
        started_at = self._started_at(run)
        if run.status == "pending" and started_at >= run.target:
            self._refuse(
                run,
                f"it has {started_at:,} agent steps already and its target is {run.target:,}: nothing to train. "
                "An update takes more than the scheduler's steps: set more steps (halving.min_timesteps, "
                "population.interval), or smaller updates (n_steps, num_envs)",
            )
            return
        name = f"{run.name}-{run.phase}-{run.target}-{run.launches + 1}"
        job = JobSpec(name, argv, self._record.folder / "jobs" / name, heartbeat_files)
        self._jobs[run.name] = job
        launched = self._record.add("launching", run=run.name, job=name, phase=run.phase, target=run.target)
        try:
            self._runner.launch(job)
        except JobError as error:
            self.broke(launched.runs[run.name], str(error), counts=True)
        self._changed()

    def job_of(self, run: Run) -> JobSpec:
        """The current job of a run, even if an earlier controller launched it."""
        job = self._jobs.get(run.name)
        if job is None or job.name != run.job:
            argv, heartbeat_files = self._command(run)
            job = JobSpec(str(run.job), argv, self._record.folder / "jobs" / str(run.job), heartbeat_files)
            self._jobs[run.name] = job
        return job

    def monitor(self, run: Run) -> None:
        """Commit the state of a run's job; end the job if it has no heartbeat."""
        job = self.job_of(run)
        status = self._runner.status(job)
        if status.state == "ended":
            self.settle(run, job, status.exit_code or 0)
        elif status.state in ("gone", "absent"):
            self._runner.kill(job)  # processes of it may be left
            self.broke(run, "its process was killed", counts=True)
        elif (status.seconds_since_heartbeat or 0.0) > self._config.heartbeat_timeout:
            self._runner.kill(job)
            why = f"no heartbeat for {self._config.heartbeat_timeout:g} s (heartbeat_timeout)"
            self.broke(run, why, counts=True, stale=True)

    def take_over(self, run: Run) -> None:
        """Take over a run from an earlier controller: adopt a running job, abandon an unstarted one, end the rest.

        The run is not at fault for what happened without a controller; that does not count as a failed attempt.
        """
        job = self.job_of(run)
        status = self._runner.status(job)
        if status.state == "absent" and not self._runner.forget(job):
            status = self._runner.status(job)
        if status.state == "absent":
            self.broke(run, "it was never started: the controller died before", counts=False)
        elif status.state == "gone":
            self._runner.kill(job)
            self.broke(run, "it was killed while no controller was running", counts=False)
        elif status.state == "ended" and status.exit_code in INTERRUPTED:
            self.broke(run, "it was interrupted when its controller ended", counts=False)
        elif status.state == "ended":
            self.settle(run, job, status.exit_code or 0)
        else:
            self._record.add("noted", run=run.name, job=job.name, what=f"adopted: it runs on as process {status.pid}")

    def settle(self, run: Run, job: JobSpec, exit_code: int) -> None:
        """Commit how a job ended."""
        training = run.status == "training"
        ended: Ended = (self._commands.trained if training else self._commands.evaluated)(run, job, exit_code)
        if ended.values is None:
            self.broke(run, ended.error or "it failed", counts=True, retry=ended.retry)
            return
        experiment = self._record.add(
            "trained" if training else "evaluated", run=run.name, job=job.name, **ended.values
        )
        if training:
            parents.delete_parent(self._record.folder, experiment, run)
        else:
            parents.delete_scored(self._record.folder, run)
        self._changed()

    def broke(self, run: Run, error: str, *, counts: bool, stale: bool = False, retry: bool = True) -> None:
        """Commit that an attempt failed, and whether and when there will be another.

        counts: whether it counts towards `max_retries`. retry: whether another may succeed.
        """
        delay = (self._retries.seconds_until_retry(run.failures) if counts else 0.0) if retry else None
        self._record.add(
            "broke",
            run=run.name,
            job=run.job,
            error=error,
            counts=int(counts),
            next="stale" if stale else "failed" if delay is None else "retry",
            retry_at=None if delay is None else time.time() + delay,
        )
        logger.warning("%s: %s; %s", run.job, error, "no attempt is left" if delay is None else f"retry in {delay:g} s")
        self._changed()

    def _refuse(self, run: Run, error: str) -> None:
        """Commit that a run failed permanently before it was launched."""
        self._record.add("broke", run=run.name, error=error, counts=1, next="failed", retry_at=None, job=None)
        self._changed()

    def _started_at(self, run: Run) -> int:
        """The agent steps from which training continues."""
        if run.steps or run.parent is None:
            return run.steps
        parent, target = run.parent
        scores = self._record.experiment.runs[parent].scores
        return next((score.trained for score in scores if score.steps == target), target)

    def _command(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        self._commands.check(run)
        if run.phase == "evaluate":
            return self._commands.evaluate(run)
        branch = self._config.initial_checkpoint
        if run.parent is not None:
            branch = parents.place(self._record.folder, run.parent)
        return self._commands.train(run, branch if run.steps == 0 else None)
