"""A policy of one recurrent network for all agents: an encoder of observations, an LSTM, heads for action and value.

The network takes observations of one step or of sequences, and resets within sequences. A weights file stores its
network's arguments, so that loading it builds the same network, or reports the differences if the mission's tokens are
not those that it was trained on.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation, Simulation
from torch import nn
from torch.utils.checkpoint import checkpoint

from daf.policies._tokens import PADDING, check_tokens

State = dict[str, Any]


class RecurrentNet(nn.Module):
    """The network. made_with: its arguments and the tokens that it was built for, which its weights contain."""

    handles_dones = True

    def __init__(
        self,
        info: PolicyEnvInterface,
        encoder: nn.Module,
        hidden_size: int,
        *,
        arguments: Mapping[str, Any],
        tokens: Mapping[str, Any],
    ) -> None:
        """encoder: observations (rows, tokens, 3) uint8 to vectors (rows, hidden_size)."""
        super().__init__()
        self.hidden_size = hidden_size
        self.checkpointing = False
        self.precision: torch.dtype | None = None
        self.made_with: dict[str, Any] = {"arguments": dict(arguments), "tokens": dict(tokens)}
        text = np.frombuffer(json.dumps(self.made_with, sort_keys=True).encode(), dtype=np.uint8)
        self.register_buffer("made_with_json", torch.from_numpy(text.copy()))
        self.encoder = encoder
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


class RecurrentAgent(AgentPolicy):
    """One agent, with its own state."""

    def __init__(self, policy: RecurrentPolicy) -> None:
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


class RecurrentPolicy(MultiAgentPolicy):
    """All agents share the network. A subclass names its network's class; its arguments are the network's."""

    network_class: ClassVar[Any]

    def __init__(self, policy_env_info: PolicyEnvInterface, device: str, **arguments: Any) -> None:
        super().__init__(policy_env_info, device=device)
        self._device = torch.device(device)
        self._net: RecurrentNet = self.network_class(policy_env_info, **arguments).to(self._device)
        self._batch: State = {}

    def network(self) -> RecurrentNet:
        return self._net

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        return RecurrentAgent(self)

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
            name = (self.short_names or [type(self).__name__])[0]
            raise ValueError(f"{policy_data_path} contains no weights of {name}: it has no made_with_json")
        made_with = json.loads(bytes(weights["made_with_json"].cpu().numpy()))
        check_tokens(made_with["tokens"], self._net.made_with["tokens"])
        if made_with["arguments"] != self._net.made_with["arguments"]:
            precision, checkpointing = self._net.precision, self._net.checkpointing
            self._net = self.network_class(self._policy_env_info, **made_with["arguments"]).to(self._device)
            self._net.precision, self._net.checkpointing = precision, checkpointing
        self._net.load_state_dict(weights)


def check_size(name: str, value: object, most: int) -> None:
    """Raise `ValueError` unless `value` is an integer from 1 to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r}")
