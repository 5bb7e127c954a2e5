"""Ctrl-C and SIGTERM, without interrupting a commit.

The first signal asks the controller to stop, and wakes it if it is waiting; no other code is interrupted. A second one
raises `KeyboardInterrupt` immediately: jobs then end by themselves, and the next controller finds them.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Woken(Exception):
    """Raised by a signal during the controller's wait, and nowhere else."""


class Waker:
    """Waits that end on a signal, in code that a signal must not interrupt."""

    def __init__(self) -> None:
        self.signalled: str | None = None
        self._waits = False

    def wait(self, block: Callable[[], None]) -> None:
        """Call `block`, which a signal ends immediately; does nothing if a signal arrived before."""
        try:
            try:
                self._waits = True
                if self.signalled is None:
                    block()
            finally:
                self._waits = False
        except Woken:
            pass

    @contextlib.contextmanager
    def signals(self, ask: Callable[[str], None]) -> Iterator[None]:
        """Call `ask` on the first signal during the block. Works in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if self.signalled is not None:
                raise KeyboardInterrupt
            self.signalled = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            ask(self.signalled)
            if self._waits:
                raise Woken

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
