"""One task after the other, in this process: for debugging with breakpoints, and where processes can't be started.

A task that hangs blocks everything, and one that kills its process ends everything; `timeout` is refused.
"""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

from daf.compute.carried import Files
from daf.compute.interface import Done, failure_of
from daf.errors import UsageError


class Serial:
    """See the module."""

    jobs = 1
    isolated = False

    def run[T, R](
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> Iterator[Done[R]]:
        """Call `function` on every task, in order; `files` are here. Raises `UsageError` if a timeout is given."""
        if timeout is not None:
            raise UsageError("--executor serial cannot end an episode that hangs: leave out --episode-timeout.")
        return self._run(function, tasks)

    def _run[T, R](self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Done[R]]:
        for position, task in enumerate(tasks):
            try:
                with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
                    value = function(task)
            except (Exception, SystemExit) as error:
                yield Done(position, None, failure_of(error, traceback.format_exc()))
            else:
                yield Done(position, value)

    def close(self) -> None:
        """Nothing to stop."""
