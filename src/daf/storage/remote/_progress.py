"""Who hears how far transfers are: the command line, for as long as its command runs."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a transfer is. verb: "publishing", "downloading" or "verifying"; url: of the directory."""

    verb: str
    url: str
    files: int
    all_files: int
    bytes: int
    all_bytes: int

    @property
    def complete(self) -> bool:
        """Whether everything is transferred."""
        return self.files == self.all_files


_listener: ContextVar[Callable[[Progress], None] | None] = ContextVar("daf_transfer_listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Transfers inside the block report to `listener`, in the thread that asked for them."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(progress: Progress) -> None:
    """Call the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(progress)
