"""Ctrl-C in a command, also inside code that swallows or replaces exceptions.

Inside `watched()` a Ctrl-C during an import is raised when the import has ended: extension modules turn a
`KeyboardInterrupt` into an `ImportError`, and libraries that try optional imports swallow it. A second one, or an
import of more than five seconds, is not waited for. What lies outside the command: `daf.cli._uncaught`.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.02


_raised = threading.Event()
"""A Ctrl-C was raised in this process."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Ctrl-C raises `KeyboardInterrupt`, but not within an import. Only the main thread gets any."""
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    late = _Late(threading.get_ident())
    _raised.clear()
    signal.signal(signal.SIGINT, late.take)
    try:
        yield
    finally:
        late.ended.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def was_interrupted(error: BaseException) -> bool:
    """Whether `error` is a Ctrl-C, was raised while one was handled, or came after one was raised.

    Extension modules (pydantic's serializer, for one) raise another error without naming the Ctrl-C as its
    cause.
    """
    if _raised.is_set():
        return True
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KeyboardInterrupt):
            return True
        link = link.__cause__ or link.__context__
    return False


class _Late:
    """Holds a Ctrl-C back until the thread `main` imports nothing."""

    def __init__(self, main: int) -> None:
        self.ended = threading.Event()
        self._main = main
        self._since: float | None = None
        self._again = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal, which comes from the keyboard or, late, from `_wait`."""
        again, self._again = self._again, False
        if _importing(frame) and (again or self._since is None) and not self._over():
            self._since = self._since or time.monotonic()
            threading.Thread(target=self._wait, name="daf-late-interrupt", daemon=True).start()
            return
        self._since = None
        _raised.set()
        signal.default_int_handler(number, frame)

    def _wait(self) -> None:
        while _importing(sys._current_frames().get(self._main)) and not self._over():
            if self.ended.wait(_LOOK_SECONDS):
                return
        self._again = True
        signal.pthread_kill(self._main, signal.SIGINT)

    def _over(self) -> bool:
        return self._since is not None and time.monotonic() - self._since > _PATIENCE_SECONDS


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
