"""What a SkyPilot machine runs for a job: `python -m daf.core.jobs._sky_worker JOB_FOLDER`.

The job's directory is in storage that this machine shares with the launching one. The command appends to the job's
files; `exit.json` has how it ended. SkyPilot runs this again on another machine if this one is lost, and then the
command resumes. A file `interrupt` in the directory asks the command to save and end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from daf.core.jobs._supervisor import CANNOT_START, EXIT, JOB

INTERRUPT = "interrupt"
_POLL_SECONDS = 1.0


def main(folder: Path) -> None:
    """Run the job in `folder`, unless it has ended."""
    if (folder / EXIT).exists():
        return
    job = json.loads((folder / JOB).read_text())
    with Path(job["stdout"]).open("ab") as out, Path(job["stderr"]).open("ab") as err:
        try:
            child = subprocess.Popen(
                [sys.executable, *job["arguments"]] if job["python"] else job["arguments"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | job["environment"],
            )
        except OSError as error:
            err.write(f"cannot start {job['arguments'][0]}: {error}\n".encode())
            _end(folder, CANNOT_START)
            return
        asked = False
        while True:
            try:
                code = child.wait(_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if not asked and (folder / INTERRUPT).exists():
                    child.send_signal(signal.SIGINT)
                    asked = True
    _end(folder, code)


def _end(folder: Path, code: int) -> None:
    temporary = folder / f".{EXIT}"
    temporary.write_text(json.dumps({"code": code, "ended": time.time()}))
    temporary.replace(folder / EXIT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
