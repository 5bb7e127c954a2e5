"""Ctrl-C where it can be taken, and nowhere else.

`deferred()`: a Ctrl-C inside the block takes effect at its end, so that what must not be left half done (starting and
stopping worker processes) is not. `shielded()`: processes started inside the block never see the terminal's Ctrl-C
while they are still importing; they inherit the blocked signal and decide later what to do with it.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Raise a Ctrl-C of the block at its end. Outside the main thread, where none arrives, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pending:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Processes started inside the block have SIGINT blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
