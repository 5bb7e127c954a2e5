"""The processes that learn one network together, as one of them sees the others.

The environments are divided among the processes (ranks) into consecutive ranges. Every tensor whose first axis runs
over environments, rows or sequences is therefore a part of a whole tensor in the order of environments, which `join`
puts together: a number computed from a whole tensor is the same in every rank, and the same as in a single process.

Importing this module imports torch.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import torch

from daf.core._process_group import ProcessGroup


class Peers(Protocol):
    """All ranks that learn together. rank: the number of this one; world: how many there are.

    environments: the numbers of this rank's environments.
    """

    rank: int
    world: int
    environments: range

    def join(self, mine: torch.Tensor) -> torch.Tensor:
        """The parts of all ranks, along the first axis."""
        ...

    def owned(self, length: int) -> range:
        """This rank's part of a whole tensor whose first axis has `length` places."""
        ...

    def total(self, mine: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks of a tensor of equal shape."""
        ...

    def sum_gradients(self, network: torch.nn.Module) -> None:
        """Replace the gradients in every rank by their sum."""
        ...

    def gather[T](self, value: T) -> list[T]:
        """The values of all ranks, by rank."""
        ...


class Alone:
    """A single process, which has every environment."""

    rank, world = 0, 1

    def __init__(self, environments: int) -> None:
        self.environments = range(environments)

    def join(self, mine: torch.Tensor) -> torch.Tensor:
        """The same tensor."""
        return mine

    def owned(self, length: int) -> range:
        """All of it."""
        return range(length)

    def total(self, mine: torch.Tensor) -> torch.Tensor:
        """The same tensor."""
        return mine

    def sum_gradients(self, network: torch.nn.Module) -> None:
        """Nothing to add."""

    def gather[T](self, value: T) -> list[T]:
        """The only value."""
        return [value]


class Together:
    """The ranks of a process group, which divide `environments` environments as evenly as possible."""

    def __init__(self, group: ProcessGroup, environments: int) -> None:
        self._group, self._all = group, environments
        self.rank, self.world = group.rank, group.world
        self._ranges = divided(environments, group.world)
        self.environments = self._ranges[group.rank]

    def join(self, mine: torch.Tensor) -> torch.Tensor:
        """See `Peers`."""
        each = len(mine) // len(self.environments)
        return self._group.join(mine, [each * len(part) for part in self._ranges])

    def owned(self, length: int) -> range:
        """See `Peers`."""
        each = length // self._all
        return range(self.environments.start * each, self.environments.stop * each)

    def total(self, mine: torch.Tensor) -> torch.Tensor:
        """See `Peers`."""
        return self._group.total(mine)

    def sum_gradients(self, network: torch.nn.Module) -> None:
        """See `Peers`; one message for all parameters, since each costs an all-reduce's latency."""
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        # A rank without a sequence in the minibatch has no gradients, and a network may have parameters without any.
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        present = torch.tensor([p.grad is not None for p in parameters], dtype=parts[0].dtype, device=parts[0].device)
        summed = self._group.total(torch.cat([*(part.reshape(-1) for part in parts), present]))
        found = summed[len(summed) - len(parameters) :].tolist()
        start = 0
        for parameter, somewhere in zip(parameters, found, strict=True):
            gradient = summed[start : start + parameter.numel()].view_as(parameter)
            parameter.grad = gradient.to(parameter.dtype) if somewhere else None
            start += parameter.numel()

    def gather[T](self, value: T) -> list[T]:
        """See `Peers`."""
        return self._group.gather(value)


def divided(environments: int, ranks: int) -> list[range]:
    """The environments of each rank: consecutive, as even as possible."""
    edges = [environments * rank // ranks for rank in range(ranks + 1)]
    return [range(first, last) for first, last in itertools.pairwise(edges)]
