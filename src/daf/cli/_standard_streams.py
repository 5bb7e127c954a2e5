"""Standard output and error that never end a command.

Inside `tolerant()`, what the terminal cannot encode is replaced by "?", and after the reader of a pipe has gone
(`daf … | head -1`) the rest is discarded in silence: the command finishes its work, and its run is complete. Any other
error of writing (a full disk behind `>`) is kept in `Output.error`, for the end of the command to report.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


class Output:
    """A text stream; all but writing is the original's. error: the first that is not a closed pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        self._do(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _do(self, call: Callable[[], object]) -> None:
        try:
            call()
        except OSError as error:
            if not isinstance(error, BrokenPipeError) and self.error is None:
                self.error = error
            self._discard()

    def _discard(self) -> None:
        """Send the buffered text, and all that follows, nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._stream.flush()


@contextlib.contextmanager
def tolerant() -> Iterator[Output]:
    """`sys.stdout` and `sys.stderr` as `Output`; yields that of stdout. A stream that was closed discards."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        streams = []
        for stream in before:
            if stream is None:
                stream = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
            elif hasattr(stream, "reconfigure") and stream.errors == "strict":
                stream.reconfigure(errors="replace")
            streams.append(Output(stream))
        sys.stdout, sys.stderr = streams
        try:
            yield streams[0]
        finally:
            for wrapped in streams:
                wrapped.flush()
            sys.stdout, sys.stderr = before
