"""`token_grid`: a spatial recurrent network. Tokens lie on the grid of the view, and convolutions read it.

The first layer is a convolution of 3×3 cells with stride 2 over one-hot tokens. It is computed as a sum of table rows,
one for each present token, kernel offset and output cell that the token falls in, so it costs no more than the tokens
that are present; its gradient is a sum of the same kind. A dense 3×3 convolution with stride 2 follows, in
channels-last layout, and linear layers. The agent's own cell and the global tokens are also summed, exactly (in
buckets above 16), into the result, and scale the channels of both convolutions (`scaled`): what an agent is and
carries decides what in its view matters. An LSTM comes last.

The network is trained on what `step` sees: the simulator's buffer with its padding 255, which is masked. Rows do not
influence each other.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from torch import nn

from daf.policies._recurrent import RecurrentNet, RecurrentPolicy, check_size
from daf.policies._tokens import BUCKETS, GLOBAL, PADDING, Kinds

KERNEL = 3
CACHED = 256
"""Observations that a CPU encodes at a time: of more, the sorted entries and the grids leave its cache."""


class Layout:
    """Where tokens fall in the first layer's output, as lookup tables.

    size: rows and columns of the output. cell, offset: the output cells, row by row, that each location falls in, one
    location after the other, and its place in the kernel there. overlaps: (256,) how many these are for a location.
    first: (256,) the index of its first. own: (256,) 1 for the agent's own cell, 2 for that of global tokens, else 0.
    """

    def __init__(self, height: int, width: int) -> None:
        self.size = (height // 2 + 1, width // 2 + 1)
        falls: list[list[tuple[int, int]]] = [[] for _ in range(256)]
        for row in range(min(height, 15)):
            for column in range(min(width, 16)):
                # Output i reads the inputs 2i - 1, 2i and 2i + 1: even inputs have one output, odd ones have two.
                falls[row << 4 | column] = [
                    (down * self.size[1] + right, (row - 2 * down + 1) * KERNEL + column - 2 * right + 1)
                    for down in sorted({row // 2, (row + 1) // 2})
                    for right in sorted({column // 2, (column + 1) // 2})
                ]
        self.overlaps = torch.tensor([len(each) for each in falls])
        self.first = self.overlaps.cumsum(0) - self.overlaps
        pairs = torch.tensor([pair for each in falls for pair in each], dtype=torch.int32)
        self.cell, self.offset = pairs.unbind(1)
        self.own = torch.zeros(256, dtype=torch.int32)
        self.own[(height // 2) << 4 | width // 2] = 1
        self.own[GLOBAL] = 2


class Encoder(nn.Module):
    """Observations (rows, tokens, 3) uint8 to vectors (rows, hidden_size)."""

    kind: torch.Tensor
    earlier: torch.Tensor
    numeric: torch.Tensor
    size: torch.Tensor
    bucket: torch.Tensor
    cell: torch.Tensor
    offset: torch.Tensor
    overlaps: torch.Tensor
    first: torch.Tensor
    own: torch.Tensor

    def __init__(self, kinds: Kinds, hidden_size: int, channels: int, scaled: bool) -> None:
        super().__init__()
        layout = Layout(*kinds.view)
        self._grid_size, self._kinds, self._inputs = layout.size, kinds.kinds, kinds.kinds + kinds.numerics
        for name in ("kind", "earlier", "numeric", "bucket"):
            self.register_buffer(name, getattr(kinds, name), persistent=False)
        self.register_buffer("size", kinds.size * kinds.numeric, persistent=False)
        for name in ("cell", "offset", "overlaps", "first", "own"):
            self.register_buffer(name, getattr(layout, name).contiguous(), persistent=False)
        self.table = nn.Parameter(torch.randn(self._inputs * KERNEL**2, channels) / 4)  # so 16 tokens sum to about 1
        self.bias = nn.Parameter(torch.zeros(channels))
        self.own_table = nn.Parameter(torch.randn(2 * (self._inputs + kinds.numerics * BUCKETS), hidden_size) / 4)
        # With a border where a stride of 2 would leave out the last row or column.
        border = [0 if size >= KERNEL and size % 2 else 1 for size in layout.size]
        self.convolution = nn.Conv2d(channels, channels, KERNEL, stride=2, padding=(border[0], border[1]))
        down, right = ((size + 2 * edge - KERNEL) // 2 + 1 for size, edge in zip(layout.size, border, strict=True))
        self.linear, self.norm = nn.Linear(channels * down * right, hidden_size), nn.LayerNorm(hidden_size)
        self._scaled = scaled
        if scaled:
            self.gate_norm, self.gate = nn.LayerNorm(hidden_size), nn.Linear(hidden_size, 2 * channels)
            self.second = nn.Linear(hidden_size, hidden_size)
            nn.init.orthogonal_(self.gate.weight, 0.5)
            nn.init.zeros_(self.gate.bias)
        nn.init.orthogonal_(self.convolution.weight, 2**0.5)
        nn.init.orthogonal_(self.linear.weight, 2**0.5)
        for layer in (self.convolution, self.linear):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        if observations.is_cuda or len(observations) <= CACHED:
            return self._encoded(observations)
        return torch.cat([self._encoded(part) for part in torch.split(observations, CACHED)])

    def _encoded(self, observations: torch.Tensor) -> torch.Tensor:
        # index_select on flat indices throughout: on a CPU it is several times as fast as indexing with brackets.
        count = len(observations)
        present = observations[:, :, 1] != PADDING
        longest = max(1, int(present.sum(dim=1).max())) if count else 1
        at = present[:, :longest].flatten().nonzero().squeeze(1)
        location, feature, value = observations[:, :longest].reshape(-1, 3).index_select(0, at).int().unbind(1)
        observation, token = at.int() // longest, feature << 8 | value

        # A token's inputs: 1 for its kind and, if it is numeric, the size of its value.
        size = self.size.index_select(0, token)
        sized = size.nonzero().squeeze(1)
        number = self._kinds + self.earlier.index_select(0, token.index_select(0, sized))
        inputs = _Inputs(
            observation=torch.cat([observation, observation.index_select(0, sized)]),
            location=torch.cat([location, location.index_select(0, sized)]),
            row=torch.cat([self.kind.index_select(0, token), number]),
            amount=torch.cat([torch.ones_like(size), size.index_select(0, sized)]),
        )
        near = self._near(inputs, token, count)
        grid = self._grid(inputs, count) + self.bias
        if self._scaled:
            # Around 1, so that a channel is as without a gate where nothing has been learned.
            early, late = (1 + self.gate(F.relu(self.gate_norm(near)))).chunk(2, dim=1)
            grid = grid * early[:, None, None, :]
        read = self.convolution(F.relu(grid).permute(0, 3, 1, 2))
        if self._scaled:
            read = read * late[:, :, None, None]
        whole = F.relu(self.norm(self.linear(F.relu(read).flatten(1)) + near))
        return whole + F.relu(self.second(whole)) if self._scaled else whole

    def _grid(self, inputs: _Inputs, count: int) -> torch.Tensor:
        """The first convolution: (count, rows, columns, channels)."""
        height, width = self._grid_size
        overlaps = self.overlaps.index_select(0, inputs.location)
        entry = torch.repeat_interleave(overlaps)
        begins = self.first.index_select(0, inputs.location) - overlaps.cumsum(0) + overlaps
        place = begins.index_select(0, entry) + torch.arange(len(entry), device=entry.device)
        sums = _sums(
            self.table,
            (inputs.observation * (height * width)).index_select(0, entry) + self.cell.index_select(0, place),
            (inputs.row * KERNEL**2).index_select(0, entry) + self.offset.index_select(0, place),
            inputs.amount.index_select(0, entry),
            count * height * width,
        )
        return sums.view(count, height, width, -1)

    def _near(self, inputs: _Inputs, token: torch.Tensor, count: int) -> torch.Tensor:
        """The sum over the agent's own cell and the global tokens, with a row for each bucket: (count, hidden_size)."""
        own = self.own.index_select(0, inputs.location)
        mine = own.nonzero().squeeze(1)
        exact = (own[: len(token)] * self.numeric.index_select(0, token)).nonzero().squeeze(1)
        of = token.index_select(0, exact)
        bucket = self._inputs + self.earlier.index_select(0, of) * BUCKETS + self.bucket.index_select(0, of)
        chosen = torch.cat([mine, exact])
        return _sums(
            self.own_table,
            inputs.observation.index_select(0, chosen),
            2 * torch.cat([inputs.row.index_select(0, mine), bucket]) + own.index_select(0, chosen) - 1,
            torch.cat([inputs.amount.index_select(0, mine), inputs.amount.new_ones(len(exact))]),
            count,
        )


