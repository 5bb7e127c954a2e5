"""Ctrl-C and SIGTERM, without tearing a commit apart.

The first asks the controller to stop, and wakes it where it waits; nothing is interrupted in the middle. A second one
raises `KeyboardInterrupt` wherever it is: jobs then end by themselves, and the next controller finds them.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Woken(Exception):
    """Raised by a signal in the controller's wait, and nowhere else."""


class Waker:
    """Waits that a signal ends, in work that it does not."""

    def __init__(self) -> None:
        self.signalled: str | None = None
        self._waits = False

    def wait(self, block: Callable[[], None]) -> None:
        """Call `block`, which a signal ends at once; nothing where one came before."""
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
        """Around the controller's work: call `ask` on the first signal. Only the main thread gets any."""
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
