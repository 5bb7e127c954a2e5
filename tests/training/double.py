"""A recurrent policy in double precision, in which ranks and a single process must agree almost to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, AgentObservation

WIDTH = 16


class DoubleNet(torch.nn.Module):
    """An encoder, an LSTM cell, and heads."""

    def __init__(self, info: PolicyEnvInterface) -> None:
        super().__init__()
        self.hidden_size = WIDTH
        self.encoder = torch.nn.Linear(int(np.prod(info.observation_space.shape)), WIDTH)
        self.cell = torch.nn.LSTMCell(WIDTH, WIDTH)
        self.action_head = torch.nn.Linear(WIDTH, len(info.action_names))
        self.value_head = torch.nn.Linear(WIDTH, 1)
        self.unused = torch.nn.Linear(2, 2)  # never has a gradient, like a head that a mission does not need
        self.double()

    def forward_eval(self, observations: torch.Tensor, state: dict[str, Any] | None = None) -> tuple[Any, Any]:
        seen = observations.reshape(len(observations), -1).double() / 255.0
        hidden = torch.tanh(self.encoder(seen))
        given = None if state is None or state.get("lstm_h") is None else (state["lstm_h"], state["lstm_c"])
        hidden, memory = self.cell(hidden, given)
        if state is not None:
            state["lstm_h"], state["lstm_c"] = hidden, memory
        return self.action_head(hidden), self.value_head(hidden)

    forward = forward_eval


class DoubleAgent(AgentPolicy):
    def __init__(self, info: PolicyEnvInterface, net: DoubleNet) -> None:
        super().__init__(info)
        self._net, self._state = net, {"lstm_h": None, "lstm_c": None}

    def reset(self, *_: Any) -> None:
        self._state = {"lstm_h": None, "lstm_c": None}

    def step(self, obs: AgentObservation) -> Action:
        tokens = np.full(self._policy_env_info.observation_space.shape, 255, dtype=np.uint8)
        for number, token in enumerate(obs.tokens):
            tokens[number] = token.raw_token
        logits, _ = self._net.forward_eval(torch.from_numpy(tokens)[None], self._state)
        return Action(name=self._policy_env_info.action_names[int(logits.argmax())])


class DoublePolicy(MultiAgentPolicy):
    def __init__(self, info: PolicyEnvInterface, device: str = "cpu") -> None:
        super().__init__(info)
        self._net = DoubleNet(info)

    def network(self) -> DoubleNet:
        return self._net

    def is_recurrent(self) -> bool:
        return True

    def agent_policy(self, agent_id: int) -> DoubleAgent:
        return DoubleAgent(self._policy_env_info, self._net)

    def save_policy_data(self, policy_data_path: str) -> None:
        torch.save(self._net.state_dict(), Path(policy_data_path))

    def load_policy_data(self, policy_data_path: str) -> None:
        self._net.load_state_dict(torch.load(policy_data_path, weights_only=True))
