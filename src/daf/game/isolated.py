"""Run a function on foreign code in a separate process, with limits.

`call(function, argument)` returns what `function(argument)` returns there. Whatever that code does to its process
(raise SystemExit, call `os._exit`, hang, crash, print without end, exhaust memory) is a `PolicyError` here, or the
error class that the caller requests; nothing of it is imported into this process.

Not guaranteed: protection against malicious code. The process has the user's rights.
"""

import collections
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from daf.errors import DAFError, DamagedFileError, PolicyError
from daf.processes import lifeline
from daf.storage import reading

MEMORY_MIB = 8192
_TAIL_BYTES = 64 * 1024
"""Bytes kept of the process's stderr."""


def call[T](
    function: Callable[[T], Any],
    argument: T,
    *,
    seconds: float,
    memory_mib: int = MEMORY_MIB,
    doing: str,
    too_long: str = "",
    error: type[DAFError] = PolicyError,
) -> Any:
    """The return value of `function(argument)` in another process, as JSON values.

    function: at the top level of a module of DAF. argument: can be pickled. doing: the start of every message about
    that process ('"my_policy.py"'). too_long: what to do if it takes longer than `seconds`. Raises `error`; a
    `DAFError` of the function keeps its message.
    """
    with tempfile.TemporaryDirectory(prefix="daf-isolated-") as folder:
        asked, answer = Path(folder, "request"), Path(folder, "answer")
        path = [str(Path.cwd()), *sys.path]
        asked.write_bytes(pickle.dumps((path, memory_mib, function, argument, doing)))
        python, *rest = lifeline.command("daf.game.isolated_main", str(asked), str(answer))
        command = [python, "-P", *rest]  # a random.py in the current folder must not take the place of Python's
        try:
            code, printed = run(command, seconds=seconds, pass_fds=(lifeline.descriptor(),))
        except subprocess.TimeoutExpired:
            raise error(f"{doing} did not finish within {seconds:g} s. {too_long}".strip()) from None
        try:
            found = reading.read_json(answer, dict[str, Any])
        except DamagedFileError as damage:
            raise error(f"{doing} returned no answer: {damage.reason}.") from damage
    if found is None:
        raise error(f"{doing} ended its process: {_reason(code, printed, memory_mib)}")
    if "error" in found:
        raise error(found["error"])
    return found["value"]


def run(
    command: Sequence[str], *, seconds: float, cwd: Path | None = None, pass_fds: Sequence[int] = ()
) -> tuple[int, str]:
    """Run `command` and return its exit code and the end of its stderr.

    The command, and every process that it leaves behind, is killed when this returns or raises. Raises
    `subprocess.TimeoutExpired`.
    """
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, pass_fds=pass_fds,
    )  # fmt: skip
    assert process.stderr is not None
    tail: collections.deque[bytes] = collections.deque(maxlen=_TAIL_BYTES // 4096)
    reader = threading.Thread(target=_read, args=(process.stderr, tail), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(timeout=1)
    return code, b"".join(tail).decode("utf-8", errors="replace")


def last_line(printed: str) -> str:
    """The last line with text, where a traceback has its error."""
    return next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "")


def _read(stream: IO[bytes], tail: "collections.deque[bytes]") -> None:
    with stream:
        while chunk := os.read(stream.fileno(), 4096):
            tail.append(chunk)


def _reason(code: int, printed: str, memory_mib: int) -> str:
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    short = code in (-9, -6, -11) or "Memory" in printed
    hint = f" (the limit is {memory_mib} MiB of memory)" if short else ""
    return f"{how}{hint}. {last_line(printed)}".strip()


def main(asked: str, answer: str) -> None:
    """The other process: read the request in `asked`, call its function, write `answer`, and exit."""
    import resource

    path, memory_mib, function, argument, doing = pickle.loads(Path(asked).read_bytes())
    sys.path += [folder for folder in path if folder not in sys.path]
    with contextlib.suppress(ValueError, OSError):  # Linux counts private memory here; elsewhere it may fail
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mib << 20, memory_mib << 20))
    found = _outcome(function, argument, memory_mib, doing)
    part = Path(answer + ".part")
    part.write_bytes(msgspec.json.encode(found))
    part.replace(answer)
    os._exit(0)  # threads and exit handlers of the foreign code do not delay the answer


def _outcome(function: Callable[[Any], Any], argument: Any, memory_mib: int, doing: str) -> dict[str, Any]:
    limit = f"Its process may use {memory_mib} MiB of memory."
    try:
        return {"value": function(argument)}
    except DAFError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"{doing} needs more memory. {limit}"}
    except SystemExit as error:
        return {"error": f"{doing} ended its process: exit code {error.code} (SystemExit)."}
    except BaseException as error:
        short = any(sign in str(error) for sign in ("memory", "allocate", "map segment"))
        return {"error": f"{doing} failed: {type(error).__name__}: {error}.{' ' + limit if short else ''}"}
