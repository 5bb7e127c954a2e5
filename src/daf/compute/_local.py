"""Worker processes on this machine: prepared in advance, and each death costs one task.

Workers come from a fork server that has imported `preload` once, so that a new worker starts in milliseconds. A worker
ignores Ctrl-C (the coordinator decides what happens) and ends with its coordinator, however that ended. A Ctrl-C while
workers are started or stopped takes effect afterwards.
"""

import contextlib
import os
import pickle
import queue
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, TimeoutError
from typing import Any

from pebble import ProcessExpired, ProcessPool

from daf.compute.carried import Files
from daf.compute.contexts import ForkServer
from daf.compute.interface import Done, Failure, failure_of
from daf.errors import ExecutorError
from daf.processes.interrupts import deferred
from daf.processes.lifeline import end_with_fork_server

_QUEUED_PER_WORKER = 2
_LOOK_SECONDS = 1.0
_MOST_POOLS = 5


class LocalProcesses:
    """A pool of worker processes.

    jobs: workers. preload: modules that the fork server imports before the first worker starts.
    """

    isolated = True
    patience = 20.0
    """Seconds for which tasks may wait next to idle workers before the pool counts as broken."""

    def __init__(self, *, jobs: int, preload: Sequence[str] = ()) -> None:
        self.jobs = jobs
        self._preload = list(preload)
        self._pool: Any = None

    def run[T, R](
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> Iterator[Done[R]]:
        """Call `function` on every task; at most two tasks per worker wait in the pool at any time; `files` are here.

        A pool whose workers were killed at a bad moment (while they held one of its locks) may hang or break; it is
        replaced by a new one, which repeats the unfinished tasks. Raises `ExecutorError` if that happens repeatedly.
        """
        finished: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        todo = deque(range(len(tasks)))
        running: dict[int, Any] = {}
        pool = self._sound()

        def feed() -> None:
            if self._pool is not pool:
                raise ExecutorError("the workers were stopped while tasks ran.")
            while todo and len(running) < self.jobs * _QUEUED_PER_WORKER:
                position = todo[0]
                try:
                    with deferred():  # the first task starts the workers
                        future = pool.schedule(guarded, args=(function, tasks[position]), timeout=timeout)
                except RuntimeError as error:
                    raise BrokenExecutor(str(error)) from error
                running[todo.popleft()] = future
                future.add_done_callback(lambda done, position=position: finished.put((position, done)))

        completed, pools = False, 1
        busy, since = 0, time.monotonic()
        try:
            while todo or running:
                broken = False
                try:
                    feed()
                    position, future = finished.get(timeout=_LOOK_SECONDS)
                    if running.get(position) is not future:
                        continue  # from a pool that was replaced
                    done = self._done(position, future, timeout)
                    del running[position]
                    with contextlib.suppress(BrokenExecutor):  # reported by the next submission
                        feed()
                    yield done
                    since = time.monotonic()  # the caller's time between results must not count against the workers
                except queue.Empty:
                    now = sum(future.running() for future in running.values())
                    if now != busy or now >= min(self.jobs, len(running)):
                        busy, since = now, time.monotonic()
                    broken = time.monotonic() - since > self.patience * pools
                except BrokenExecutor:
                    broken = True
                if broken:
                    if pools > _MOST_POOLS:
                        raise ExecutorError(f"worker processes were killed repeatedly ({pools} pools broke).")
                    todo.extendleft(reversed(list(running)))
                    running.clear()
                    self.close()
                    pool = self._sound()
                    pools, busy, since = pools + 1, 0, time.monotonic()
            completed = True
        finally:
            if not completed:
                self.close()

    def close(self) -> None:
        """Stop all workers immediately, without waiting for their tasks."""
        if self._pool is not None:
            with deferred():
                pool, self._pool = self._pool, None
                kept = _locks(pool)  # which the pool unlinks before it ends workers, some of which may just be starting
                pool.stop()
                pool.join()
                del kept

    def _sound(self) -> Any:
        """A pool that accepts tasks: the current one, or a new one if there is none or it broke unnoticed."""
        if self._pool is not None:
            pool = self._started()
            with deferred():
                active = pool.active
            if active:
                return pool
        self.close()
        return self._started()

    def _started(self) -> Any:
        pool = self._pool  # which `close`, called from another thread, may set to None
        if pool is None:
            context = ForkServer()
            context.set_forkserver_preload(self._preload)
            pool = self._pool = ProcessPool(
                max_workers=self.jobs, context=context, initializer=_start_worker, initargs=(list(sys.path),)
            )
        return pool

    @staticmethod
    def _done(position: int, future: Any, timeout: float | None) -> Done[Any]:
        try:
            value, failure = future.result()
        except TimeoutError:
            return Done(
                position, None, Failure("time-out", f"it exceeded the time limit of {timeout:g} s and was terminated")
            )
        except ProcessExpired as error:
            code = error.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Done(position, None, Failure("crash", f"its process died ({how})"))
        return Done(position, value, failure)


def _locks(pool: Any) -> list[Any]:
    """The locks that the pool shares with its workers; none before it started."""
    channel = pool._pool_manager.worker_manager.workers_channel
    return [] if channel is None else [channel.mutex.reader_mutex, channel.mutex.writer_mutex]


def guarded(function: Callable[[Any], Any], task: Any) -> tuple[Any, Failure | None]:
    """In the worker: an exception of the function comes back as a value, so that it can't be taken for the pool's."""
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
    """Leave Ctrl-C to the coordinator; the worker ends with the fork server, which ends with the coordinator."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    os.dup2(2, 1)  # stdout is for results; a policy's prints go to stderr
    end_with_fork_server()
