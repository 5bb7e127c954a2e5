"""An executable `sky` for tests: it records its arguments, and runs the tasks of managed jobs on this machine.

`install(folder)` writes the programs `sky` and `uv`; a test puts the folder first on PATH.
"""

import json
import sys
from pathlib import Path

SKY = """#!{python}
import json, os, signal, subprocess, sys
from pathlib import Path
import yaml

here = Path({folder!r})
arguments = sys.argv[1:]
with (here / "calls").open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
jobs = here / "jobs"
jobs.mkdir(exist_ok=True)
if (here / "broken").exists():
    sys.exit("no cloud is enabled")

def state(job):
    pid = int((job / "pid").read_text())
    try:
        with open(f"/proc/{{pid}}/stat") as file:
            alive = file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        alive = False
    if (job / "cancelled").exists():
        return "CANCELLED"
    return "RUNNING" if alive else "SUCCEEDED" if (job / "ended").exists() else "FAILED"

if arguments[:2] == ["jobs", "launch"]:
    task = yaml.safe_load(Path(arguments[-1]).read_text())
    job = jobs / task["name"]
    job.mkdir()
    script = task["run"].replace("$HOME/.local/bin", str(here)) + f"touch {{job / 'ended'}}\\n"
    secrets = {{word.partition("=")[2] for word in arguments if word.startswith("--secret=")}}
    assert secrets == set(task.get("secrets", {{}})) <= set(os.environ)
    process = subprocess.Popen(
        ["bash", "-c", script], env=os.environ | task["envs"], cwd=task["workdir"], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(job / "stderr").open("w"),
    )
    (job / "pid").write_text(str(process.pid))
elif arguments[:2] == ["jobs", "queue"]:
    print(json.dumps([{{"job_name": job.name, "status": state(job)}} for job in sorted(jobs.iterdir())]))
elif arguments[:2] == ["jobs", "cancel"]:
    job = jobs / arguments[arguments.index("--name") + 1]
    os.killpg(int((job / "pid").read_text()), signal.SIGKILL)
    (job / "cancelled").touch()
"""
UV = """#!/bin/bash
[ "$1 $2 $3" = "run --frozen --no-sync" ] || exit 64
shift 3
if [ "$1" = python ]; then shift; exec {python} "$@"; fi
echo "$@" >> {folder}/commands
"""


def install(folder: Path) -> Path:
    """Write the programs into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("sky", SKY), ("uv", UV)):
        program = folder / name
        program.write_text(text.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
    return folder


def calls(folder: Path) -> list[list[str]]:
    """The arguments of all calls of `sky`."""
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
