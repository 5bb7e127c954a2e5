"""Training in several ranks, from the process that was asked for it.

This process keeps the run directory locked, shows the run and calls callbacks; rank 0, a child of it, trains and
writes. When a rank is lost, all start again from the last checkpoint. The first Ctrl-C lets the ranks save and end, the
second ends them.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING

from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousTimeoutError

from daf.config.training import DAFTrainingConfig
from daf.core import training_file
from daf.core.distributed import _rendezvous
from daf.core.distributed._agent import Agent, reason
from daf.core.distributed._links import Links, Start, answer
from daf.core.distributed._starter import Follower, job_of, record_lost_end
from daf.core.distributed.job import Job, fetch, publish
from daf.core.distributed.launch import Launch, endpoint
from daf.core.training_loop import OnEvaluation, OnUpdate
from daf.core.training_progress import TrainingProgress
from daf.core.training_result import TrainingResult
from daf.core.training_run import TrainingRun
from daf.errors import TrainingError
from daf.logging_config.setup import ROOT
from daf.stats.sentences import counted

if TYPE_CHECKING:
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
    follower = Follower(job, progress, on_update, on_evaluation)
    machine = _Machine(job, launch, store, (host, port), address, run.config.workers_per_node, progress, follower)
    with progress:
        try:
            return machine.run()
        except TrainingError as error:
            return record_lost_end(run, "interrupted" if machine.interrupts else "failed", error)


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
        return _Machine(job, launch, store, (host, port), address, ranks, progress, Follower(job, progress)).run()


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
        follower: Follower,
    ) -> None:
        self._job, self._launch, self._progress = job, launch, progress
        self._rendezvous, self._address, self._ranks = rendezvous, address, ranks
        self._store = store  # the store ends with this object
        self._follower = follower
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
            decision = self._follower.handle(message, connection)
            if decision is not None:
                answer(connection, decision)

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
        result = self._follower.result()
        if result is None:
            raise TrainingError(self._why(), machine=True)
        return result

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
