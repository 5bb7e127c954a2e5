"""The connection of this process to Ray: made once, and silent.

Ray has one connection per process. The first user makes it, and it lasts until the process ends; so does the local
cluster that is started where no address is given. A program that called `ray.init` itself keeps its connection. Ray's
messages go to the log (`daf --verbose`), never to stdout.
"""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.compute._ray_worker import PACKAGES, versions_here
from daf.config.extras import require
from daf.errors import ExecutorError, UsageError, quoted
from daf.storage.printable import terminal_text

logger = logging.getLogger("daf.compute.ray")

NAMESPACE = "daf"
LOOPBACK = "127.0.0.1"
_CARRIED_VARIABLES = ("PYTHONPATH", "CUBLAS_WORKSPACE_CONFIG")
REACH_SECONDS = 5.0
"""How long an address may take to answer."""
PROBE_SECONDS = 60.0
_LOCAL_STORE_BYTES = 256 * 2**20
_CONNECTING = threading.Lock()
_MATCHING: set[str] = set()
"""Ids of nodes that have this machine's versions."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, or one of several nodes on it. versions: None if it did not answer."""

    node_id: str
    address: str
    host: str
    alive: bool
    resources: Mapping[str, float]
    versions: Mapping[str, str | None] | None = None

    @property
    def name(self) -> str:
        """For people: nodes of one machine differ in their ids only."""
        return f"{self.host} ({self.address}, {self.node_id[:8]})"


def connect(address: str | None) -> None:
    """Connect this process to the cluster at `address`, or start a cluster on this machine and connect to it.

    Raises `MissingExtraError`, `UsageError`, and `ExecutorError` if the cluster can't be reached.
    """
    require("ray", "--executor ray")
    with _CONNECTING:
        wanted = address or os.environ.get("RAY_ADDRESS") or None
        if _connected(wanted):
            return
        if threading.current_thread() is threading.main_thread():
            _initialize(wanted)
        else:
            _in_lasting_thread(lambda: _initialize(wanted))


def carried_variables() -> dict[str, str]:
    """The environment variables of this process that training on a node of the cluster needs."""
    return {name: value for name, value in os.environ.items() if name.startswith("DAF_") or name in _CARRIED_VARIABLES}


def current_address() -> str:
    """The address of the cluster that this process is connected to."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def nodes() -> list[Node]:
    """The nodes of the cluster, dead ones last."""
    import ray

    found = [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            node["NodeManagerHostname"],
            node["Alive"],
            {name: amount for name, amount in node["Resources"].items() if ":" not in name},
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
    ]
    return sorted(found, key=lambda node: (not node.alive, node.host, node.node_id))


def nodes_with_versions() -> list[Node]:
    """`nodes`, each living one asked for its versions."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def ask(packages: Sequence[str]) -> dict[str, str | None]:  # travels by value: DAF may be missing there
        import platform
        from importlib import metadata

        found: dict[str, str | None] = {"python": platform.python_version()}
        for name in packages:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = None
        return found

    remote = ray.remote(num_cpus=0, max_retries=0)(ask)
    known = nodes()
    asked = {
        node.node_id: remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        ).remote(PACKAGES)
        for node in known
        if node.alive
    }
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=PROBE_SECONDS)
    answers = {node_id: _answer(reference) for node_id, reference in asked.items()}
    return [
        Node(node.node_id, node.address, node.host, node.alive, node.resources, answers.get(node.node_id))
        for node in known
    ]


def differing(versions: Mapping[str, str | None]) -> list[str]:
    """What differs from this machine, as "torch 2.8.0 (here 2.9.0)"."""
    return [
        f"{name} {versions.get(name) or 'is missing'} (here {here or 'it is missing'})"
        for name, here in versions_here().items()
        if versions.get(name) != here
    ]


def check_versions() -> None:
    """Raise `ExecutorError` if a living node has other versions than this machine; each node is asked once."""
    living = {node.node_id for node in nodes() if node.alive}
    if len(living) < 2 or living <= _MATCHING:  # a cluster of one node is this machine
        return
    wrong = []
    for node in nodes_with_versions():
        if node.alive and node.versions is None:
            raise ExecutorError(
                f"node {node.name} of the Ray cluster did not answer within {PROBE_SECONDS:g} s. Its CPUs may be "
                "overloaded: see `daf cluster status`."
            )
        if node.alive and node.versions is not None and (found := differing(node.versions)):
            wrong.append(f"{node.name}: {', '.join(found)}")
    if wrong:
        raise other_versions(wrong)
    _MATCHING.update(living)


def other_versions(wrong: Sequence[str]) -> ExecutorError:
    """The refusal of nodes with other versions."""
    return ExecutorError(
        f"nodes of the Ray cluster have other versions, so their results could differ: {'; '.join(wrong)}. Install "
        "the same versions there, or accept that with --allow-version-mismatch."
    )


def _answer(reference: Any) -> dict[str, str | None] | None:
    import ray

    try:
        answer: dict[str, str | None] = ray.get(reference, timeout=0)
    except ray.exceptions.RayError:
        return None
    return answer


