"""The connection between the process that started a run and its ranks on this machine, over a Unix socket.

A rank connects, and receives a `Start`. It ends when the connection closes, however the other end died. Rank 0 reports
what it trains; after an update it waits for the answer, so that a callback can stop the run at exactly that update.

Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import selectors
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from daf.core.distributed.job import Job
from daf.core.training_result import Progress, TrainingResult
from daf.logging_config.setup import ROOT

_LONGEST_PLACE = 70


@dataclass(frozen=True, slots=True)
class Start:
    """What a rank needs. rendezvous: host and port of the store; group: the name of this start's part of it.

    address: of this machine. stopping: whether a stop has been asked for. log_level: of the records to report.
    """

    job: Job
    rendezvous: tuple[str, int]
    group: str
    node_rank: int
    address: str
    stopping: bool
    log_level: int


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a rank."""

    pid: int
    local_rank: int


@dataclass(frozen=True, slots=True)
class Updated:
    """Rank 0 finished an update, and waits for a `Decision`. curriculum: its state, if it changed."""

    progress: Progress
    curriculum: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to `Updated`. curriculum: the changed state, None if it did not change."""

    stop: bool
    curriculum: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Rank 0 recorded an evaluation."""

    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A log record of rank 0."""

    record: logging.LogRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """The run ended: with a result, or with an error that the caller is to raise."""

    result: TrainingResult | None
    error: Exception | None = None


Message = Hello | Updated | Evaluated | Said | Logged | Ended


class Links:
    """The connections of this machine's ranks. start: makes the message for a rank that connects."""

    def __init__(self, start: Callable[[], Start]) -> None:
        self._start = start
        # The path of a socket has at most 107 bytes.
        place = None if len(tempfile.gettempdir()) <= _LONGEST_PLACE else "/tmp"
        self._folder = tempfile.TemporaryDirectory(prefix="daf-ranks-", dir=place)
        self.path = Path(self._folder.name) / "socket"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(1024)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.ranks: dict[int, int] = {}
        """The process of each local rank that connected last."""

    def wake(self) -> None:
        """Let a `receive` in another thread return."""
        with contextlib.suppress(OSError):
            self._waker.send(b"w")

    def receive(self, seconds: float) -> list[tuple[Connection, Message]]:
        """The messages that arrive within `seconds`, at least one unless the time is over or `wake` was called."""
        found: list[tuple[Connection, Message]] = []
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listening:
                accepted, _ = self._listening.accept()
                connection = Connection(accepted.detach())
                self._selector.register(connection, selectors.EVENT_READ)
            elif key.fileobj is self._wake:
                self._wake.recv(64)
            else:
                found += self._read(key.fileobj)  # type: ignore[arg-type]
        return found

    def _read(self, connection: Connection) -> list[tuple[Connection, Message]]:
        """All messages that have arrived; a rank that connects is answered."""
        found: list[tuple[Connection, Message]] = []
        try:
            while connection.poll():
                message: Message = connection.recv()
                if isinstance(message, Hello):
                    self.ranks[message.local_rank] = message.pid
                    answer(connection, sys.path)
                    answer(connection, self._start())
                else:
                    found.append((connection, message))
        except (EOFError, OSError):  # the rank ended
            self._selector.unregister(connection)
            connection.close()
        return found

    def close(self) -> None:
        """Close all connections, which ends the ranks that are still there."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._waker.close()
        self._folder.cleanup()


def answer(connection: Connection, value: object) -> None:
    """Send to a rank, which may have ended."""
    with contextlib.suppress(OSError):
        connection.send(value)


class Link:
    """A rank's end of its connection."""

    def __init__(self, path: str, local_rank: int) -> None:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        self._connection = Connection(connected.detach())
        self._connection.send(Hello(os.getpid(), local_rank))

    def fileno(self) -> int:
        """The descriptor, which hangs up when the other end is gone."""
        return self._connection.fileno()

    def import_path(self) -> list[str]:
        """Receive where modules are found; afterwards `start` can be received."""
        path: list[str] = self._connection.recv()
        return path

    def start(self) -> Start:
        """Receive the job."""
        start: Start = self._connection.recv()
        return start

    def send(self, message: Message) -> None:
        """Send a message."""
        self._connection.send(message)

    def updated(self, progress: Progress, curriculum: Mapping[str, Any] | None) -> Decision:
        """Report an update, and wait for the answer."""
        self._connection.send(Updated(progress, curriculum))
        decision: Decision = self._connection.recv()
        return decision


class Sends(Protocol):
    """A rank's way to the process that started the run."""

    def send(self, message: Message) -> None:
        """Send a message."""


class LinkedProgress:
    """Shows a run where it was started, with its log records of `log_level` and above."""

    def __init__(self, link: Sends, log_level: int) -> None:
        self._link, self._log_level = link, log_level

    def __enter__(self) -> Self:
        # From here on: the process that started the run made the same checks before, and logged their warnings.
        logger = logging.getLogger(ROOT)
        logger.addHandler(_Reporter(self._link))
        logger.setLevel(self._log_level)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Records continue to be reported until the rank ends."""

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing: `Link.updated` reports every update."""

    def evaluation(self, record: Mapping[str, Any]) -> None:
        """Report an evaluation."""
        self._link.send(Evaluated(record))

    def say(self, text: str) -> None:
        """Report a line for the user."""
        self._link.send(Said(text))


class _Reporter(logging.handlers.QueueHandler):
    """Sends log records over a link."""

    def __init__(self, link: Sends) -> None:
        super().__init__(link)  # type: ignore[arg-type]  # `enqueue` needs no more than `send`

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send it."""
        self.queue.send(Logged(record))  # type: ignore[attr-defined]
