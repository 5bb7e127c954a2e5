"""What DAF adds to Ray Train: the network interface of each worker, and sentences for what was lost.

Importing this module imports Ray Train and torch; only the launcher and Ray Train's own processes do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import ControllerError, TrainingFailedError, UserCallback, WorkerGroupError
from ray.train.torch import TorchConfig
from ray.train.v2._internal.exceptions import (
    InsufficientClusterResourcesError,
    UserExceptionWithTraceback,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
    WorkerHealthCheckTimeoutError,
)

from daf.core.distributed._ray_outcome import Outcome

_LOST_PEER = "LostPeerError"


class _OnNodesInterface(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        """Choose the interface in every worker, then form the process group."""
        worker_group.execute(_use_interface_of_node)
        super().on_start(worker_group, backend_config)


@dataclass
class OnNodesInterface(TorchConfig):
    """Ranks exchange tensors over the interface with the address by which Ray knows their node.

    The default is that of the host's name, which may be a loopback address.
    """

    @property
    def backend_cls(self) -> Any:
        """See the class."""
        return _OnNodesInterface


def _use_interface_of_node() -> None:
    from daf.core.distributed._rendezvous import interface_of

    interface = interface_of(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if interface is not None:
            os.environ.setdefault(name, interface)


class Losses(UserCallback):
    """Lets the launcher know which workers were lost."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
        """Called in the controller of Ray Train."""
        preempted = any(getattr(error, "preempted", False) for error in worker_exceptions.values())
        self._launcher.lost.remote(reason_of(worker_exceptions), preempted=preempted)


def outcome_of(fit: Callable[[], object]) -> Outcome:
    """Call `fit`, and say how it ended."""
    try:
        fit()
    except WorkerGroupError as error:
        return Outcome("lost", reason_of(error.worker_failures))
    except ControllerError as error:
        cause = error.controller_failure
        waiting = isinstance(cause, (WorkerGroupStartupTimeoutError, InsufficientClusterResourcesError))
        return Outcome("no room" if waiting else "error", _text(cause))
    except TrainingFailedError as error:  # the nodes were taken away
        return Outcome("lost", _text(error))
    return Outcome("finished")


def reason_of(failures: Mapping[int, Exception]) -> str:
    """What happened to the ranks, in one clause; the loss of another rank is not counted as a cause."""
    clauses = {rank: _clause(rank, error) for rank, error in sorted(failures.items())}
    causes = [clause for clause in clauses.values() if _LOST_PEER not in clause]
    return causes[0] if causes else "a rank was lost"


def _clause(rank: int, error: Exception) -> str:
    if isinstance(error, WorkerHealthCheckFailedError):
        error = error.health_check_failure
    if isinstance(error, WorkerHealthCheckTimeoutError):
        return f"rank {rank} stopped answering"
    if isinstance(error, UserExceptionWithTraceback):
        return f"rank {rank} failed: {_text(error._base_exc)}"
    if isinstance(error, RayActorError):
        text = str(error)
        if "its node has died" in text:
            return f"the node of rank {rank} was lost"
        if "running low on memory" in text:  # "memory" alone is among the guesses of every message
            return f"rank {rank} was killed because its node ran out of memory"
        return f"the process of rank {rank} died"
    return f"rank {rank} was lost: {_text(error)}"


def _text(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:600].removesuffix(".")
