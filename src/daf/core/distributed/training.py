"""Training in several ranks, from the process that was asked for it.

This process keeps the run directory locked, shows the run and calls callbacks; rank 0, a child of it, trains and
writes. When a rank is lost, all start again from the last checkpoint. The first Ctrl-C lets the ranks save and end, the
second ends them.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousTimeoutError

from daf.config.training import DAFTrainingConfig
from daf.core import checkpoints, training_file
from daf.core.distributed import _rendezvous
from daf.core.distributed._agent import Agent, reason
from daf.core.distributed._links import Decision, Ended, Evaluated, Links, Logged, Said, Start, Updated, answer
from daf.core.distributed.job import Job, fetch, publish
from daf.core.distributed.launch import Launch, endpoint
from daf.core.learning_verdict import read_learning_verdict
from daf.core.training_loop import OnEvaluation, OnUpdate
from daf.core.training_progress import TrainingProgress
from daf.core.training_result import StopTraining, TrainingResult
from daf.core.training_run import TrainingRun
from daf.errors import TrainingError
from daf.logging_config.setup import ROOT
from daf.stats.sentences import counted
from daf.storage import atomic

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from rich.console import Console
    from torch._C._distributed_c10d import TCPStore

_WAIT_SECONDS = 1.0
_KILL_SECONDS = 30.0


def train_in_ranks(
    run: TrainingRun,
    launch: Launch,
    *,
    gpu_allowed: bool,
    stop_at: int | None = None,
    on_update: OnUpdate | None = None,
    on_evaluation: OnEvaluation | None = None,
    curriculum_followed: bool = False,
) -> TrainingResult:
    """Train an opened run in ranks, as `training_loop.train` does in this process. This is machine 0 of the run.

    curriculum_followed: the run's curriculum is updated here too, and the ranks follow what callbacks change in it.
    Raises what `train` raises, and `UsageError` if the rendezvous can't be hosted here.
    """
    (run.run_dir / training_file.FILE).unlink(missing_ok=True)  # it is out of date now
    job = job_of(run, gpu_allowed=gpu_allowed, stop_at=stop_at, curriculum_followed=curriculum_followed)
    store, host, port = _rendezvous.host(launch)
    publish(store, job)
    address = _rendezvous.LOOPBACK if launch.most == 1 else _rendezvous.address_towards(host, port)
    progress = run.progress
    assert isinstance(progress, TrainingProgress)
    machine = _Machine(job, launch, store, (host, port), address, run.config.workers_per_node, progress)
    machine.on_update, machine.on_evaluation = on_update, on_evaluation
    with progress:
        try:
            return machine.run()
        except TrainingError as error:
            return _recorded(run, "interrupted" if machine.interrupts else "failed", error)


def job_of(run: TrainingRun, *, gpu_allowed: bool, stop_at: int | None, curriculum_followed: bool = False) -> Job:
    """What the ranks of an opened run need."""
    return Job(
        config=run.config,
        policy=run.policy,
        missions=run.missions,
        curriculum=run.curriculum,
        run_dir=run.run_dir,
        run_id=run.run_id,
        checkpoint_dir=run.checkpoint_dir,
        cache_dir=run.cache_dir,
        runs=run.runs,
        branch_from=run.branch_from,
        stop_at=stop_at,
        gpu_allowed=gpu_allowed,
        gpu_memory_fraction=run.gpu_memory_fraction,
        curriculum_followed=curriculum_followed,
    )


def join_training(launch: Launch, own: DAFTrainingConfig, *, console: Console | None) -> TrainingResult:
    """Take part in the run of machine 0, with as many ranks as there unless `own` sets `workers_per_node`.

    own: its other explicit settings must agree with machine 0's. Returns the run's result. Raises `UsageError`,
    `TrainingError`.
    """
    assert launch.rendezvous is not None
    host, port = endpoint(launch.rendezvous)
    store = _rendezvous.connect(host, port, launch.join_timeout)
    given = own.model_dump(mode="json", include=own.model_fields_set)
    job = fetch(store, given)
    address = _rendezvous.address_towards(host, port)
    progress = TrainingProgress(console, title=job.policy.name, total_timesteps=job.config.total_timesteps)
    ranks = given.get("workers_per_node", job.config.workers_per_node)
    with progress:
        return _Machine(job, launch, store, (host, port), address, ranks, progress).run()


class _Machine:
    """The ranks of this machine, from the first start to the end."""

    def __init__(
        self,
        job: Job,
        launch: Launch,
        store: TCPStore,
        rendezvous: tuple[str, int],
        address: str,
        ranks: int,
        progress: TrainingProgress,
    ) -> None:
        self._job, self._launch, self._progress = job, launch, progress
        self._rendezvous, self._address, self._ranks = rendezvous, address, ranks
        self._store = store  # the store ends with this object
        self.on_update: OnUpdate | None = None
        self.on_evaluation: OnEvaluation | None = None
        self._ended: Ended | None = None
        self._leader: Connection | None = None
        self.interrupts = 0

    def run(self) -> TrainingResult:
        """Start the ranks and wait for their end. Raises `TrainingError`, or what ended rank 0."""
        with contextlib.ExitStack() as stack:
            logs = stack.enter_context(tempfile.TemporaryDirectory(prefix="daf-ranks-"))
            self._links = Links(self._start)
            stack.callback(self._links.close)
            self._agent = Agent(
                _rendezvous.handler(self._store, self._launch, self._address),
                self._ranks,
                self._launch.max_restarts,
                (str(self._links.path),),
                logs=logs,
                address=self._address,
                on_restart=self._restarting,
                on_end=self._links.wake,
            )
            stack.callback(self._finish)
            stack.enter_context(self._on_signals())
            self._agent.start()
            while self._agent.running:
                self._receive()
            self._receive(0.0)
        return self._result()

    def _start(self) -> Start:
        return Start(
            self._job,
            self._rendezvous,
            self._agent.group,
            self._launch.node_rank,
            self._address,
            stopping=self.interrupts > 0,
            log_level=logging.getLogger(ROOT).getEffectiveLevel(),
        )

    def _receive(self, seconds: float = _WAIT_SECONDS) -> None:
        for connection, message in self._links.receive(seconds):
            if isinstance(message, Updated):
                if connection is not self._leader:  # a new start of rank 0
                    self._progress.restart(message.progress.steps)
                    self._leader = connection
                answer(connection, self._updated(message))
            elif isinstance(message, Evaluated):
                self._progress.evaluation(message.record)
                if self.on_evaluation is not None:
                    self.on_evaluation(message.record)
            elif isinstance(message, Said):
                self._progress.say(message.text)
            elif isinstance(message, Logged):
                logging.getLogger(message.record.name).handle(message.record)
            elif isinstance(message, Ended):
                self._ended = message

    def _updated(self, message: Updated) -> Decision:
        """Show an update and call the callback, which may stop the run or change its curriculum."""
        progress, curriculum = message.progress, self._job.curriculum
        self._progress.update(progress.steps, progress.metrics)
        if message.curriculum is not None:
            curriculum.load_state_dict(message.curriculum)
        before = None if message.curriculum is None else pickle.dumps(curriculum.state_dict())
        stop = False
        if self.on_update is not None:
            try:
                self.on_update(progress)
            except StopTraining:
                stop = True
        after = None if before is None else curriculum.state_dict()
        changed = after is not None and pickle.dumps(after) != before
        return Decision(stop, after if changed else None)

    def _restarting(self, failures: Mapping[int, ProcessFailure], restart: int) -> None:
        """Say why the ranks start again; called from the agent's thread."""
        if failures:
            again = f"restart {restart} of {self._launch.max_restarts}"
            self._progress.say(f"{reason(failures)}. All ranks start again from the last checkpoint ({again}).")
        else:
            self._progress.say("A machine joined or left. All ranks start again from the last checkpoint.")

    @contextlib.contextmanager
    def _on_signals(self) -> Iterator[None]:
        """On SIGINT or SIGTERM, let the ranks save and end; a second signal raises `KeyboardInterrupt`."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            self.interrupts += 1
            if self.interrupts > 1 or not self._agent.has_ranks:
                raise KeyboardInterrupt
            self._progress.say("Stopping after this update; press Ctrl-C again to stop immediately.")
            self._agent.stop()
            for pid in list(self._links.ranks.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _finish(self) -> None:
        """End the remaining ranks, after an error here or a second Ctrl-C."""
        if self._agent.running:
            self._agent.kill()
            # Without ranks the agent waits for other machines, perhaps for long; it starts no ranks any more.
            self._agent.wait(_KILL_SECONDS if self._agent.has_ranks else 0.0)

    def _result(self) -> TrainingResult:
        if self._ended is not None and self._ended.error is not None:
            raise self._ended.error
        if self._ended is not None and self._ended.result is not None:
            return self._ended.result
        raise TrainingError(self._why(), machine=True)

    def _why(self) -> str:
        """Why there is no result."""
        error, launch = self._agent.error, self._launch
        again = "The same command, on all machines, resumes." if launch.most > 1 else "The same command resumes."
        if isinstance(error, RendezvousTimeoutError):
            few = f"fewer than {counted(launch.fewest, 'machine')} joined"
            return f"{few} within {launch.join_timeout} s (--join-timeout). {again}"
        if isinstance(error, RendezvousError) and launch.node_rank:
            host, port = self._rendezvous
            return f"the machine with --node-rank 0, {host}:{port}, ended or can't be reached any more. {again}"
        if isinstance(error, RendezvousError):
            return f"the run was ended by another machine; see its output. {again}"
        if error is not None:
            return f"the ranks could not be started: {type(error).__name__}: {error}"
        return f"{reason(self._agent.failures)}. No restart is left (--max-restarts {launch.max_restarts}). {again}"


def _recorded(run: TrainingRun, status: str, error: TrainingError) -> TrainingResult:
    """The result of a run whose rank 0 could not record it: that of the last checkpoint."""
    last = checkpoints.latest(run.checkpoint_dir)
    facts: Mapping[str, Any] = {} if last is None else checkpoints.facts(last)
    kept = "No checkpoint has been saved." if last is None else f"The last good checkpoint is {last}."
    result = TrainingResult(
        status=status,
        run_dir=run.run_dir,
        run_id=run.run_id,
        steps=int(facts.get("steps", 0)),
        updates=int(facts.get("updates", 0)),
        total_timesteps=run.config.total_timesteps,
        final_checkpoint=last,
        metrics={name: value for name, value in facts.get("metrics", {}).items() if math.isfinite(value)},
        evaluation=run.evaluation,
        wall_seconds=float(facts.get("metrics", {}).get("clock/seconds", 0.0)),
        error={"type": type(error).__name__, "message": f"{error} {kept}"} if status == "failed" else None,
        machine=error.machine,
        hyperparameters=run.config.to_data(),
        learned=read_learning_verdict(run.run_dir).to_data(),
        ranks=int(facts.get("ranks", run.ranks)),
    )
    atomic.write_json(run.run_dir / training_file.FILE, {**result.to_data(), **run.described()})
    return result
