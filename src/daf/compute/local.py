"""Worker processes on this machine: warm, and each death costs one task.

Workers come from a fork server that has imported `preload` once, so that a new worker starts in milliseconds. A worker
ignores Ctrl-C (the coordinator decides what happens) and ends with its coordinator, however that ended.
"""

import ctypes
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, TimeoutError
from typing import Any

from pebble import ProcessExpired, ProcessPool

from daf.compute.executor import Done, Failure, failure_of
from daf.errors import ExecutorError

_QUEUED_PER_WORKER = 2
_LOOK_SECONDS = 1.0
_MOST_POOLS = 5
_PR_SET_PDEATHSIG = 1


class LocalProcesses:
    """A pool of worker processes.

    jobs: workers. preload: modules that the fork server imports before the first worker starts.
    """

    isolated = True
    patience = 20.0
    """Seconds for which tasks may wait beside idle workers before the pool counts as broken."""

    def __init__(self, *, jobs: int, preload: Sequence[str] = ()) -> None:
        self.jobs = jobs
        self._preload = list(preload)
        self._pool: Any = None

    def run[T, R](
        self, function: Callable[[T], R], tasks: Sequence[T], *, timeout: float | None = None
    ) -> Iterator[Done[R]]:
        """Call `function` on every task; at most two tasks per worker wait in the pool at any time.

        A pool whose workers were killed in a bad moment (with a lock of its in their hands) may stand still or break;
        it is given up for a new one, and what it had not finished is begun again. Raises `ExecutorError` where that
        happens again and again.
        """
        finished: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        waiting = iter(range(len(tasks)))
        running: dict[int, Any] = {}

        def schedule(position: int) -> None:
            try:
                future = self._started().schedule(_guarded, args=(function, tasks[position]), timeout=timeout)
            except RuntimeError:  # the pool broke while nobody looked
                self.close()
                future = self._started().schedule(_guarded, args=(function, tasks[position]), timeout=timeout)
            running[position] = future
            future.add_done_callback(lambda done: finished.put((position, done)))

        def feed() -> None:
            for position in waiting:
                schedule(position)
                if len(running) >= self.jobs * _QUEUED_PER_WORKER:
                    return

        completed, pools = False, 1
        busy, since = 0, time.monotonic()
        try:
            feed()
            while running:
                broken = False
                try:
                    position, future = finished.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    if self._pool is None:
                        raise ExecutorError("the workers were stopped while tasks ran.") from None
                    now = sum(future.running() for future in running.values())
                    if now != busy or now >= min(self.jobs, len(running)):
                        busy, since = now, time.monotonic()
                    broken = time.monotonic() - since > self.patience * pools
                else:
                    if running.get(position) is not future:
                        continue  # of a pool that was given up
                    since = time.monotonic()
                    try:
                        done = self._done(position, future, timeout)
                    except BrokenExecutor:
                        broken = True
                    else:
                        del running[position]
                        feed()
                        yield done
                        since = time.monotonic()  # how long the caller took says nothing about the workers
                if broken:
                    if pools > _MOST_POOLS:
                        raise ExecutorError(f"worker processes were killed again and again ({pools} pools broke).")
                    unfinished = list(running)
                    running.clear()
                    self.close()
                    pools, busy, since = pools + 1, 0, time.monotonic()
                    for position in unfinished:
                        schedule(position)
            completed = True
        finally:
            if not completed:
                self.close()

    def close(self) -> None:
        """Stop all workers at once, without waiting for their tasks."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()
            pool.join()

    def _started(self) -> Any:
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(self._preload)
            self._pool = ProcessPool(
                max_workers=self.jobs, context=context, initializer=_start_worker, initargs=(list(sys.path),)
            )
        return self._pool

    @staticmethod
    def _done(position: int, future: Any, timeout: float | None) -> Done[Any]:
        try:
            value, failure = future.result()
        except TimeoutError:
            return Done(position, None, Failure("time-out", f"it ran longer than {timeout:g} s and was ended"))
        except ProcessExpired as error:
            code = error.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Done(position, None, Failure("crash", f"its process died ({how})"))
        return Done(position, value, failure)


def _guarded(function: Callable[[Any], Any], task: Any) -> tuple[Any, Failure | None]:
    """In the worker: whatever the function raises comes back as a value, so that it can't be taken for the pool's."""
    try:
        value = function(task)
        pickle.dumps(value)
        return value, None
    except BaseException as error:
        failure = failure_of(error, traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(failure))
        except Exception:
            return None, Failure(failure.kind, failure.message, failure.traceback)
        return None, failure


def _start_worker(path: list[str]) -> None:
    """Ctrl-C is the coordinator's; the worker ends with the fork server, which ends with the coordinator."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    os.dup2(2, 1)  # stdout is for results; what a policy prints goes where messages go
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
