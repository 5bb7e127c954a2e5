"""Load a policy in a process of its own, look at it, and play with it: what it is, needs and does.

`probe` starts the process with a limit on its memory and its time; whatever the policy's code does there (hang, crash,
call `os._exit`, eat memory) ends as a `PolicyError` here. Nothing of the policy is imported into this process.
Not promised: protection against code that means harm; the process has the user's rights. What runs in it:
`daf.game.policy_probing`.
"""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.errors import PolicyError
from daf.processes import lifeline

MEMORY_MIB = 8192
SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to look at.

    policy: anything that `daf.game.policies.resolve` takes. config: of the mission to play, as JSON. steps: at most so
    many of an episode. cache, runs: as `resolve` takes them. device: where networks compute. memory_mib: the process's
    private memory.
    """

    policy: Any
    config: bytes
    seed: int
    steps: int
    cache: Path
    runs: Path | None
    device: str = "cpu"
    memory_mib: int = MEMORY_MIB


def probe(request: ProbeRequest, *, seconds: float = SECONDS) -> dict[str, Any]:
    """What the process found, as JSON values. Raises `PolicyError`, also where the process dies or takes too long."""
    with tempfile.TemporaryDirectory(prefix="daf-probe-") as folder:
        asked, answer = Path(folder, "request"), Path(folder, "result")
        asked.write_bytes(pickle.dumps((request, [str(Path.cwd()), *sys.path])))
        process = subprocess.Popen(
            lifeline.command("daf.game.policy_probing", str(asked), str(answer)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(lifeline.descriptor(),),
        )
        try:
            _, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            raise PolicyError(
                f'policy "{shown(request)}" was not done after {seconds:g} s: loading, and four episodes of '
                f"{request.steps} steps. It hangs, or needs a longer limit (--time-limit) or fewer steps (--max-steps)."
            ) from None
        except BaseException:
            _end(process)
            raise
        found = _read(answer)
    if found is None:
        reason = _reason(process.returncode, told.decode(errors="replace"), request)
        raise PolicyError(f'policy "{shown(request)}" ended its process: {reason}')
    if "error" in found:
        raise PolicyError(found["error"])
    return found


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _read(answer: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(answer.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _reason(code: int, told: str, request: ProbeRequest) -> str:
    last = next((line for line in reversed(told.strip().splitlines()) if line.strip()), "")
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    hint = f" (the limit is {request.memory_mib} MiB of memory)" if code in (-9, -6, -11) or "Memory" in told else ""
    return f"{how}{hint}. {last}".strip()


def shown(request: ProbeRequest) -> str:
    """The policy's name for people, before it is resolved."""
    return getattr(request.policy, "name", None) or str(request.policy)
