"""The parent of one job's process: `python -m daf.core.jobs._supervisor JOB_FOLDER`.

It outlives the process that launched it, unless the job does not, so that the next one learns the exit code. It claims
the job by creating `process.json` with its pid and identity, which succeeds for one process only: if the job was given
up earlier (by creating that file), nothing is started. It ends with `exit.json`; if that file is missing and the
supervisor is gone, the supervisor was killed, and its child with it.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from daf.core.jobs._process_table import identity

JOB, PROCESS, EXIT = "job.json", "process.json", "exit.json"
CANNOT_START = 127
STOPS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def claim(folder: Path, content: dict[str, Any]) -> bool:
    """Create `process.json` with `content`, atomically; False if it exists."""
    temporary = folder / f".{PROCESS}.{os.getpid()}"
    _write(temporary, content)
    try:
        os.link(temporary, folder / PROCESS)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def main(folder: Path) -> None:
    """Run the job in `folder`, and record how it ended."""
    signalled: list[int] = []
    for number in STOPS:  # these signals are for the job; a handler is not inherited, ignoring would be
        signal.signal(number, lambda number, _: signalled.append(number))
    pid = os.getpid()
    if not claim(folder, {"host": socket.gethostname(), "pid": pid, "identity": identity(pid), "claimed": time.time()}):
        return
    job = json.loads((folder / JOB).read_text())
    if job["lifeline"] is not None:
        from daf.processes import lifeline

        lifeline.end_group_with(job["lifeline"])
    with Path(job["stdout"]).open("wb") as out, Path(job["stderr"]).open("wb") as err:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the child can take them
        try:
            child = subprocess.Popen(
                job["argv"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=job["cwd"],
                env=os.environ | job["environment"],
                preexec_fn=partial(_prepare_child, pid),
            )
        except OSError as error:
            err.write(f"cannot start {job['argv'][0]}: {error}\n".encode())
            _end(folder, CANNOT_START)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        if signalled:  # the signal came before the child could receive it
            child.send_signal(signal.SIGINT)
        _end(folder, child.wait())


def _end(folder: Path, code: int) -> None:
    temporary = folder / f".{EXIT}"
    _write(temporary, {"code": code, "ended": time.time()})
    temporary.replace(folder / EXIT)


def _prepare_child(supervisor: int) -> None:
    """In the child, before its command: restore Ctrl-C, and end when the supervisor ends."""
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it was killed before that took effect
            os._exit(1)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Sync the file before it gets its name; importing `daf.storage` would slow down every job."""
    with path.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
