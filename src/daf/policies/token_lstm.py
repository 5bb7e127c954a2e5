"""`token_lstm`: a recurrent network over observation tokens, DAF's default to train.

A token's vector is a row of a table over kinds of token and places in view, plus a row scaled by the value's logarithm,
plus, for the agent's own cell and the global tokens, a row of the exact value (in buckets above 16). The vectors of an
observation are pooled, and an LSTM follows. Only tokens that are present cost time.

The network is trained on what `step` sees: the simulator's buffer with its padding 255, which is masked. Rows do not
influence each other.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from torch import nn

from daf.policies._recurrent import RecurrentNet, RecurrentPolicy, check_size
from daf.policies._tokens import BUCKETS, GLOBAL, PADDING, Kinds

POOLINGS = ("sum", "max", "attention")


class Vocabulary:
    """The possible tokens of a mission, as lookup tables.

    A table of vectors has, for every place, a row per kind and a row per numeric feature, and a row per numeric feature
    and bucket. A token is up to three of these rows, each with a weight: 0 means that it has no such row.

    base: (65536, 3) the rows of (feature << 8 | value) at place 0. weight: (65536, 3) their weights. place: (256, 3)
    what a location adds to each. own: (256, 3) 0 where a location is neither the agent's own nor global, so that the
    value's bucket does not count. rows: in all.
    """

    def __init__(self, kinds: Kinds) -> None:
        height, width = kinds.view
        places = height * width + 2  # the last two: global, and out of view
        # Feature by feature, in the order of the mission: weights that were saved before depend on this layout.
        first = places * kinds.kind + (places + BUCKETS) * kinds.earlier
        after = torch.stack([first + places, first + 2 * places + kinds.bucket], dim=1) * kinds.numeric.unsqueeze(1)
        self.base = torch.cat([first.unsqueeze(1), after], dim=1).int()
        self.rows = places * kinds.kinds + (places + BUCKETS) * kinds.numerics
        self.weight = torch.stack(
            [torch.ones_like(kinds.size), kinds.size * kinds.numeric, kinds.numeric.float()], dim=1
        )
        self.weight[PADDING << 8 :] = 0
        at = torch.full((256,), places - 1)
        for row in range(min(height, 15)):
            for column in range(min(width, 16)):
                at[row << 4 | column] = row * width + column
        at[GLOBAL] = places - 2
        self.place = torch.stack([at, at, torch.zeros_like(at)], dim=1).int()
        self.own = torch.ones(256, 3)
        self.own[:, 2] = 0
        self.own[[GLOBAL, (height // 2) << 4 | width // 2], 2] = 1


class Encoder(nn.Module):
    """Observations (rows, tokens, 3) uint8 to vectors (rows, hidden_size)."""

    base: torch.Tensor
    weight: torch.Tensor
    place: torch.Tensor
    own: torch.Tensor

    def __init__(self, vocabulary: Vocabulary, hidden_size: int, embedding_size: int, pooling: str, heads: int) -> None:
        super().__init__()
        self.pooling = pooling
        for name in ("base", "weight", "place", "own"):
            self.register_buffer(name, getattr(vocabulary, name), persistent=False)
        self.table = nn.Parameter(torch.randn(vocabulary.rows, embedding_size) / 4)  # so 16 tokens sum to about 1
        if pooling == "attention":
            self.queries = nn.Parameter(torch.randn(heads, embedding_size) / embedding_size**0.5)
        pooled = embedding_size * (heads if pooling == "attention" else 1)
        self.norm, self.linear = nn.LayerNorm(pooled), nn.Linear(pooled, hidden_size)
        nn.init.orthogonal_(self.linear.weight, 2**0.5)
        nn.init.zeros_(self.linear.bias)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        present = observations[:, :, 1] != PADDING
        longest = max(1, int(present.sum(dim=1).max())) if len(present) else 1
        count = len(observations)
        location, feature, value = observations[:, :longest].flatten(0, 1).int().unbind(1)
        token = feature << 8 | value
        rows = self.base.index_select(0, token) + self.place.index_select(0, location)
        weights = self.weight.index_select(0, token) * self.own.index_select(0, location)
        if self.pooling == "sum":
            return self._body(self._sums(rows.view(count, -1), weights.view(count, -1)))
        vectors = self._sums(rows, weights).view(count, longest, -1)
        return self._body(self._pool(vectors, present[:, :longest]))

    def _sums(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Weighted sums of the table's rows, one for each of the given lists of rows."""
        some = weights != 0
        counts = some.sum(dim=1)
        starts = (counts.cumsum(0) - counts).int()
        return F.embedding_bag(rows[some], self.table, starts, mode="sum", per_sample_weights=weights[some])

    def _pool(self, vectors: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        lowest = torch.finfo(vectors.dtype).min
        if self.pooling == "max":
            most = vectors.masked_fill(~present.unsqueeze(-1), lowest).max(dim=1).values
            return most * present.any(dim=1, keepdim=True)
        scores = (vectors @ self.queries.T).masked_fill(~present.unsqueeze(-1), lowest)
        shares = scores.softmax(dim=1) * present.unsqueeze(-1)
        return torch.einsum("rth,rtd->rhd", shares, vectors).flatten(1)

    def _body(self, pooled: torch.Tensor) -> torch.Tensor:
        return F.relu(self.linear(F.relu(self.norm(pooled))))


class TokenLSTMNet(RecurrentNet):
    """The network: `Encoder`, then as `RecurrentNet`."""

    def __init__(
        self,
        info: PolicyEnvInterface,
        *,
        hidden_size: int = 128,
        embedding_size: int = 64,
        pooling: str = "sum",
        attention_heads: int | None = None,
    ) -> None:
        for name, size in (("hidden_size", hidden_size), ("embedding_size", embedding_size)):
            check_size(name, size, 4096)
        if pooling not in POOLINGS:
            raise ValueError(f'pooling must be one of {", ".join(POOLINGS)}, got "{pooling}"')
        if attention_heads is not None and pooling != "attention":
            raise ValueError(f'attention_heads={attention_heads} needs pooling="attention", got "{pooling}"')
        heads = 4 if attention_heads is None else attention_heads
        check_size("attention_heads", heads, 64)
        kinds = Kinds(info)
        super().__init__(
            info,
            Encoder(Vocabulary(kinds), hidden_size, embedding_size, pooling, heads),
            hidden_size,
            arguments={
                "hidden_size": hidden_size,
                "embedding_size": embedding_size,
                "pooling": pooling,
                **({"attention_heads": heads} if pooling == "attention" else {}),
            },
            tokens=kinds.described,
        )


class TokenLSTMPolicy(RecurrentPolicy):
    """All agents share the network. Keyword arguments: the network's, see `TokenLSTMNet`."""

    short_names = ["token_lstm"]  # noqa: RUF012
    network_class = TokenLSTMNet

    def __init__(
        self,
        policy_env_info: PolicyEnvInterface,
        device: str = "cpu",
        *,
        hidden_size: int = 128,
        embedding_size: int = 64,
        pooling: str = "sum",
        attention_heads: int | None = None,
    ) -> None:
        super().__init__(
            policy_env_info,
            device,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            pooling=pooling,
            attention_heads=attention_heads,
        )
