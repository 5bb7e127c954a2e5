"""Workers that are killed in a bad moment cost time, never a task and never the run."""

import os
import signal

from daf.compute._local import LocalProcesses


def worker(_):
    return os.getpid()


def test_a_pool_whose_idle_workers_were_killed_is_replaced():
    executor = LocalProcesses(jobs=1)
    executor.patience = 2.0
    try:
        for _ in range(3):
            (done,) = executor.run(worker, [0])
            os.kill(done.value, signal.SIGKILL)  # it waits for its next task, perhaps with the pool's lock
            assert sorted(d.position for d in executor.run(worker, range(4))) == [0, 1, 2, 3]
    finally:
        executor.close()
