"""Stopping a training run between two updates: Ctrl-C, SIGTERM, a callback, or a shortage of memory."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether training should stop after the current update.

    status: the status that the run then ends with, "stopped" or "interrupted"; None: training continues.
    """

    def __init__(self) -> None:
        self.status: str | None = None

    def stop(self) -> None:
        """Ask for a stop; the run ends as stopped, unless it was interrupted before."""
        self.status = self.status or "stopped"

    def interrupt(self) -> None:
        """Ask for a stop; the run ends as interrupted."""
        self.status = "interrupted"

    @contextmanager
    def on_signals(self, say: Callable[[str], None]) -> Iterator[None]:
        """On SIGINT or SIGTERM, ask for a stop as interrupted; a second signal raises `KeyboardInterrupt`.

        Does nothing outside the main thread, where Python can't install signal handlers. say: shows a line to the user.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            if self.status == "interrupted":
                raise KeyboardInterrupt
            self.interrupt()
            say("Stopping after this update; press Ctrl-C again to stop immediately.")

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
