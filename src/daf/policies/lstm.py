"""`lstm`: CoGames' recurrent network with a width that can be chosen.

CoGames' own class, `mettagrid.policy.lstm.LSTMPolicy`, has a fixed width of 128. This one is the same network with the
argument `hidden_size`: the same layers under the same names, and at width 128 the same initial weights from the same
seed, so that weights of width 128 load into either class. Weights of any width can be loaded without naming the width.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pufferlib.pytorch
import torch
from mettagrid.policy import lstm as upstream
from mettagrid.policy.policy import MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from torch import nn

WIDTH = 128
"""Of CoGames' class, and of this one unless an argument or loaded weights say otherwise."""
WIDEST = 4096


class LSTMPolicyNet(upstream.LSTMPolicyNet):
    """The network: two linear layers over the whole observation, an LSTM, and a head each for actions and value."""

    def __init__(self, policy_env_info: PolicyEnvInterface, hidden_size: int = WIDTH) -> None:
        nn.Module.__init__(self)  # upstream's constructor knows only its own width
        if not isinstance(hidden_size, int) or isinstance(hidden_size, bool) or not 1 <= hidden_size <= WIDEST:
            raise ValueError(f"hidden_size must be an integer from 1 to {WIDEST}, got {hidden_size!r}")
        self.hidden_size = hidden_size
        inputs = int(np.prod(policy_env_info.observation_space.shape))
        initialized = pufferlib.pytorch.layer_init
        # In upstream's order, so that a seed gives the same weights.
        self._net = nn.Sequential(
            initialized(nn.Linear(inputs, hidden_size)),
            nn.ReLU(),
            initialized(nn.Linear(hidden_size, hidden_size)),
        )
        self._rnn = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        self._action_head = nn.Linear(hidden_size, len(policy_env_info.action_names))
        self._value_head = nn.Linear(hidden_size, 1)


class LSTMPolicy(upstream.LSTMPolicy):
    """All agents share the network. hidden_size: the width of its layers and of the LSTM.

    It has no short name for CoGames, whose own class is `lstm` there; in DAF `lstm` is this class.
    """

    def __init__(self, policy_env_info: PolicyEnvInterface, device: str = "cpu", *, hidden_size: int = WIDTH) -> None:
        MultiAgentPolicy.__init__(self, policy_env_info, device=device)
        self._device = torch.device(device)
        self._policy_env_info = policy_env_info
        self._use(LSTMPolicyNet(policy_env_info, hidden_size))

    def load_policy_data(self, checkpoint_path: str) -> None:
        """Load weights (.safetensors or torch's); the network gets their width."""
        if Path(checkpoint_path).suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(checkpoint_path, device=str(self._device))
        else:
            weights = torch.load(checkpoint_path, map_location=self._device, weights_only=True)
        width = _width_of(weights, checkpoint_path)
        if width != self._net.hidden_size:
            self._use(LSTMPolicyNet(self._policy_env_info, width))
        self._net.load_state_dict(weights)

    def init_kwargs(self) -> dict[str, Any]:
        """The arguments that build this network again, for a policy specification."""
        return {"hidden_size": self._net.hidden_size}

    def _use(self, network: LSTMPolicyNet) -> None:
        self._net = network.to(self._device)
        self._agent_policy = upstream.LSTMAgentPolicy(self._net, self._device, self._policy_env_info)


def _width_of(weights: dict[str, torch.Tensor], path: str) -> int:
    recurrent = weights.get("_rnn.weight_hh_l0")
    if recurrent is None or recurrent.dim() != 2:
        raise ValueError(f"{path} contains no weights of lstm: it has no _rnn.weight_hh_l0")
    return int(recurrent.shape[1])
