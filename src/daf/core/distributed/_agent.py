"""torchrun's elastic agent on this machine: it starts the ranks, and replaces all of them when one is lost.

The agent runs in a thread, so that signals and callbacks stay with the caller. Ranks die at once from SIGTERM, which
the agent sends when another rank was lost; SIGINT lets them save and end.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousGracefulExitError

from daf.core.distributed._rendezvous import Rendezvous
from daf.processes.interrupts import shielded

PROGRAM = "daf.core.distributed.rank"
_GROUP = "daf/group"
_POLL_SECONDS = 0.1
_EXIT_SECONDS = 60.0
"""How long a machine that has finished waits for the others to finish."""


_VARIABLES = {
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else the agent keeps a second store, on a machine that may be lost
    "TORCH_CPP_LOG_LEVEL": "FATAL",  # in the ranks: their errors say which connection was lost, without stack traces
}


class Agent(LocalElasticAgent):
    """Runs `ranks` ranks on this machine until they have finished. arguments: of the program of a rank.

    group: the name of the present start, the same on all machines. failures: of the last ranks that were lost here, by
    rank. error: why the agent ended, if not because the ranks have finished.
    """

    def __init__(
        self,
        rendezvous: Rendezvous,
        ranks: int,
        max_restarts: int,
        arguments: tuple[str, ...],
        *,
        logs: str,
        address: str,
        on_restart: Callable[[Mapping[int, ProcessFailure], int], None],
        on_end: Callable[[], None],
    ) -> None:
        """logs: directory of error files. on_restart: called with the failures here and the number of the restart."""
        spec = WorkerSpec(
            role="daf",
            local_world_size=ranks,
            entrypoint=sys.executable,
            args=("-m", PROGRAM, *arguments),
            rdzv_handler=rendezvous,
            max_restarts=max_restarts,
            monitor_interval=_POLL_SECONDS,
            local_addr=address,
        )
        super().__init__(spec, DefaultLogsSpecs(log_dir=logs), exit_barrier_timeout=_EXIT_SECONDS)
        self.group = ""
        self.failures: Mapping[int, ProcessFailure] = {}
        self.failed = False
        self.error: Exception | None = None
        self._on_restart, self._on_end = on_restart, on_end
        self._restarts = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run_quietly, name="daf-agent", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the ranks, or those of other machines, have not finished."""
        return self._thread.is_alive()

    @property
    def has_ranks(self) -> bool:
        """Whether ranks are running on this machine."""
        return self._pcontext is not None and bool(self._pcontext.pids())

    def stop(self) -> None:
        """Start no ranks any more; those that run may end by themselves."""
        self._stopping = True

    def kill(self) -> None:
        """End the ranks now."""
        self._stopping = True
        if self._pcontext is not None:
            with contextlib.suppress(ProcessLookupError):  # a rank ended at the same moment
                self._pcontext.close(signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Wait until the agent has ended."""
        self._thread.join(seconds)

    def _run_quietly(self) -> None:
        try:
            with _quiet(), _environment(**_VARIABLES):
                result = self.run()
                self.failed = result is not None and result.is_failed()
                if not self._stopping:
                    self._rdzv_handler.shutdown()
        except Exception as error:  # reported by the thread that started this one
            self.error = error
        finally:
            self._on_end()

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        if self._stopping:
            raise RendezvousGracefulExitError("stopped")
        store: Any = worker_group.store
        first: bool = worker_group.group_rank == 0
        if first:
            store.set(_GROUP, uuid.uuid4().hex)
        self.group = store.get(_GROUP).decode()
        with shielded():  # a rank lets SIGINT through when it can save
            started: dict[int, Any] = super()._start_workers(worker_group)
        return started

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        if result.is_failed():
            self.failures = result.failures
        return result

    def _restart_workers(self, worker_group: WorkerGroup) -> None:
        if self._stopping:
            raise RendezvousGracefulExitError("stopped")
        used = worker_group.spec.max_restarts - self._remaining_restarts
        self._on_restart(self.failures if used > self._restarts else {}, used)
        self._restarts = used
        super()._restart_workers(worker_group)


def reason(failures: Mapping[int, ProcessFailure]) -> str:
    """What happened to the ranks, in one clause: "rank 1 (pid 123) was killed by signal 9 (SIGKILL)"."""
    causes = {rank: failure for rank, failure in failures.items() if not failure.message.startswith(_LOST_PEER)}
    if not causes:
        return "a rank of another machine was lost" if failures else "the ranks ended without a result"
    rank, failure = min(causes.items(), key=lambda item: item[1].timestamp)
    who = f"rank {rank} (pid {failure.pid})"
    if failure.exitcode < 0:
        return f"{who} was killed by signal {-failure.exitcode} ({failure.signal_name()})"
    return f"{who} ended with exit code {failure.exitcode}: {failure.message.removesuffix('.')}"


_LOST_PEER = "LostPeerError"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log of torch's agent, which describes every restart in several lines."""
    loggers = [logging.getLogger("torch.distributed.elastic")]
    loggers += [
        found
        for name, found in logging.root.manager.loggerDict.items()
        if name.startswith("torch.distributed.elastic") and isinstance(found, logging.Logger)
    ]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """With these variables, unless they are set."""
    ours = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
