"""What commands cost that play nothing or little, compared with importing CoGames once.

    .venv-full/bin/python benchmarks/startup.py [--pairs 5]

Every command runs in turn with `python -c "import cogames.cli.mission"`, in processes that start cold and read the
same warm disk. The table has the ratio of their CPU times (user and system, of all processes that a command started,
the fork server and its workers included), which another load on the machine changes little, and of their times on the
clock, which it does. Repeated commands must give the same answer every time; a difference ends the benchmark.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
GAME = [PYTHON, "-c", "import cogames.cli.mission"]
EIGHT = ["evaluate", "-p", "noop", "-m", "training_facility_1,max_steps=50", "-e", "8"]
SUBREAPER = 36
"""Of prctl: orphans become children of this process, so that their CPU time is known here."""


@dataclass(frozen=True)
class Cost:
    """Of one call, in seconds: processor time of all its processes, and time on the clock."""

    cpu: float
    wall: float


def cost_of(command: list[str], folder: Path) -> tuple[Cost, str]:
    """Run `command`, wait for every process that it left, and return its cost and what it printed."""
    environment = os.environ | {"DAF_OUTPUT_DIR": str(folder / "out"), "XDG_CACHE_HOME": str(folder / "kept")}
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.DEVNULL)
        cpu, wall, status = 0.0, 0.0, 0
        while True:
            try:
                pid, code, used = os.wait4(-1, 0)
            except ChildProcessError:
                break
            cpu += used.ru_utime + used.ru_stime
            if pid == process.pid:
                wall, status = time.perf_counter() - begun, code
        process.returncode = status
        out.seek(0)
        printed = out.read()
    if status:
        raise SystemExit(f"{command} failed: {printed[-2000:]}")
    return Cost(cpu, wall), printed


def answer_of(printed: str) -> str:
    """The part of a command's answer that every repetition must have."""
    if not printed.startswith("{"):
        return printed
    data = json.loads(printed)
    kept = {name: data.get(name) for name in ("status", "ranking", "pairs", "matrix", "vor", "missions", "policies")}
    return json.dumps(kept, sort_keys=True)


def daf(*arguments: str) -> list[str]:
    return [str(Path(PYTHON).with_name("daf")), *arguments]


def commands() -> dict[str, list[str]]:
    """The commands by what is measured; `{n}` becomes another number in every call."""
    short = ["-m", "training_facility_2,max_steps=50,cogs=2", "-e", "8", "--json"]
    return {
        "repeat quickstart": daf("quickstart", "--json"),
        "repeat compare": daf("compare", "-p", "noop", "-p", "random", *short),
        "repeat score": daf("score", "noop", "--pool", "random", *short),
        "repeat crossplay": daf("crossplay", "-p", "noop", "-p", "random", *short),
        "quickstart --rerun": daf("quickstart", "--json", "--rerun"),
        "report latest": daf("report", "latest", "--json"),
        "runs": daf("runs"),
        "missions": daf("missions", "--json"),
        "missions --variants": daf("missions", "--variants", "--json"),
        "policies": daf("policies", "--json"),
        "8 short episodes": daf(*EIGHT, "--seed", "{n}", "--json"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="calls of each command (5)")
    parser.add_argument("--only", help="measure the commands whose name contains this")
    options = parser.parse_args()
    if ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0) != 0:
        raise SystemExit("this machine can't count the CPU time of processes that outlive the one that started them")
    chosen = {name: command for name, command in commands().items() if options.only is None or options.only in name}
    with tempfile.TemporaryDirectory(prefix="daf-startup-") as path:
        folder = Path(path)
        number = 0
        for command in chosen.values():
            cost_of([part.format(n=0) for part in command], folder)
        cost_of(GAME, folder)
        print(f"{'command':24} {'CPU s':>7} {'game s':>7} {'CPU ratio':>10} {'clock ratio':>12}")
        for name, command in chosen.items():
            pairs, answers = [], set()
            for _ in range(options.pairs):
                number += 100
                cost, printed = cost_of([part.format(n=number) for part in command], folder)
                if "{n}" not in command and name not in ("runs", "report latest"):
                    answers.add(answer_of(printed))
                pairs.append((cost, cost_of(GAME, folder)[0]))
            if len(answers) > 1:
                raise SystemExit(f"{name}: the answers differ")
            cpu = statistics.median(own.cpu / game.cpu for own, game in pairs)
            wall = statistics.median(own.wall / game.wall for own, game in pairs)
            own, game = (statistics.median(pair[place].cpu for pair in pairs) for place in (0, 1))
            print(f"{name:24} {own:7.2f} {game:7.2f} {cpu:10.2f} {wall:12.2f}", flush=True)


if __name__ == "__main__":
    main()
