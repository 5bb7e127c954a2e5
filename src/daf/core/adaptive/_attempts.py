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
from daf.core.adaptive.dispatch import Dispatcher, Job, Look
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.record import Record
from daf.core.adaptive.state import Run
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
        dispatcher: Dispatcher,
        commands: Commands,
        changed: Callable[[], None],
    ) -> None:
        self._record = record
        self._config = config
        self._dispatcher = dispatcher
        self._commands = commands
        self._changed = changed
        self._jobs: dict[str, Job] = {}

    def launch(self, run: Run) -> None:
        """Start the next phase of a run."""
        try:
            argv, signs = self._command(run)
        except UsageError as error:  # the settings were changed and are now invalid
            self._refuse(run, str(error))
            return
        begun = self._begun(run)
        if run.status == "pending" and begun >= run.target:
            self._refuse(
                run,
                f"it has {begun:,} agent steps already, and was to train to {run.target:,}: nothing would be trained. "
                "Updates take more than the scheduler's steps: give larger ones (halving.min_timesteps, "
                "population.interval), or smaller updates (n_steps, num_envs)",
            )
            return
        name = f"{run.name}-{run.phase}-{run.target}-{run.launches + 1}"
        job = Job(name, argv, self._record.folder / "jobs" / name, signs)
        self._jobs[run.name] = job
        launched = self._record.add("launching", run=run.name, job=name, phase=run.phase, target=run.target)
        try:
            self._dispatcher.launch(job)
        except AdaptiveControllerError as error:
            self.broke(launched.runs[run.name], str(error), counts=True)
        self._changed()

    def job_of(self, run: Run) -> Job:
        """The current job of a run, even if an earlier controller launched it."""
        job = self._jobs.get(run.name)
        if job is None or job.name != run.job:
            argv, signs = self._command(run)
            job = Job(str(run.job), argv, self._record.folder / "jobs" / str(run.job), signs)
            self._jobs[run.name] = job
        return job

    def look_after(self, run: Run) -> None:
        """Commit the state of a run's job; end the job if it shows no sign of life."""
        job = self.job_of(run)
        look = self._dispatcher.look(job)
        if look.state == "ended":
            self.settle(run, job, look.exit_code or 0)
        elif look.state in ("gone", "absent"):
            self._dispatcher.kill(job)  # processes of it may be left
            self.broke(run, "its process was killed", counts=True)
        elif self._silent(look):
            self._dispatcher.kill(job)
            why = f"no sign of life for {self._config.heartbeat_timeout:g} s (heartbeat_timeout)"
            self.broke(run, why, counts=True, stale=True)

    def take_over(self, run: Run) -> None:
        """Take over a run from an earlier controller: adopt a running job, abandon an unstarted one, end the rest.

        The run is not at fault for what happened without a controller; that does not count as a failed attempt.
        """
        job = self.job_of(run)
        look = self._dispatcher.look(job)
        if look.state == "absent" and not self._dispatcher.forget(job):
            look = self._dispatcher.look(job)
        if look.state == "absent":
            self.broke(run, "it was never started: the controller died before", counts=False)
        elif look.state == "gone":
            self._dispatcher.kill(job)
            self.broke(run, "it was killed while no controller was there", counts=False)
        elif look.state == "ended" and look.exit_code in INTERRUPTED:
            self.broke(run, "it was interrupted when its controller ended", counts=False)
        elif look.state == "ended":
            self.settle(run, job, look.exit_code or 0)
        else:
            self._record.add("noted", run=run.name, job=job.name, what=f"adopted: it runs on as process {look.pid}")

    def settle(self, run: Run, job: Job, exit_code: int) -> None:
        """Commit how a job ended."""
        training = run.status == "training"
        ended: Ended = (self._commands.trained if training else self._commands.evaluated)(run, job, exit_code)
        if ended.values is None:
            self.broke(run, ended.error or "it failed", counts=True, again=ended.again)
            return
        experiment = self._record.add(
            "trained" if training else "evaluated", run=run.name, job=job.name, **ended.values
        )
        if training:
            parents.let_go(self._record.folder, experiment, run)
        else:
            parents.let_go_scored(self._record.folder, run)
        self._changed()

    def broke(self, run: Run, error: str, *, counts: bool, stale: bool = False, again: bool = True) -> None:
        """Commit that an attempt failed, and whether and when there will be another.

        counts: whether it counts towards `max_retries`. again: whether another may succeed.
        """
        allowed = self._config.max_retries if self._config.retry_on_failure else 0
        more = again and (not counts or run.failures < allowed)
        delay = 0.0
        if counts and more:
            delay = min(self._config.max_retry_delay, self._config.retry_delay * 2.0**run.failures)
        self._record.add(
            "broke",
            run=run.name,
            job=run.job,
            error=error,
            counts=int(counts),
            next="stale" if stale else "retry" if more else "failed",
            retry_at=time.time() + delay if more else None,
        )
        logger.warning("%s: %s%s", run.job, error, f"; again in {delay:g} s" if more else "; no attempt is left")
        self._changed()

    def _refuse(self, run: Run, error: str) -> None:
        """Commit that a run failed permanently before it was launched."""
        self._record.add("broke", run=run.name, error=error, counts=1, next="failed", retry_at=None, job=None)
        self._changed()

    def _begun(self, run: Run) -> int:
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

    def _silent(self, look: Look) -> bool:
        return look.last_sign is not None and time.time() - look.last_sign > self._config.heartbeat_timeout
