"""What a Ray cluster consists of, and which of its nodes have other versions than this machine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from daf.compute import _ray_cluster as ray_cluster
from daf.compute._ray_worker import versions_here
from daf.compute.local_cluster import running_cluster
from daf.errors import UsageError


@dataclass(frozen=True)
class NodeStatus:
    """A node. versions: by package, None if it did not answer. differences: from this machine, as phrases."""

    name: str
    address: str
    alive: bool
    resources: Mapping[str, float]
    versions: Mapping[str, str | None] | None
    differences: tuple[str, ...]


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster. versions: of this machine."""

    address: str
    versions: Mapping[str, str | None]
    nodes: tuple[NodeStatus, ...]

    @property
    def problems(self) -> list[str]:
        """Why the cluster would not be used as it is; empty if it would."""
        found = [f"{node.name} did not answer" for node in self.nodes if node.alive and node.versions is None]
        return found + [f"{node.name}: {', '.join(node.differences)}" for node in self.nodes if node.differences]

    def total(self, resource: str) -> float:
        """The amount of "CPU", "GPU" or "memory" (bytes) that living nodes have."""
        return sum(node.resources.get(resource, 0.0) for node in self.nodes if node.alive)

    def to_data(self) -> dict[str, Any]:
        """All fields, as JSON data."""
        return asdict(self) | {"problems": self.problems}


def cluster_status(address: str | None = None) -> ClusterStatus:
    """The cluster at `address`; None for the one that `daf cluster up` started.

    Asks each living node for its versions. Raises `UsageError`, `ExecutorError`, `MissingExtraError`.
    """
    if address is None:
        local = running_cluster()
        if local is None:
            raise UsageError(
                "no cluster is running that `daf cluster up` started. Name another one: daf cluster status --address "
                "HOST:PORT."
            )
        address = local["address"]
    ray_cluster.connect(address)
    return _connected_status()


def own_cluster_status(address: str | None) -> ClusterStatus:
    """Like `cluster_status`, but None starts a cluster on this machine, as `--executor ray` does."""
    ray_cluster.connect(address)
    return _connected_status()


def _connected_status() -> ClusterStatus:
    nodes = []
    for node in ray_cluster.nodes_with_versions():
        differences = () if node.versions is None else tuple(ray_cluster.differing(node.versions))
        nodes.append(NodeStatus(node.name, node.address, node.alive, node.resources, node.versions, differences))
    return ClusterStatus(ray_cluster.current_address(), versions_here(), tuple(nodes))
