"""The process group of a training run: ranks that exchange tensors and values, on one machine or several.

A rank that dies closes its connections, and the next exchange raises `LostPeerError` in all others. If the rank could
still report why, the error has that reason.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store

from daf.errors import DivergenceError, TrainingError

TIMEOUT = timedelta(hours=12)
"""How long a rank waits for the others, which includes the evaluations that rank 0 plays. Lost ranks are noticed by
their closed connections, lost machines by their agents' heartbeats."""
_REASON_SECONDS = 2.0
"""Seconds that a failed rank has to report why."""
_REASON = "reason"


class LostPeerError(TrainingError):
    """Another rank has ended. Training can continue from the last checkpoint."""


class ProcessGroup:
    """This process in torch's default process group, which must be initialized; see `formed`.

    store: shared by all ranks, for the reasons of failures.
    """

    def __init__(self, store: Store) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self._store = store
        backends = dist.get_backend_config()
        self._gpu_exchanges, self._cpu_exchanges = "nccl" in backends, "gloo" in backends

    @classmethod
    def formed(cls, store: Store, rank: int, world: int, device: str) -> Self:
        """Initialize the group with the other ranks. Raises `LostPeerError` if they don't join."""
        # NCCL refuses two processes on one GPU; if there are fewer GPUs than processes, tensors go through gloo.
        on_gpu = device.startswith("cuda") and _separate_gpus(store, rank, world, device)
        with _without_native_output():
            try:
                dist.init_process_group(
                    backend="cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                    store=PrefixStore("group", store),
                    rank=rank,
                    world_size=world,
                    timeout=TIMEOUT,
                )
            except (RuntimeError, ValueError) as error:
                raise _cause(store, error) from error
        return cls(store)

    def join(self, mine: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """The tensors of all ranks one after another; lengths: of their first axes, by rank."""
        sent = self._sendable(mine)
        longest = max(lengths)  # gloo gathers tensors of equal shapes only
        if len(sent) < longest:
            sent = torch.cat([sent, sent.new_zeros((longest - len(sent), *sent.shape[1:]))])
        parts = [torch.empty_like(sent) for _ in lengths]
        self._exchange(lambda: dist.all_gather(parts, sent.contiguous()))
        whole = torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
        return whole.to(mine.device)

    def total(self, mine: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks; `mine` may be overwritten."""
        sent = self._sendable(mine)
        self._exchange(lambda: dist.all_reduce(sent))
        return sent.to(mine.device)

    def gather[T](self, value: T) -> list[T]:
        """The values of all ranks, by rank."""
        found: list[Any] = [None] * self.world
        self._exchange(lambda: dist.all_gather_object(found, value))
        return found

    def share[T](self, value: T) -> T:
        """Rank 0's value, in every rank."""
        box: list[Any] = [value]
        self._exchange(lambda: dist.broadcast_object_list(box, src=0))
        shared: T = box[0]
        return shared

    def share_weights(self, network: torch.nn.Module) -> None:
        """Copy the weights and buffers of rank 0 to every rank."""
        for tensor in network.state_dict().values():
            self._share(tensor)

    def share_buffers(self, network: torch.nn.Module) -> None:
        """Copy rank 0's statistics (of normalization layers, say) to every rank."""
        for buffer in network.buffers():
            if buffer.is_floating_point():
                self._share(buffer)

    def report(self, kind: str, message: str, *, machine: bool) -> None:
        """Let the other ranks know why this one ends. kind, message: of the error; machine: as in `TrainingError`."""
        reason = {"rank": self.rank, "kind": kind, "message": message, "machine": machine}
        with contextlib.suppress(RuntimeError):  # the machine with the store is gone, and with it the other ranks
            self._store.set(_REASON, json.dumps(reason))

    def close(self) -> None:
        """Leave the group."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _sendable(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor where the group can exchange it."""
        if tensor.device.type == "cuda":
            return tensor if self._gpu_exchanges else tensor.cpu()
        return tensor if self._cpu_exchanges else tensor.cuda()

    def _share(self, tensor: torch.Tensor) -> None:
        sent = self._sendable(tensor.detach())
        self._exchange(lambda: dist.broadcast(sent, src=0))
        if sent is not tensor:
            with torch.no_grad():
                tensor.copy_(sent)

    def _exchange(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (RuntimeError, ValueError) as error:
            raise _cause(self._store, error) from error


def _cause(store: Store, error: Exception) -> TrainingError:
    """The error that another rank reported, else that a rank is gone."""
    deadline = time.monotonic() + _REASON_SECONDS
    reason = None
    try:
        while reason is None and time.monotonic() < deadline:
            if store.check([_REASON]):
                reason = json.loads(store.get(_REASON))
            else:
                time.sleep(0.05)
    except RuntimeError:  # the machine with the store is gone too
        pass
    if reason is None or reason["machine"]:
        where = re.sub(r"^\[/pytorch/[^]]*\] ", "", str(error).splitlines()[0])  # the line of gloo's code
        why = where if reason is None else f"{reason['kind']}: {reason['message']}"
        which = "another rank" if reason is None else f"rank {reason['rank']}"
        return LostPeerError(f"{which} ended: {why}", machine=True)
    if reason["kind"] == DivergenceError.__name__:
        return DivergenceError(reason["message"])
    return TrainingError(f"rank {reason['rank']} failed: {reason['kind']}: {reason['message']}")


@contextlib.contextmanager
def _without_native_output() -> Iterator[None]:
    """Drop what native code prints to stdout: gloo prints how many ranks are connected."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _separate_gpus(store: Store, rank: int, world: int, device: str) -> bool:
    """Whether every rank has a GPU that no other rank uses."""
    properties = torch.cuda.get_device_properties(device)
    store.set(f"gpu/{rank}", str(getattr(properties, "uuid", f"{device}/{rank}")))
    used = [store.get(f"gpu/{each}") for each in range(world)]
    return len(set(used)) == world
