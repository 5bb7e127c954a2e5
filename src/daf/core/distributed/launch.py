"""Where the ranks of a training run are started: the machines, how they find each other, and how failures are handled.

Importing this module does not import torch.
"""

import os
import re
from dataclasses import dataclass

from daf.compute.interface import ClusterOptions
from daf.errors import UsageError

MAX_RESTARTS = 3
JOIN_TIMEOUT = 600
DEFAULT_PORT = 29400
"""torchrun's."""
RANKS = "system/ranks"
"""The metric with the number of ranks of an update, in runs of several."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One machine's part in a run.

    fewest, most: number of machines with which the run trains. node_rank: the number of this machine; 0 has the run
    directory and hosts the rendezvous. rendezvous: HOST:PORT of machine 0; None on one machine, where a free port is
    chosen. max_restarts: how often lost ranks are replaced before the run fails. join_timeout: seconds to wait for the
    other machines, at the start and after a loss. cluster: the Ray cluster whose workers are the ranks, instead of
    processes of these machines; join_timeout is then how long to wait for room on it. Raises `UsageError`.
    """

    fewest: int = 1
    most: int = 1
    node_rank: int = 0
    rendezvous: str | None = None
    max_restarts: int = MAX_RESTARTS
    join_timeout: int = JOIN_TIMEOUT
    cluster: ClusterOptions | None = None

    def __post_init__(self) -> None:
        if self.cluster is not None and (self.most > 1 or self.node_rank or self.rendezvous is not None):
            raise UsageError(
                "--nodes, --node-rank and --rendezvous are for machines without Ray. With --executor ray, start the "
                "command once: Ray places the --num-workers workers on its nodes."
            )
        if not 1 <= self.fewest <= self.most:
            raise UsageError(f"--nodes {self.fewest}:{self.most}: must be N or MIN:MAX with 1 ≤ MIN ≤ MAX.")
        if not 0 <= self.node_rank < self.most:
            raise UsageError(
                f"--node-rank {self.node_rank}: must be from 0 to {self.most - 1} with --nodes {self.nodes_text}."
            )
        if self.max_restarts < 0:
            raise UsageError(f"--max-restarts must be 0 or more, got {self.max_restarts}.")
        if self.join_timeout < 1:
            raise UsageError(f"--join-timeout must be 1 second or more, got {self.join_timeout}.")
        if self.most > 1 and self.rendezvous is None:
            raise UsageError(
                f"--nodes {self.nodes_text} needs --rendezvous HOST:PORT, the same on all machines: the address of the "
                "machine with --node-rank 0, and a port that is free there."
            )
        if self.rendezvous is not None:
            if self.most == 1:
                raise UsageError("--rendezvous is for several machines; give their number with --nodes.")
            endpoint(self.rendezvous)

    @property
    def nodes_text(self) -> str:
        """The number of machines as an option: "2" or "1:2"."""
        return str(self.most) if self.fewest == self.most else f"{self.fewest}:{self.most}"

    def quiet_connections(self) -> None:
        """Without torch's stack traces for lost connections, if torch is not loaded yet: it reads this when it is."""
        if self.most > 1:
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

    def options(self) -> tuple[str, ...]:
        """The options of `daf train` for it."""
        machines = self.cluster_options()
        if self.rendezvous is not None:
            machines = ("--nodes", self.nodes_text, "--node-rank", str(self.node_rank), "--rendezvous", self.rendezvous)
        limits = ("--max-restarts", str(self.max_restarts), "--join-timeout", str(self.join_timeout))
        return (*machines, *limits)

    def cluster_options(self) -> tuple[str, ...]:
        """The options of `daf train` for its Ray cluster; a run that is resumed needs them again."""
        if self.cluster is None:
            return ()
        options = ["--executor", "ray"]
        options += [] if self.cluster.address is None else ["--address", self.cluster.address]
        cpus = self.cluster.cpus_per_episode
        options += [] if cpus == ClusterOptions().cpus_per_episode else ["--cpus-per-episode", f"{cpus:g}"]
        options += ["--allow-version-mismatch"] if self.cluster.allow_version_mismatch else []
        return tuple(options)


def nodes_of(text: str) -> tuple[int, int]:
    """The fewest and the most machines of --nodes: "2" or "1:2". Raises `UsageError`."""
    found = re.fullmatch(r"(\d{1,4})(?::(\d{1,4}))?", text.strip())
    if found is None:
        raise UsageError(f'--nodes "{text}": must be the number of machines, or MIN:MAX, such as 2 or 1:2.')
    return int(found[1]), int(found[2] or found[1])


def endpoint(text: str) -> tuple[str, int]:
    """The host and port of --rendezvous: "host:29400", "[::1]:29400". Raises `UsageError`."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:(\d{1,5})|([^:\s/]+):(\d{1,5})", text.strip())
    port = 0 if found is None else int(found[2] or found[4])
    if found is None or not 1 <= port <= 65535:
        raise UsageError(f'--rendezvous "{text}": must be HOST:PORT, such as 10.0.0.5:29400.')
    return found[1] or found[3], port
