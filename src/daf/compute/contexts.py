"""Multiprocessing contexts whose processes do not import the program that starts them.

Python's `forkserver` and `spawn` import the main script again in every process, so a script without a guard
(`if __name__ == "__main__":`) would start over in each. DAF's processes run functions of modules and need nothing from
the script; with these contexts a script needs no guard. The processes start with SIGINT blocked, so that a Ctrl-C while
they import prints nothing.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from multiprocessing import context, resource_tracker
from typing import Any

from daf.processes.interrupts import shielded

_STARTING = threading.Lock()


@contextlib.contextmanager
def _unseen_main() -> Iterator[None]:
    """Make the main module look like that of an interactive session to a process that is being prepared."""
    main = sys.modules["__main__"]
    with _STARTING:
        kept = {name: value for name, value in vars(main).items() if name in ("__spec__", "__file__")}
        main.__spec__ = None
        vars(main).pop("__file__", None)
        try:
            yield
        finally:
            vars(main).update(kept)


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    resource_tracker.ensure_running()  # which unblocks SIGINT when it starts its process
    with _unseen_main(), shielded():
        yield


class _ForkServerProcess(context.ForkServerProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 the name that multiprocessing calls
        with _starting():
            return context.ForkServerProcess._Popen(process_obj)


class _SpawnProcess(context.SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 the name that multiprocessing calls
        with _starting():
            return context.SpawnProcess._Popen(process_obj)


class ForkServer(context.ForkServerContext):
    """`multiprocessing.get_context("forkserver")`, without the main script."""

    Process = _ForkServerProcess


class Spawn(context.SpawnContext):
    """`multiprocessing.get_context("spawn")`, without the main script."""

    Process = _SpawnProcess