def _connected(wanted: str | None) -> bool:
    """Whether this process has a connection already. Raises `UsageError` if it is to another cluster than `wanted`."""
    if "ray" not in sys.modules:
        return False
    import ray

    if not ray.is_initialized():
        return False
    current = current_address()
    if wanted not in (None, "auto") and _host_and_port(wanted) != _host_and_port(current):
        raise UsageError(
            f"this process is connected to the Ray cluster at {current}, so it can't use {wanted}. A process has one "
            "connection: end it with ray.shutdown() first."
        )
    return True


def _initialize(address: str | None) -> None:
    prepare_environment(new_cluster=address is None)
    import ray

    if address is not None:
        address = _address_of_this_machine() if address == "auto" else ":".join(map(str, _host_and_port(address)))
        _check_reachable(address)
    _use_loopback(address is None or address.startswith(f"{LOOPBACK}:"))
    _send_messages_to_log()
    handler = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {
        "namespace": NAMESPACE,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": False,
    }
    try:
        if address is None:
            ray.init(
                address="local",  # None would join any cluster that runs on this machine
                num_cpus=cores(),
                include_dashboard=False,
                object_store_memory=_LOCAL_STORE_BYTES,
                _node_ip_address=LOOPBACK,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "a Ray cluster on this machine" if address is None else f"the Ray cluster at {address}"
        raise ExecutorError(f"no connection to {where}: {_reason(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray replaces it


def prepare_environment(*, new_cluster: bool) -> None:
    """What Ray reads from the environment when it is imported or started; what the user set takes precedence."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # under `uv run` Ray would upload the directory
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "RAY_AUTH_MODE" in os.environ:
        return
    if new_cluster and not has_token():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # for this process and those that it starts
    if has_token():
        os.environ["RAY_AUTH_MODE"] = "token"
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")  # read again: the program may have imported Ray before
        AuthenticationTokenLoader.instance().reset_cache()


def token_file() -> Path:
    """Where Ray looks for the token of this user, unless RAY_AUTH_TOKEN has it."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def has_token() -> bool:
    """Whether this user has a token for Ray."""
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or token_file().is_file()


def _address_of_this_machine() -> str:
    """The address of the cluster that was started last on this machine. Raises `ExecutorError` if there is none."""
    from ray._private.utils import read_ray_address

    found: str | None = read_ray_address()
    if not found:
        raise ExecutorError(
            "no Ray cluster is running on this machine. Start one with `daf cluster up --local N` or `ray start "
            "--head`, or leave out --address."
        )
    return found


def _use_loopback(yes: bool) -> None:
    """Let a cluster of one machine be reached by loopback only: Ray replaces 127.0.0.1 by the machine's address."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = not yes


def _send_messages_to_log() -> None:
    """Ray prints messages of its daemons to stdout, whatever `log_to_driver` says."""
    from ray._private import worker

    def log(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
        for line in data.get("lines", ()):
            logger.info("%s", terminal_text(str(line)))

    worker.print_to_stdstream = log


def _check_reachable(address: str) -> None:
    """Raise `ExecutorError` unless a Ray cluster answers that accepts this user's token."""
    try:
        socket.create_connection(_host_and_port(address), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise ExecutorError(
            f"no Ray cluster answers at {address}: {error.strerror or error}. Start one with `daf cluster up --local "
            "N` or `ray start --head`, or leave out --address to use this machine."
        ) from error
    probe = subprocess.Popen(
        [sys.executable, "-m", "daf.compute._ray_probe", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with probe:
        assert probe.stdout is not None
        probe.stdout.readline()  # importing Ray does not count
        try:
            output, errors = probe.communicate(timeout=REACH_SECONDS)
        except subprocess.TimeoutExpired:
            probe.kill()
            output, errors = probe.communicate()
        except BaseException:
            probe.kill()
            raise
    if "answers" in output:
        return
    if "Unauthenticated" in errors:
        raise ExecutorError(
            f"the Ray cluster at {address} does not accept the token of this user. Copy the token of its head node to "
            f"{token_file()}, or set RAY_AUTH_TOKEN."
        )
    raise ExecutorError(
        f"the server at {address} does not answer as a Ray cluster does. Give the address that `ray start` or `daf "
        "cluster up` printed."
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if "//" in address:
        raise UsageError(
            f"--address {quoted(address)}: Ray Client is not supported. Run the command on a machine of the cluster, "
            "with --address HOST:PORT as `ray start` printed it."
        )
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(f"--address must be HOST:PORT or auto, got {quoted(address)}.")
    return (LOOPBACK if host == "localhost" else host), int(port)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reason(error: BaseException) -> str:
    """The last line of an error, which may contain tracebacks of other processes."""
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    text = lines[-1][:600] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _in_lasting_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that never ends: a cluster that Ray starts ends with the thread that started it."""
    errors: list[BaseException] = []
    finished = threading.Event()

    def start() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finished.set()
        if not errors:
            threading.Event().wait()

    threading.Thread(target=start, name="daf-ray-start", daemon=True).start()
    finished.wait()
    if errors:
        raise errors[0]
