"""Run a function on foreign code in a separate process, with limits.

`call(function, argument)` returns what `function(argument)` returns there. Whatever that code does to its process
(raise SystemExit, call `os._exit`, hang, crash, print without end, exhaust memory) is a `PolicyError` here, or the
error class that the caller requests; nothing of it is imported into this process. With a `Confinement` the process also
has no secrets, its own home and no network, and imports nothing from this process's folders.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from daf.errors import DAFError, DamagedFileError, PolicyError
from daf.processes import lifeline
from daf.processes.confined import Confinement
from daf.storage import reading

MEMORY_MIB = 8192
_TAIL_BYTES = 64 * 1024
"""Bytes kept of the process's stderr."""
_reports: int | None = None
"""In the other process: where `report` writes."""


def call[T](
    function: Callable[[T], Any],
    argument: T,
    *,
    seconds: float,
    memory_mib: int = MEMORY_MIB,
    doing: str,
    too_long: str = "",
    error: type[DAFError] = PolicyError,
    confinement: Confinement | None = None,
    on_report: Callable[[str], None] | None = None,
) -> Any:
    """The return value of `function(argument)` in another process, as JSON values.

    function: at the top level of a module of DAF. argument: can be pickled. doing: the start of every message about
    that process ('"my_policy.py"'). too_long: what to do if it takes longer than `seconds`. confinement: what else the
    process must do without; its memory limit replaces `memory_mib`. on_report: called, in another thread, with what the
    function passes to `report`. Raises `error`; a `DAFError` of the function keeps its message.
    """
    memory_mib = memory_mib if confinement is None else confinement.memory_mib
    with tempfile.TemporaryDirectory(prefix="daf-isolated-") as folder, _reading_reports(on_report) as reports:
        asked, answer = Path(folder, "request"), Path(folder, "answer")
        path = [str(Path.cwd()), *sys.path] if confinement is None else []
        asked.write_bytes(pickle.dumps((path, memory_mib, function, argument, doing, reports)))
        python, *rest = lifeline.command("daf.game.isolated_main", str(asked), str(answer))
        command = [python, "-P", *rest]  # a random.py in the current folder must not take the place of Python's
        shared = (lifeline.descriptor(),) if reports is None else (lifeline.descriptor(), reports)
        try:
            code, printed = run(command, seconds=seconds, pass_fds=shared, confinement=confinement)
        except subprocess.TimeoutExpired:
            raise error(f"{doing} did not finish within {seconds:g} s. {too_long}".strip()) from None
        try:
            found = reading.read_json(answer, dict[str, Any])
        except DamagedFileError as damage:
            raise error(f"{doing} returned no answer: {damage.reason}.") from damage
    if found is None:
        raise error(f"{doing} ended its process: {_reason(code, printed, memory_mib, confinement)}")
    if "error" in found:
        raise error(found["error"])
    return found["value"]


def report(text: str) -> None:
    """In a function that `call` runs: pass one line of text to the caller's `on_report`, if it has one."""
    if _reports is not None:
        os.write(_reports, text.encode() + b"\n")


def run(
    command: Sequence[str],
    *,
    seconds: float,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    confinement: Confinement | None = None,
) -> tuple[int, str]:
    """Run `command` and return its exit code and the end of its stderr. Confined, it runs in its home by default.

    The command, and every process that it leaves behind, is killed when this returns or raises. Raises
    `subprocess.TimeoutExpired`.
    """
    environment = None
    if confinement is not None:
        command, environment = confinement.command(*command), confinement.environment()
        cwd = cwd or confinement.home
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
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


@contextlib.contextmanager
def _reading_reports(on_report: Callable[[str], None] | None) -> Iterator[int | None]:
    """The descriptor that the other process writes reports to; all of them have been passed on after the block."""
    if on_report is None:
        yield None
        return
    theirs, ours = os.pipe()

    def read() -> None:
        with os.fdopen(theirs, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                on_report(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield ours
    finally:
        os.close(ours)
        reader.join(timeout=1)


def _reason(code: int, printed: str, memory_mib: int, confinement: Confinement | None) -> str:
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    short = code in (-9, -6, -11) or "Memory" in printed
    hint = f" (the limit is {memory_mib} MiB of memory)" if short else ""
    if code == -signal.SIGXCPU and confinement is not None:
        hint = f" (the limit is {confinement.cpu_seconds} s of CPU time)"
    return f"{how}{hint}. {last_line(printed)}".strip()


def main(asked: str, answer: str) -> None:
    """The other process: read the request in `asked`, call its function, write `answer`, and exit."""
    import resource

    global _reports
    path, memory_mib, function, argument, doing, _reports = pickle.loads(Path(asked).read_bytes())
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