class _Inputs(NamedTuple):
    """The nonzero inputs of some observations: which observation and location, the input's row, and its amount."""

    observation: torch.Tensor
    location: torch.Tensor
    row: torch.Tensor
    amount: torch.Tensor


def _sums(
    table: torch.Tensor, sums: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor, count: int
) -> torch.Tensor:
    """`_Sums` as a function with types."""
    found: torch.Tensor = _Sums.apply(table, sums, rows, weights, count)  # type: ignore[no-untyped-call]
    return found


class _Sums(torch.autograd.Function):
    """Weighted sums of a table's rows.

    The gradient is the same operation with rows and sums exchanged: four times as fast as embedding_bag's backward.
    """

    @staticmethod
    def forward(
        context: Any, table: torch.Tensor, sums: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor, count: int
    ) -> torch.Tensor:
        """sums, rows, weights: (entries,) weights[i] times row rows[i] is added to sum sums[i] of `count`."""
        context.save_for_backward(sums, rows, weights)
        context.table_rows = len(table)
        return _sum(table, sums, rows, weights, count)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        sums, rows, weights = context.saved_tensors
        return _sum(gradients[0].contiguous(), rows, sums, weights, context.table_rows), None, None, None, None


def _sum(
    table: torch.Tensor, sums: torch.Tensor, rows: torch.Tensor, weights: torch.Tensor, count: int
) -> torch.Tensor:
    # Stable: the order of addition, and with it the last bits, must not depend on how the sort works.
    sums, order = torch.sort(sums, stable=True)
    counts = torch.bincount(sums, minlength=count)
    starts = (counts.cumsum(0) - counts).int()
    return F.embedding_bag(
        rows.index_select(0, order), table, starts, mode="sum", per_sample_weights=weights.index_select(0, order)
    )


