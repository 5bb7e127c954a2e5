"""Processes on one machine that train one network together, each on separate environments.

Gradients are averaged before every step (data parallelism), so that all have the same weights at all times; the other
inputs of the next update (returns for the curriculum, the scale of rewards) are gathered in the order of ranks. The
processes communicate over the loopback interface.

Importing this module imports torch.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from daf.errors import TrainingError
from daf.storage.foreign_paths import argument

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others."""


class ProcessGroup:
    """This process as a member of the group.

    rendezvous: a path that does not exist yet, the same for all processes.
    """

    def __init__(self, rank: int, world: int, rendezvous: Path, device: str) -> None:
        """Raises `TrainingError` if the others don't join."""
        self.rank, self.world = rank, world
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        # NCCL refuses two processes on one GPU; if there are fewer GPUs than processes, gradients go through gloo.
        backend = "nccl" if device.startswith("cuda") and torch.cuda.device_count() >= world else "gloo"
        self._on_gpu = backend == "nccl"
        try:
            # not a file:// URL, which would end at "?" and "#" in the name of a directory
            store = dist.FileStore(argument(rendezvous), world)  # type: ignore[attr-defined]
            with _native_stdout_to_stderr():
                dist.init_process_group(
                    backend=f"cpu:gloo,cuda:{backend}" if self._on_gpu else "gloo",
                    store=store,
                    rank=rank,
                    world_size=world,
                    timeout=TIMEOUT,
                )
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the {world} training processes could not form a group: {error}", machine=True
            ) from error

    def average_gradients(self, network: torch.nn.Module) -> None:
        """Replace the gradients in every process by their mean; one message for all parameters."""
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        # One message: the latency of an all-reduce is paid once per step instead of once per parameter.
        together = torch.cat([gradient.reshape(-1) for gradient in gradients])
        shared = together if self._on_gpu or together.device.type == "cpu" else together.cpu()
        self._reduce(shared)
        shared /= self.world
        offset = 0
        for gradient in gradients:
            count = gradient.numel()
            gradient.copy_(shared[offset : offset + count].view_as(gradient))
            offset += count

    def average(self, number: float) -> float:
        """The mean of the numbers of all processes."""
        return sum(self.gather(number)) / self.world

    def gather[T](self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        found: list[T | None] = [None] * self.world
        try:
            dist.all_gather_object(found, value)
        except RuntimeError as error:
            raise TrainingError(f"a training process has ended: {error}", machine=True) from error
        return found  # type: ignore[return-value]

    def share_weights(self, network: torch.nn.Module) -> None:
        """Copy the weights of rank 0 to every process."""
        for tensor in network.state_dict().values():
            dist.broadcast(tensor, src=0)

    def close(self) -> None:
        """Leave the process group."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _reduce(self, tensor: torch.Tensor) -> None:
        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            raise TrainingError(f"a training process has ended: {error}", machine=True) from error


@contextlib.contextmanager
def _native_stdout_to_stderr() -> Iterator[None]:
    """Redirect the output of native code to stderr: gloo prints to stdout, which is reserved for results."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
