"""Ctrl-C in a command, whatever the code that it meets makes of it.

`watched()` notes a Ctrl-C, so that `was_interrupted` recognises it in another error: extension modules turn one that
meets their import into an `ImportError`. What lies outside the command: `daf.cli.uncaught`.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_seen = threading.Event()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Note a Ctrl-C of the block, which raises `KeyboardInterrupt` as ever. Only the main thread gets any."""
    _seen.clear()
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _seen.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def was_interrupted(error: BaseException) -> bool:
    """Whether `error` is a Ctrl-C, or what became of one."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KeyboardInterrupt):
            return True
        link = link.__cause__ or link.__context__
    return _seen.is_set() and isinstance(error, ImportError | SystemError)