class TokenGridNet(RecurrentNet):
    """The network: `Encoder`, then as `RecurrentNet`.

    scaled: whether the agent's own cell scales the channels, followed by a further layer. Weights that do not name it
    are those of version 0.2.0, without it.
    """

    def __init__(
        self, info: PolicyEnvInterface, *, hidden_size: int = 128, channels: int = 64, scaled: bool = False
    ) -> None:
        check_size("hidden_size", hidden_size, 4096)
        check_size("channels", channels, 1024)
        kinds = Kinds(info)
        super().__init__(
            info,
            Encoder(kinds, hidden_size, channels, scaled),
            hidden_size,
            arguments={"hidden_size": hidden_size, "channels": channels, **({"scaled": True} if scaled else {})},
            tokens=kinds.described,
        )


class TokenGridPolicy(RecurrentPolicy):
    """All agents share the network. Keyword arguments: the network's, see `TokenGridNet`."""

    short_names = ["token_grid"]  # noqa: RUF012
    network_class = TokenGridNet

    def __init__(
        self,
        policy_env_info: PolicyEnvInterface,
        device: str = "cpu",
        *,
        hidden_size: int = 128,
        channels: int = 64,
        scaled: bool = True,
    ) -> None:
        super().__init__(policy_env_info, device, hidden_size=hidden_size, channels=channels, scaled=scaled)
