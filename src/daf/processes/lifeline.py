"""Processes that end with the one that started them, however that ended.

`descriptor()` is the reading end of a pipe whose other end only this process holds: pass it to a child (`pass_fds`),
and let the child call `end_with(descriptor)`. The kernel closes the pipe when this process dies, also by SIGKILL, and
the child kills itself. A process of `multiprocessing` has such a pipe already: `end_with_coordinator()`. A program that
knows nothing of this runs under `command(module, …)`.

Not guaranteed: a child that never releases the GIL does not notice. On Linux the workers of a fork server end
nevertheless (`end_with_fork_server`).
"""

import ctypes
import multiprocessing
import os
import runpy
import select
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any

_PR_SET_PDEATHSIG = 1
_ends: tuple[int, int] | None = None
_making = threading.Lock()


def descriptor() -> int:
    """The end of this process's pipe that children watch. It is closed in programs that are not given it."""
    global _ends
    with _making:
        if _ends is None:
            _ends = os.pipe()
            os.register_at_fork(after_in_child=_let_go)
        return _ends[0]


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs `python -m MODULE ARGUMENTS` as long as this process lives; pass it `descriptor()`."""
    return [sys.executable, "-m", __name__, str(descriptor()), module, *arguments]


def _let_go() -> None:
    """A forked child must not keep its parent's pipe open."""
    global _ends
    if _ends is not None:
        os.close(_ends[0])
        os.close(_ends[1])
        _ends = None


def end_with(descriptor: int) -> None:
    """Kill this process as soon as the other end of the pipe `descriptor` is closed."""
    _watch_in_background(descriptor, lambda: os.kill(os.getpid(), signal.SIGKILL))


def end_group_with(descriptor: int) -> None:
    """Like `end_with`, for this process and all others of its process group."""
    _watch_in_background(descriptor, lambda: os.killpg(0, signal.SIGKILL))


def end_with_coordinator() -> None:
    """In a process of `multiprocessing`: end with the process that started it."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a process of multiprocessing has a coordinator"
    end_with(parent.sentinel)


def end_with_fork_server() -> None:
    """`end_with_coordinator` in a worker of a fork server.

    A worker inherits the pipe by which its fork server notices that nobody needs it any more. It is closed here, so
    that the server ends at once when the coordinator dies, and on Linux takes busy workers with it.
    """
    end_with_coordinator()
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
    die_with_parent()


def die_with_parent() -> None:
    """On Linux: SIGKILL when the thread that started this process ends. Elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_in_background(descriptor: int, end: Callable[[], None]) -> None:
    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # only the hang-up: what the pipe carries is not for this thread
        poll.poll()
        end()

    threading.Thread(target=watch, name="daf-lifeline", daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    program = sys.argv[2]
    sys.argv = sys.argv[2:]  # `run_module` replaces the first by the module's path
    runpy.run_module(program, run_name="__main__", alter_sys=True)
