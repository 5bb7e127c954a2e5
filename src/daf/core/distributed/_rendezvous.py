"""The rendezvous of a run: a store on machine 0, and torchrun's c10d protocol on it.

On one machine the store listens on the loopback interface and a free port. On several, any program that reaches the
port can take part in the run and execute code, as with torchrun; it belongs in a trusted network.

Importing this module imports torch.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from datetime import timedelta

import psutil
from torch._C._distributed_c10d import Store, TCPStore
from torch.distributed.elastic.rendezvous import RendezvousInfo
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import (
    DynamicRendezvousHandler,
    RendezvousTimeout,
)

from daf.core.distributed.launch import Launch, endpoint
from daf.errors import TrainingError, UsageError

LOOPBACK = "127.0.0.1"
RUN = "daf"
"""The name of the rendezvous; every run has a store, and one rendezvous in it."""
_LAST_CALL_SECONDS = 5
"""How long a run with a variable number of machines waits for more when it has the fewest."""
_HEARTBEAT_SECONDS, _MISSED_HEARTBEATS = 5, 3
_STORE_SECONDS = 60
RECONNECT_SECONDS = 30.0
"""How long a rank tries to reach the store, which its agent reached a moment ago."""
_TRY_SECONDS = 1.0


class Rendezvous(DynamicRendezvousHandler):
    """torchrun's handler, which also reports machines that disappeared."""

    def num_nodes_waiting(self) -> int:
        """The machines that have joined or disappeared since the ranks started: both make the agent restart them.

        Ranks notice a lost machine by its closed connections, but a machine without power closes none.
        """
        waiting: int = super().num_nodes_waiting()
        present = self._state_holder.state.participants
        return waiting + max(0, self._joined - len(present))

    def next_rendezvous(self) -> RendezvousInfo:
        """Wait for the machines of the next start."""
        info = super().next_rendezvous()
        self._joined: int = info.world_size
        return info


def handler(store: Store, launch: Launch, address: str) -> Rendezvous:
    """This machine's side of the rendezvous in `store`. address: at which the others reach it."""
    join = timedelta(seconds=launch.join_timeout)
    made: Rendezvous = Rendezvous.from_backend(
        RUN,
        store,
        C10dRendezvousBackend(store, RUN),
        launch.fewest,
        launch.most,
        address,
        RendezvousTimeout(join=join, last_call=timedelta(seconds=_LAST_CALL_SECONDS)),
        keep_alive_interval=_HEARTBEAT_SECONDS,
        keep_alive_max_attempt=_MISSED_HEARTBEATS,
    )
    return made


def host(launch: Launch) -> tuple[TCPStore, str, int]:
    """The store of a run on this machine, with its host and port. Raises `UsageError` if the port can't be used."""
    name, port = (LOOPBACK, 0) if launch.rendezvous is None else endpoint(launch.rendezvous)
    listening = _listening(name, port)
    port = listening.getsockname()[1]
    store = TCPStore(
        name,
        port,
        is_master=True,
        multi_tenant=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=_STORE_SECONDS),
        master_listen_fd=listening.detach(),
    )
    return store, name, port


def connect(name: str, port: int, seconds: float) -> TCPStore:
    """The store at `name`:`port`. seconds: how long to wait for it. Raises `TrainingError`."""
    deadline = time.monotonic() + seconds
    while True:  # not left to TCPStore, which prints a stack trace for every attempt
        try:
            socket.create_connection((name, port), timeout=max(_TRY_SECONDS, deadline - time.monotonic())).close()
            return TCPStore(
                name, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=_STORE_SECONDS)
            )
        except (OSError, RuntimeError) as error:
            if time.monotonic() + _TRY_SECONDS > deadline:
                raise TrainingError(
                    f"the rendezvous {name}:{port} can't be reached within {seconds:.0f} s ({error}). Start the "
                    "machine with --node-rank 0, and check the address and the firewall; --join-timeout sets the time.",
                    machine=True,
                ) from error
            time.sleep(_TRY_SECONDS)


def address_towards(name: str, port: int) -> str:
    """The address of this machine on its way to `name`."""
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((name, port))  # sends nothing: it only chooses the route
            address: str = probe.getsockname()[0]
    except OSError as error:
        raise UsageError(f"--rendezvous {name}:{port}: {name} can't be reached ({error}).") from error
    return address


def interface_of(address: str) -> str | None:
    """The name of the network interface with `address`, None if there is none."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address.split("%")[0] == address for each in addresses):
            return name
    return None


def _listening(name: str, port: int) -> socket.socket:
    try:
        family, _, _, _, where = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"--rendezvous {name}:{port}: {name} is not known here ({error}).") from error
    if _is_loopback(str(where[0])) and not _names_loopback(name):
        where = ("::" if family == socket.AF_INET6 else "0.0.0.0", *where[1:])  # Debian maps hosts to 127.0.1.1
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        why = error.strerror or str(error)
        raise UsageError(
            f"--rendezvous {name}:{port} can't be used on this machine, which has --node-rank 0: {why}. Choose another "
            "port if it is in use, or the address of this machine."
        ) from error
    return listening


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.split("%")[0]).is_loopback


def _names_loopback(name: str) -> bool:
    try:
        return _is_loopback(name)
    except ValueError:
        return name == "localhost"
