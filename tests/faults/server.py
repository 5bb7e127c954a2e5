"""A warm process that runs each command of DAF in a fork, with the shim armed: `python -m tests.faults.server`.

Each line on standard input is a JSON list of requests {"argv", "cwd", "root", "mode", "at", "error", "out", "env"},
which run at the same time. The answer is a line with the list of their exit codes, or minus the signals. The output of
each lies in out.stdout and out.stderr, and a line "operation path" for each call that the shim counted in out.calls.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import traceback

WARM = (
    "daf.game.preload", "daf.cli.main", "daf.cli.evaluate", "daf.cli.compare", "daf.cli.runs", "daf.cli.sweep",
    "daf.cli.report", "daf.comparison", "daf.evaluation", "daf.sweeps.operation", "cogames.cli.mission", "scipy.stats",
    "duckdb", "pyarrow.parquet",
)  # fmt: skip
SECONDS = 300
"""A command that takes longer hangs, and is aborted."""
MODES = {"off": 0, "count": 1, "kill": 2, "fail": 3, "fail_from": 4}


def main() -> None:
    for name in (*WARM, *sys.argv[1:]):
        importlib.import_module(name)
    shim = ctypes.CDLL(None)
    shim.shim_count.restype = ctypes.c_long
    shim.shim_arm.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    print("ready", flush=True)
    for line in sys.stdin:
        requests = json.loads(line)
        children = [_forked(request, shim) for request in requests]
        print(json.dumps([_code(child, pipe) for child, pipe in children]), flush=True)


def _forked(request: dict, shim: ctypes.CDLL) -> tuple[int, int]:
    """Start a command; its process, and a pipe that ends when it does."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _run(request, shim, write)
    os.close(write)
    return child, read


def _code(child: int, pipe: int) -> int:
    """The exit code of a command, or minus the signal, once it has ended."""
    if not select.select([pipe], [], [], SECONDS)[0]:
        os.kill(child, signal.SIGABRT)
    os.close(pipe)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _run(request: dict, shim: ctypes.CDLL, pipe: int) -> None:
    """Become the command. Never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        os.set_inheritable(pipe, False)
        files = [os.open(request["out"] + end, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) for end in (".stdout", ".stderr")]
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(request["out"] + ".calls", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
        for source, target in zip((nothing, *files), (0, 1, 2), strict=True):
            os.dup2(source, target)
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        sys.argv = ["daf", *request["argv"]]
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
        from daf.cli.main import main as daf

        if shim.shim_arm(os.fsencode(request["root"]), MODES[request["mode"]], request["at"], request["error"], log):
            raise OSError(f"the shim cannot be armed for {request['root']}")
        daf()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        shim.shim_disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
