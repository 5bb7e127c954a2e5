"""`token_lstm`: a recurrent network over observation tokens, DAF's default to train.

A token is (location, feature, value). Its vector is a row of a table over kinds of token and places in view, plus a
row scaled by the value's logarithm, plus, for the agent's own cell and the global tokens, a row of the exact value (in
buckets above 16). A kind is a feature; for features whose values are names (tags, vibes, actions, groups) each value is
a separate kind. The vectors of an observation are pooled, and an LSTM follows. Only tokens that are present cost time.

The network is trained on what `step` sees: the simulator's buffer with its padding 255, which is masked. Rows do not
influence each other. A weights file stores its network's arguments, so that loading it builds the same network, or
reports the differences if the mission's tokens are not those that it was trained on.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation, Simulation
from torch import nn
from torch.utils.checkpoint import checkpoint

PADDING = 0xFF
GLOBAL = 0xFE
POOLINGS = ("sum", "max", "attention")
EXACT = 16
BUCKETS = EXACT + 4
"""Values below 16 each have a bucket; above, every doubling has one."""

State = dict[str, Any]


class Vocabulary:
    """The possible tokens of a mission, as lookup tables.

    A table of vectors has, for every place, a row per kind and a row per numeric feature, and a row per numeric feature
    and bucket. A token is up to three of these rows, each with a weight: 0 means that it has no such row.

    base: (65536, 3) the rows of (feature << 8 | value) at place 0. weight: (65536, 3) their weights. place: (256, 3)
    what a location adds to each. own: (256, 3) 0 where a location is neither the agent's own nor global, so that the
    value's bucket does not count. rows: in all. described: as JSON values, what distinguishes two missions' tokens.
    """

    def __init__(self, info: PolicyEnvInterface) -> None:
        names = {feature.name: feature.id for feature in info.obs_features}
        height, width = info.egocentric_shape
        self.described: dict[str, Any] = {
            "features": [f"{number}:{name}" for name, number in sorted(names.items(), key=lambda item: item[1])],
            "tags": list(info.tags),
            "actions": list(info.action_names),
            "view": [height, width],
        }
        kinds_of = {
            "tag": len(info.tags),
            "vibe": len(info.vibe_action_names),
            "last_action": len(info.all_action_names),
            "agent:group": 8,
        }
        places = height * width + 2  # the last two: global, and out of view
        values = torch.arange(256)
        bucket = torch.where(values < EXACT, values, EXACT + torch.log2(values.clamp(min=1)).floor().long() - 4)
        base, weight = torch.zeros(256, 256, 3, dtype=torch.int64), torch.zeros(256, 256, 3)
        weight[:PADDING, :, 0] = 1  # a feature that the mission does not name is kind 0
        rows = places
        for name, feature in names.items():
            kinds = max(1, kinds_of.get(name, 1))
            base[feature, :, 0] = rows + places * values.clamp(max=kinds - 1)
            rows += places * kinds
            if name not in kinds_of:
                base[feature, :, 1] = rows
                base[feature, :, 2] = rows + places + bucket
                weight[feature, :, 1] = torch.log2(1.0 + values) / 8
                weight[feature, :, 2] = 1
                rows += places + BUCKETS
        self.rows = rows
        self.base, self.weight = base.flatten(0, 1).int(), weight.flatten(0, 1)
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


class TokenLSTMNet(nn.Module):
    """The network. It takes observations of one step or of sequences, and resets within sequences."""

    handles_dones = True

    def __init__(
        self,
        info: PolicyEnvInterface,
        *,
        hidden_size: int = 128,
        embedding_size: int = 64,
        pooling: str = "sum",
        attention_heads: int | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("hidden_size", hidden_size), ("embedding_size", embedding_size)):
            _check_size(name, size, 4096)
        if pooling not in POOLINGS:
            raise ValueError(f'pooling must be one of {", ".join(POOLINGS)}, got "{pooling}"')
        if attention_heads is not None and pooling != "attention":
            raise ValueError(f'attention_heads={attention_heads} needs pooling="attention", got "{pooling}"')
        heads = 4 if attention_heads is None else attention_heads
        _check_size("attention_heads", heads, 64)
        if tuple(info.observation_shape[1:]) != (3,):
            raise ValueError(f"token_lstm needs observations of shape (tokens, 3), got {info.observation_shape}")
        self.hidden_size = hidden_size
        self.checkpointing = False
        self.precision: torch.dtype | None = None
        vocabulary = Vocabulary(info)
        self.made_with = {
            "arguments": {
                "hidden_size": hidden_size,
                "embedding_size": embedding_size,
                "pooling": pooling,
                **({"attention_heads": heads} if pooling == "attention" else {}),
            },
            "tokens": vocabulary.described,
        }
        text = np.frombuffer(json.dumps(self.made_with, sort_keys=True).encode(), dtype=np.uint8)
        self.register_buffer("made_with_json", torch.from_numpy(text.copy()))
        self.encoder = Encoder(vocabulary, hidden_size, embedding_size, pooling, heads)
        self.lstm = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        for name, parameter in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:
                nn.init.orthogonal_(parameter)
        self.action_head = nn.Linear(hidden_size, len(info.action_names))
        self.value_head = nn.Linear(hidden_size, 1)
        for head, gain in ((self.action_head, 0.01), (self.value_head, 1.0)):
            nn.init.orthogonal_(head.weight, gain)
            nn.init.zeros_(head.bias)

    def forward_eval(self, observations: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (rows × time, actions) and values (rows × time, 1).

        observations: (rows, tokens, 3) uint8, or (rows, time, tokens, 3). state: a dict whose `lstm_h` and `lstm_c`,
        each (rows, hidden) or (rows, 1, hidden), are replaced by those after the last step; None stands for zeros.
        Its `done`, if present, (rows,) or (rows, time), marks where an episode ended just before the step, so that the
        state restarts at zero.
        """
        sequence = observations.dim() == 4
        rows, time = (len(observations), observations.shape[1]) if sequence else (len(observations), 1)
        flat = observations.reshape(rows * time, *observations.shape[-2:])
        with self._precise(observations.device):
            if self.checkpointing and torch.is_grad_enabled():
                encoded = checkpoint(self.encoder, flat, use_reentrant=False)
            else:
                encoded = self.encoder(flat)
            inputs = encoded.view(rows, time, self.hidden_size)
            hidden = (self._remember(inputs, state) + inputs).flatten(0, 1).float()
        return self.action_head(hidden), self.value_head(hidden)

    def forward(self, observations: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_eval(observations, state)

    def _precise(self, device: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(device.type, self.precision) if self.precision is not None else nullcontext()

    def _remember(self, inputs: torch.Tensor, state: State | None) -> torch.Tensor:
        """The LSTM over (rows, time, hidden), cut where some row's episode ended."""
        rows, time, _ = inputs.shape
        given = state or {}
        shape = given["lstm_h"].shape if given.get("lstm_h") is not None else (rows, self.hidden_size)
        carried = [
            inputs.new_zeros(1, rows, self.hidden_size) if given.get(name) is None else given[name].reshape(1, rows, -1)
            for name in ("lstm_h", "lstm_c")
        ]
        done = given.get("done")
        ended = None if done is None else done.reshape(rows, time).bool()
        cuts = [] if ended is None else ended.any(dim=0).nonzero().flatten().tolist()
        edges = [0, *[cut for cut in cuts if cut > 0], time]
        outputs = []
        for start, end in itertools.pairwise(edges):
            if ended is not None and start in cuts:
                kept = (~ended[:, start]).to(inputs.dtype).view(1, rows, 1)
                carried = [part * kept for part in carried]
            output, after = self.lstm(inputs[:, start:end], (carried[0].to(inputs.dtype), carried[1].to(inputs.dtype)))
            carried = list(after)
            outputs.append(output)
        if state is not None:
            state["lstm_h"], state["lstm_c"] = (part.float().reshape(shape) for part in carried)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


class TokenLSTMAgent(AgentPolicy):
    """One agent, with its own state."""

    def __init__(self, policy: TokenLSTMPolicy) -> None:
        super().__init__(policy.policy_env_info)
        self._policy = policy
        self._state: State = {"lstm_h": None, "lstm_c": None}

    def step(self, obs: AgentObservation) -> Action:
        shape = self.policy_env_info.observation_shape
        tokens = np.full(shape, PADDING, dtype=np.uint8)
        for place, token in zip(range(shape[0]), obs.tokens, strict=False):
            tokens[place] = token.raw_token
        index = int(self._policy.act(tokens[None], self._state)[0])
        return Action(name=self.policy_env_info.action_names[index])

    def reset(self, simulation: Simulation | None = None) -> None:
        self._state = {"lstm_h": None, "lstm_c": None}


class TokenLSTMPolicy(MultiAgentPolicy):
    """All agents share the network. Keyword arguments: the network's, see `TokenLSTMNet`."""

    short_names = ["token_lstm"]  # noqa: RUF012

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
        super().__init__(policy_env_info, device=device)
        self._device = torch.device(device)
        self._net = TokenLSTMNet(
            policy_env_info,
            hidden_size=hidden_size,
            embedding_size=embedding_size,
            pooling=pooling,
            attention_heads=attention_heads,
        ).to(self._device)
        self._batch: State = {}

    def network(self) -> TokenLSTMNet:
        return self._net

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        return TokenLSTMAgent(self)

    def is_recurrent(self) -> bool:
        return True

    def init_kwargs(self) -> dict[str, Any]:
        """The arguments that build this network again, for a policy specification."""
        return dict(self._net.made_with["arguments"])

    def act(self, observations: npt.NDArray[np.uint8], state: State) -> npt.NDArray[np.int64]:
        """Actions drawn for (rows, tokens, 3) observations with torch's global generator; `state` is updated."""
        self._net.eval()
        with torch.no_grad():
            logits, _ = self._net.forward_eval(torch.from_numpy(observations).to(self._device), state)
            drawn: npt.NDArray[np.int64] = torch.multinomial(logits.softmax(dim=-1), 1).squeeze(1).cpu().numpy()
        return drawn

    def step_batch(self, raw_observations: npt.NDArray[np.uint8], raw_actions: npt.NDArray[Any]) -> None:
        """Actions for all agents of one simulation, whose states are kept until `reset`."""
        if self._batch.get("rows") != len(raw_observations):
            self._batch = {"rows": len(raw_observations), "lstm_h": None, "lstm_c": None}
        raw_actions[...] = self.act(raw_observations, self._batch)

    def reset(self) -> None:
        self._batch = {}

    def enable_gradient_checkpointing(self) -> None:
        """Recompute the encoder in the backward pass: less memory, more time."""
        self._net.checkpointing = True

    def use_mixed_precision(self, dtype: torch.dtype = torch.bfloat16) -> None:
        """Compute in `dtype` where possible: weights, the recurrent state between calls and the heads stay float32."""
        self._net.precision = dtype

    def save_policy_data(self, policy_data_path: str) -> None:
        torch.save(self._net.state_dict(), policy_data_path)

    def load_policy_data(self, policy_data_path: str) -> None:
        """Load weights (.safetensors or torch's); the network becomes the one they were saved from."""
        if Path(policy_data_path).suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(policy_data_path, device=str(self._device))
        else:
            weights = torch.load(policy_data_path, map_location=self._device, weights_only=True)
        if "made_with_json" not in weights:
            raise ValueError(f"{policy_data_path} contains no weights of token_lstm: it has no made_with_json")
        made_with = json.loads(bytes(weights["made_with_json"].cpu().numpy()))
        _check_tokens(made_with["tokens"], self._net.made_with["tokens"])
        if made_with["arguments"] != self._net.made_with["arguments"]:
            precision, checkpointing = self._net.precision, self._net.checkpointing
            self._net = TokenLSTMNet(self._policy_env_info, **made_with["arguments"]).to(self._device)
            self._net.precision, self._net.checkpointing = precision, checkpointing
        self._net.load_state_dict(weights)


def _check_size(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r}")


def _check_tokens(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for what, named in theirs.items():
        if named != ours[what]:
            gone = [str(name) for name in named if name not in ours[what]]
            new = [str(name) for name in ours[what] if name not in named]
            difference = f"only there: {', '.join(gone[:5]) or 'none'}; only here: {', '.join(new[:5]) or 'none'}"
            raise ValueError(f"the weights are for a mission with other {what} ({difference})")
