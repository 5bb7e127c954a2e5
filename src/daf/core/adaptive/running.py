"""The loop of an experiment: plan the wanted runs, launch the jobs that are due, monitor them, call hooks."""

import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial

from daf.core.adaptive import _parents as parents
from daf.core.adaptive._attempts import Attempts
from daf.core.adaptive._stopping import Waker
from daf.core.adaptive.commands import Commands
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.hooks import Hooks
from daf.core.adaptive.record import STOP, Record
from daf.core.adaptive.schedulers import Scheduler
from daf.core.adaptive.state import Experiment, Run
from daf.core.jobs import interface as jobs
from daf.core.jobs.interface import JobError, JobRunner, JobSpec

logger = logging.getLogger(__name__)


class Running:
    """One controller's work on an experiment. on_change: called after each commit."""

    def __init__(
        self,
        record: Record,
        config: DAFAdaptiveConfig,
        scheduler: Scheduler,
        runner: JobRunner,
        commands: Commands,
        hooks: Hooks,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> None:
        self._record = record
        self._config = config
        self._scheduler = scheduler
        self._runner = runner
        self._hooks = hooks
        self._on_change = on_change
        self._attempts = Attempts(record, config, runner, commands, self._changed)
        self._asked: str | None = None
        self._waker = Waker()

    @property
    def signalled(self) -> bool:
        """Whether Ctrl-C or SIGTERM was received."""
        return self._waker.signalled is not None

    def ask_to_stop(self, reason: str) -> None:
        """Stop at the next step; can be called from a hook, a signal handler or another thread."""
        self._asked = reason

    def run(self) -> Experiment:
        """Run until every wanted run has ended, or a stop is requested. A second Ctrl-C raises `KeyboardInterrupt`."""
        with self._waker.signals(self.ask_to_stop):
            self._recover()
            if self._record.experiment.status in ("done", "failed"):
                self._call_hooks()
                return self._record.experiment
            while True:
                self._plan()
                self._call_hooks()
                reason = self._asked or self._record.stop_reason()
                if reason is not None:
                    return self.stop(reason)
                if all(run.over for run in self._runs()):
                    self._finish()
                    self._call_hooks()
                    return self._record.experiment
                self._launch_due()
                self._waker.wait(partial(self._runner.wait, self._active_jobs(), self._pause()))
                for run in self._runs():
                    if run.active:
                        self._attempts.monitor(run)

    def stop(self, reason: str) -> Experiment:
        """End all jobs, giving them time to save; unfinished work continues when the experiment is resumed."""
        jobs.stop(self._runner, self._active_jobs(), grace=self._config.stop_grace)
        for run in [run for run in self._runs() if run.active]:
            job = self._attempts.job_of(run)
            if self._runner.status(job).exit_code == 0:
                self._attempts.settle(run, job, 0)
            else:
                self._attempts.broke(run, "the experiment was stopped", counts=False)
        experiment = self._record.add("stopped", reason=reason)
        (self._record.folder / STOP).unlink(missing_ok=True)
        self._changed()
        return experiment

    def abandon(self) -> None:
        """Ask all jobs to save and end after an error in the controller; commits nothing."""
        for job in self._active_jobs():
            with contextlib.suppress(JobError):  # the original error is the one to report
                self._runner.interrupt(job)

    def take_over_and_stop(self, reason: str) -> Experiment:
        """End the jobs that a controller left running when it died."""
        self._recover()
        return self.stop(reason)

    def _recover(self) -> None:
        """Continue from the state of an earlier controller, however it ended."""
        for run in self._runs():
            if run.active:
                self._attempts.take_over(run)
        for milestone, state in self._record.experiment.hooks.items():
            if state == "begun" and not self._hooks.repeatable:
                self._record.add("hook", id=milestone, state="unfinished")

    def _plan(self) -> None:
        """Commit the runs and targets that the scheduler wants and the journal lacks."""
        experiment = self._record.experiment
        for wanted in self._scheduler.wanted(experiment.known()):
            planned = experiment.runs.get(wanted.run)
            if planned is None:
                if wanted.parent is not None:
                    parents.keep(self._record.folder, experiment, wanted.parent)
                self._record.add(
                    "planned",
                    run=wanted.run,
                    settings=dict(wanted.settings),
                    target=wanted.target,
                    why=wanted.why,
                    parent=wanted.parent,
                )
                self._changed()
            elif planned.target < wanted.target and planned.status == "done":
                parents.keep_scored(self._record.folder, planned)
                self._record.add("extended", run=wanted.run, target=wanted.target, why=wanted.why)
                self._changed()

    def _launch_due(self) -> None:
        """Start the next jobs, up to the limit on concurrent jobs: evaluations before training, then by name."""
        free = self._config.max_concurrent_jobs - sum(run.active for run in self._runs())
        now = time.time()
        due = [run for run in self._runs() if not run.over and not run.active and (run.retry_at or 0.0) <= now]
        for run in sorted(due, key=lambda run: (run.phase == "train", run.name))[: max(0, free)]:
            self._attempts.launch(run)

    def _finish(self) -> None:
        runs = self._runs()
        failed = [run.name for run in runs if run.status != "done"]
        status = "failed" if len(failed) == len(runs) else "done"
        reason = f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}" if failed else None
        self._record.add("finished", status=status, reason=reason)
        self._changed()

    def _call_hooks(self) -> None:
        for milestone, hook in self._hooks.due(self._record.experiment):
            self._record.add("hook", id=milestone.id, state="begun")
            try:
                hook(milestone)
            except Exception as error:
                logger.exception("the hook for %s failed", milestone.id)
                self._record.add("hook", id=milestone.id, state="failed", error=f"{type(error).__name__}: {error}")
            else:
                self._record.add("hook", id=milestone.id, state="done")

    def _active_jobs(self) -> list[JobSpec]:
        return [self._attempts.job_of(run) for run in self._runs() if run.active]

    def _pause(self) -> float:
        """Seconds until the next check; fewer if a retry is due earlier."""
        left = [run.retry_at - time.time() for run in self._runs() if run.retry_at is not None]
        return min([self._config.heartbeat_interval, *(max(seconds, 0.01) for seconds in left if seconds > 0)])

    def _runs(self) -> list[Run]:
        return list(self._record.experiment.runs.values())

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self._record.experiment)
