"""The loop of an experiment: plan what is wanted, launch what is due, look after what runs, commit what came of it.

Whatever is done is committed to the journal before (launching) or after (results) in such an order that a crash at any
point loses no run and repeats none: a job is launched under a name that was committed, at most once per name, and a
controller that comes later finds it by that name. A job that ended is committed with its result in one event.
"""

import contextlib
import logging
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from daf.core.adaptive.commands import Commands, Ended
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.dispatch import Dispatcher, Job, Look
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.hooks import Hooks
from daf.core.adaptive.record import STOP, Record
from daf.core.adaptive.schedulers import Scheduler
from daf.core.adaptive.state import Experiment, Run
from daf.errors import UsageError

logger = logging.getLogger(__name__)
INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes of a command that was asked to end and can go on."""
_CLAIM_SECONDS = 10.0
"""How long a stopped controller waits for a job that it has just launched to be there, to be asked to end."""


class Running:
    """One controller's time with an experiment.

    on_change: called after each step that changed something.
    """

    def __init__(
        self,
        record: Record,
        config: DAFAdaptiveConfig,
        scheduler: Scheduler,
        dispatcher: Dispatcher,
        commands: Commands,
        hooks: Hooks,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> None:
        self._record = record
        self._config = config
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._commands = commands
        self._hooks = hooks
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}
        self._asked: str | None = None

    def ask_to_stop(self, reason: str) -> None:
        """Stop at the next step; from a hook, a signal handler or another thread."""
        self._asked = reason

    def run(self) -> Experiment:
        """Go on until everything that is wanted has ended, or a stop is asked for. KeyboardInterrupt comes through."""
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
            self._dispatcher.wait([self._jobs[run.name] for run in self._runs() if run.active], self._pause())
            self._look()

    def stop(self, reason: str) -> Experiment:
        """End all jobs, giving them time to save; what they have not finished goes on another time."""
        active = [run for run in self._runs() if run.active]
        jobs = [self._job_of(run) for run in active]
        claimed_by = time.monotonic() + _CLAIM_SECONDS
        while any(self._beginning(job) for job in jobs) and time.monotonic() < claimed_by:
            self._dispatcher.wait(jobs, 0.05)
        for job in jobs:
            self._dispatcher.interrupt(job)
        patience = time.monotonic() + self._config.stop_grace
        while left := [job for job in jobs if self._dispatcher.look(job).state == "running"]:
            if time.monotonic() > patience:
                break
            self._dispatcher.wait(left, max(0.0, patience - time.monotonic()))
        for run, job in zip(active, jobs, strict=True):
            look = self._dispatcher.look(job)
            if look.state != "ended":
                self._dispatcher.kill(job)
            if look.state == "ended" and look.exit_code == 0:
                self._settle(run, job, 0)
            else:
                self._broke(run, "the experiment was stopped", counts=False)
        experiment = self._record.add("stopped", reason=reason)
        (self._record.folder / STOP).unlink(missing_ok=True)
        self._changed()
        return experiment

    def abandon(self) -> None:
        """Ask all jobs to save and end, where the controller itself cannot go on; nothing is committed."""
        for run in self._runs():
            if run.active:
                with contextlib.suppress(AdaptiveControllerError):  # the error that ends the controller is told
                    self._dispatcher.interrupt(self._job_of(run))

    def take_over_and_stop(self, reason: str) -> Experiment:
        """End what a controller that died left running."""
        self._recover()
        return self.stop(reason)

    def _beginning(self, job: Job) -> bool:
        look = self._dispatcher.look(job)
        return look.state == "running" and look.pid is None

    def _recover(self) -> None:
        """Take over what an earlier controller left: adopt what runs, settle what ended, give up what never began."""
        (self._record.folder / STOP).unlink(missing_ok=True)
        for run in self._runs():
            if not run.active:
                continue
            job = self._job_of(run)
            look = self._dispatcher.look(job)
            if look.state == "absent" and not self._dispatcher.forget(job):
                look = self._dispatcher.look(job)
            if look.state == "absent":
                self._broke(run, "it was never started: the controller died before", counts=False)
            elif look.state == "gone":
                self._dispatcher.kill(job)  # what may be left of it
                self._broke(run, "it was killed while no controller was there", counts=False)
            elif look.state == "ended" and look.exit_code in INTERRUPTED:
                self._broke(run, "it was interrupted when its controller ended", counts=False)
            elif look.state == "running":
                self._record.add("noted", run=run.name, job=job.name, what=f"adopted: it runs on as process {look.pid}")
        for milestone, state in self._record.experiment.hooks.items():
            if state == "begun" and not self._hooks.repeatable:
                self._record.add("hook", id=milestone, state="unfinished")
        self._look()

    def _plan(self) -> None:
        """Commit what the scheduler wants beyond what is there."""
        experiment = self._record.experiment
        for wanted in self._scheduler.wanted(experiment.known()):
            there = experiment.runs.get(wanted.run)
            if there is None:
                if wanted.parent is not None:
                    self._keep_parent(*wanted.parent)
                self._record.add(
                    "planned", run=wanted.run, settings=dict(wanted.settings), target=wanted.target, why=wanted.why,
                    parent=wanted.parent,
                )  # fmt: skip
                self._changed()
            elif there.target < wanted.target and there.status == "done":
                self._record.add("extended", run=wanted.run, target=wanted.target, why=wanted.why)
                self._changed()

    def _launch_due(self) -> None:
        """Start the next jobs, as many as may run side by side: what is begun before what is new, by name."""
        free = self._config.max_concurrent_jobs - sum(run.active for run in self._runs())
        now = time.time()
        due = [run for run in self._runs() if not run.over and not run.active and (run.retry_at or 0.0) <= now]
        for run in sorted(due, key=lambda run: (run.phase == "train", run.name))[: max(0, free)]:
            self._launch(run)

    def _launch(self, run: Run) -> None:
        try:
            argv, signs = self._command(run)
        except UsageError as error:
            self._record.add("broke", run=run.name, error=str(error), counts=1, next="failed", retry_at=None, job=None)
            self._changed()
            return
        name = f"{run.name}-{run.phase}-{run.target}-{run.launches + 1}"
        job = Job(name, argv, self._record.folder / "jobs" / name, signs)
        self._jobs[run.name] = job
        self._record.add("launching", run=run.name, job=name, phase=run.phase, target=run.target)
        try:
            self._dispatcher.launch(job)
        except AdaptiveControllerError as error:
            self._broke(self._record.experiment.runs[run.name], str(error), counts=True)
        self._changed()

    def _command(self, run: Run) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        self._commands.check(run)
        if run.phase == "evaluate":
            return self._commands.evaluate(run)
        branch = self._config.initial_checkpoint
        if run.parent is not None:
            branch = self._parent_folder(*run.parent)
        return self._commands.train(run, branch if run.steps == 0 else None)

    def _look(self) -> None:
        """Commit what became of the jobs; end those that show no sign of life."""
        for run in [run for run in self._runs() if run.active]:
            job = self._job_of(run)
            look = self._dispatcher.look(job)
            if look.state == "ended":
                self._settle(run, job, look.exit_code or 0)
            elif look.state in ("gone", "absent"):
                self._dispatcher.kill(job)
                self._broke(run, "its process was killed", counts=True)
            elif self._silent(look):
                self._dispatcher.kill(job)
                self._broke(
                    run, f"no sign of life for {self._config.heartbeat_timeout:g} s (heartbeat_timeout)", counts=True,
                    stale=True,
                )  # fmt: skip

    def _silent(self, look: Look) -> bool:
        return look.last_sign is not None and time.time() - look.last_sign > self._config.heartbeat_timeout

    def _settle(self, run: Run, job: Job, exit_code: int) -> bool:
        """Commit how a job ended; True where it brought its result."""
        training = run.status == "training"
        ended: Ended = (self._commands.trained if training else self._commands.evaluated)(run, job, exit_code)
        if ended.values is None:
            self._broke(run, ended.error or "it failed", counts=True, again=ended.again)
            return False
        self._record.add("trained" if training else "evaluated", run=run.name, job=job.name, **ended.values)
        if training and run.parent is not None and not self._still_needed(run):
            shutil.rmtree(self._parent_folder(*run.parent), ignore_errors=True)
        self._changed()
        return True

    def _broke(self, run: Run, error: str, *, counts: bool, stale: bool = False, again: bool = True) -> None:
        """Commit that an attempt failed, and whether and when there will be another."""
        allowed = self._config.max_retries if self._config.retry_on_failure else 0
        more = again and (not counts or run.failures < allowed)
        delay = 0.0
        if counts and more:
            delay = min(self._config.max_retry_delay, self._config.retry_delay * 2.0**run.failures)
        following = "stale" if stale else "retry" if more else "failed"
        self._record.add(
            "broke", run=run.name, job=run.job, error=error, counts=int(counts), next=following,
            retry_at=time.time() + delay if more else None,
        )  # fmt: skip
        logger.warning("%s: %s%s", run.job, error, f"; again in {delay:g} s" if more else "; no attempt is left")
        self._changed()

    def _finish(self) -> None:
        runs = list(self._runs())
        failed = [run for run in runs if run.status != "done"]
        status = "failed" if len(failed) == len(runs) else "done"
        names = ", ".join(run.name for run in failed)
        reason = f"{len(failed)} of {len(runs)} runs failed: {names}" if failed else None
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

    def _keep_parent(self, name: str, steps: int) -> None:
        """A copy of a run's checkpoint, before the run goes on and writes others in its place."""
        target = self._parent_folder(name, steps)
        source = self._record.experiment.runs[name].checkpoint
        if target.exists() or source is None:
            return
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            shutil.copytree(self._record.folder / source, part)
            part.rename(target)
        except OSError as error:
            raise AdaptiveControllerError(f"cannot copy the checkpoint {source}: {error}") from error

    def _parent_folder(self, name: str, steps: int) -> Path:
        return self._record.folder / "parents" / f"{name}-{steps}"

    def _still_needed(self, run: Run) -> bool:
        return any(
            other.parent == run.parent and other.steps == 0 and not other.over
            for other in self._runs()
            if other.name != run.name
        )

    def _job_of(self, run: Run) -> Job:
        """The present job of a run, also one that an earlier controller launched."""
        job = self._jobs.get(run.name)
        if job is None or job.name != run.job:
            argv, signs = self._command(run)
            job = Job(str(run.job), argv, self._record.folder / "jobs" / str(run.job), signs)
            self._jobs[run.name] = job
        return job

    def _pause(self) -> float:
        """Until the next look: sooner where a retry comes due."""
        due = [run.retry_at - time.time() for run in self._runs() if run.retry_at is not None]
        return max(0.01, min([self._config.heartbeat_interval, *due]))

    def _runs(self) -> list[Run]:
        return list(self._record.experiment.runs.values())

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self._record.experiment)
