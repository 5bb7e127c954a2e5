"""Run a function over tasks, here or elsewhere, behind one interface with one meaning.

An `Executor` calls `function(task)` for every task and yields a `Done` for each, in the order in which they finish,
with the task's position. An exception, a time-out or the death of a worker costs only that task and becomes its
`Failure`. Closing the iterator early stops unfinished tasks. Every implementation passes the suite in
tests/compute/test_executors.py.
"""

from collections.abc import Sequence

from daf.compute.interface import THIS_MACHINE, ClusterOptions, Executor
from daf.config.extras import require
from daf.errors import UsageError, unknown

EXECUTORS = ("local", "serial", "ray")


def make_executor(
    name: str = "local",
    *,
    jobs: int | str = "auto",
    preload: Sequence[str] = (),
    cluster: ClusterOptions = THIS_MACHINE,
    gpu: bool = False,
) -> Executor:
    """The executor called `name`: "local" (processes of this machine), "serial" (this process), "ray" (a cluster).

    jobs: a number, or "auto" for every core. preload: modules that workers import once, before the first task.
    cluster, gpu: for "ray": where, and whether
    tasks compute on a GPU. Raises `UsageError`, `MissingExtraError`.
    """
    from daf.compute._local import LocalProcesses
    from daf.compute._ray import RayWorkers
    from daf.compute._serial import Serial

    if name == "serial":
        if str(jobs) not in ("auto", "1"):
            raise UsageError(f"--executor serial runs one episode at a time, so --jobs {jobs} has no effect.")
        return Serial()
    if name == "ray":
        require("ray", "--executor ray")
        return RayWorkers(
            jobs=jobs if str(jobs) == "auto" else job_count(jobs), preload=preload, options=cluster, gpu=gpu
        )
    if name == "local":
        return LocalProcesses(jobs=job_count(jobs), preload=preload)
    raise UsageError(unknown("executor", name, EXECUTORS))


def job_count(jobs: int | str) -> int:
    """The number of workers that `jobs` means. Raises `UsageError`."""
    import os

    if str(jobs) == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        count = int(jobs)
    except ValueError:
        raise UsageError(f'--jobs must be a number or auto, got "{jobs}".') from None
    if not 1 <= count <= 1024:
        raise UsageError(f"--jobs must be 1 to 1024, got {count}.")
    return count
