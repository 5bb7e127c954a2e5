"""A Ray cluster on this machine that outlives the command that started it, until it is stopped.

`start` records the processes that it started, and `stop` ends these and what they started, nothing else: a process
counts as the recorded one only if it also started at the same time. The cluster listens on the loopback address, and
accepts who has the token of this user (`~/.ray/auth_token`, or where RAY_AUTH_TOKEN_PATH says).
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec
import psutil

from daf.compute import _ray_cluster as ray_cluster
from daf.config.extras import require
from daf.errors import ExecutorError, UsageError
from daf.storage.atomic import write_json
from daf.storage.reading import read_json

LARGEST = 64
_STORE_BYTES = 128 * 2**20
_START_SECONDS = 120.0
_END_SECONDS = 5.0
"""How long the processes may take to end before they are killed."""


class _Process(TypedDict):
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    created: float


class LocalCluster(TypedDict):
    """A cluster that `start` started. nodes: how many; cpus: of each."""

    address: str
    nodes: int
    cpus: int
    processes: list[_Process]


def start(nodes: int, cpus_per_node: int | None = None) -> LocalCluster:
    """Start a cluster of `nodes` nodes. Raises `UsageError` while one is running, and `ExecutorError`.

    cpus_per_node: None divides the cores of this machine among the nodes, at least one each.
    """
    require("ray", "daf cluster")
    if not 1 <= nodes <= LARGEST:
        raise UsageError(f"--local must be 1 to {LARGEST} nodes, got {nodes}.")
    cpus = max(1, ray_cluster.cores() // nodes) if cpus_per_node is None else cpus_per_node
    if not 1 <= cpus <= 1024:
        raise UsageError(f"--cpus-per-node must be 1 to 1024, got {cpus}.")
    running = running_cluster()
    if running is not None:
        raise UsageError(
            f"a cluster of {running['nodes']} nodes is running at {running['address']}. Stop it with `daf "
            "cluster down`."
        )
    _make_token()
    ray_cluster.prepare_environment(new_cluster=False)
    command = [sys.executable, "-m", "daf.compute._ray_starter", str(nodes), str(cpus), str(_STORE_BYTES)]
    log = _state_file().with_name("cluster.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        starter = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = starter.wait(_START_SECONDS)
        except BaseException as error:
            _end(_with_children([psutil.Process(starter.pid)]))
            if isinstance(error, subprocess.TimeoutExpired):
                raise ExecutorError(f"the cluster did not start within {_START_SECONDS:g} s. See {log}.") from error
            raise
    found = _answer(log) if code == 0 else None
    if found is None:
        raise ExecutorError(f"the cluster did not start. The last lines of {log} say why: {_end_of(log)}")
    cluster = LocalCluster(nodes=nodes, cpus=cpus, address=found["address"], processes=found["processes"])
    write_json(_state_file(), cluster)
    return cluster


def running_cluster() -> LocalCluster | None:
    """The cluster that `start` started, if its head is still running."""
    cluster = read_json(_state_file(), LocalCluster)
    return cluster if cluster is not None and _living(cluster) else None


def stop() -> LocalCluster | None:
    """End the cluster that `start` started, and return it; None if none is running."""
    cluster = read_json(_state_file(), LocalCluster)
    if cluster is None:
        return None
    living = _living(cluster)
    _end(_with_children(living))
    _state_file().unlink(missing_ok=True)
    return cluster if living else None


def _state_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "daf", "cluster.json")


def _make_token() -> None:
    """A token that only this user can read, where Ray looks for it, unless there is one."""
    if ray_cluster.has_token():
        return
    path = ray_cluster.token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def _answer(log: Path) -> "LocalCluster | None":
    for line in reversed(_lines(log)):
        with contextlib.suppress(ValueError):
            found: LocalCluster = json.loads(line)
            return found
    return None


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if line.strip()]


def _end_of(log: Path) -> str:
    return " / ".join(_lines(log)[-3:]) or "nothing."


def _living(cluster: LocalCluster) -> list[psutil.Process]:
    found = []
    for each in cluster["processes"]:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(each["pid"])
            if process.create_time() == each["created"] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _with_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The processes and all that they started, while their relation can still be seen."""
    found = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found += process.children(recursive=True)
    return list(dict.fromkeys(found))


def _end(processes: list[psutil.Process]) -> None:
    """SIGTERM, and SIGKILL for those that remain; psutil signals no process that took over a pid."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + _END_SECONDS
    _, left = psutil.wait_procs(processes, timeout=max(0.0, deadline - time.monotonic()))
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_END_SECONDS)
