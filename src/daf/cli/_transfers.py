"""What transfers to and from a URL print on stderr: a line from time to time, and one when a run is published."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daf.storage.remote import Progress

_LINE_SECONDS = 5.0


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Print how far the transfers inside the block are."""
    from daf.storage import remote

    with remote.heard_by(_Lines()):
        yield


class _Lines:
    def __init__(self) -> None:
        self._spoke = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        from daf.cli._run_shown import size
        from daf.cli.show import say
        from daf.stats.sentences import counted

        if progress.complete and progress.verb == "publishing":
            say(f"published {counted(progress.all_files, 'file')} ({size(progress.all_bytes)}) to {progress.url}")
        elif not progress.complete and time.monotonic() - self._spoke >= _LINE_SECONDS:
            self._spoke = time.monotonic()
            done = f"{progress.files} of {counted(progress.all_files, 'file')}"
            say(f"{progress.verb} {progress.url}: {done}, {size(progress.bytes)} of {size(progress.all_bytes)}")
