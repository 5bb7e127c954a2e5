"""Networks over many agents at once, with exactly the inputs that their own `step` would give them one by one.

Policies rewrite observations before their network sees them: `lstm` and `puffer` turn the padding [255, 255, 255] into
[255, 0, 0], `pufferlib_cogs` scales to [0, 1]. A class therefore has an adapter here, or it is not batched; each
adapter's logits are tested to equal those of the class's own `step` within 1e-5. A subclass is another class.

A `Block` always computes the same number of rows, however many are in use: a row's result then depends on that row
alone, to the bit, on CPU (tested). On a GPU the same kernels run for the same shape, but this is not promised.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mettagrid.policy.policy import MultiAgentPolicy

from daf.game.observations import END

ROWS = 32
"""Agents per network call. Records depend on it: another number changes the last bits of the results."""

State = tuple[torch.Tensor, ...]
Forward = Callable[[Any, npt.NDArray[np.uint8], State], tuple[torch.Tensor, State]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one policy class calls its network.

    forward: (policy, observations (rows, tokens, 3) uint8 as the simulator writes them, state) to (logits, new state).
    state_sizes: the length of each part of an agent's recurrent state, which starts at zero. samples: whether the
    action is drawn from the logits; else it is the largest one's.
    """

    forward: Forward
    state_sizes: Callable[[Any], tuple[int, ...]]
    samples: bool = True


def adapter_for(policy: MultiAgentPolicy) -> Adapter | None:
    """The adapter of exactly this policy's class; None where there is none."""
    cls = type(policy)
    return _ADAPTERS.get(f"{cls.__module__}.{cls.__qualname__}")


class Block:
    """`ROWS` rows of one network: the agents of the episodes that share it, with their recurrent state.

    Between `run`s, agents come (`take`) and go (`free`).
    """

    def __init__(self, policy: MultiAgentPolicy, adapter: Adapter) -> None:
        network: Any = policy.network()
        network.eval()
        self._policy = policy
        self._adapter = adapter
        self._device = next(network.parameters()).device
        tokens, width = policy.policy_env_info.observation_space.shape
        self.observations = np.full((ROWS, tokens, width), END, dtype=np.uint8)
        self.draws = np.zeros(ROWS, dtype=np.float64)
        self.taken: list[int] = []
        self._vacant = list(range(ROWS))
        self._state: State = tuple(torch.zeros(ROWS, size, device=self._device) for size in adapter.state_sizes(policy))

    @property
    def vacant(self) -> int:
        """Rows not in use."""
        return len(self._vacant)

    def take(self, count: int) -> npt.NDArray[np.intp]:
        """Rows for `count` more agents, with the state that an episode begins with."""
        rows, self._vacant = self._vacant[:count], self._vacant[count:]
        self.taken.extend(rows)
        for part in self._state:
            part[rows] = 0  # vacant rows are computed too, and need a valid state
        return np.array(rows, dtype=np.intp)

    def free(self, rows: npt.NDArray[np.intp]) -> None:
        """Give rows back."""
        self.observations[rows] = END
        returned = rows.tolist()
        self.taken = [row for row in self.taken if row not in returned]
        self._vacant.extend(returned)

    def run(self) -> npt.NDArray[np.intp]:
        """The action of every row, and the next state; -1 if the logits are not numbers.

        `observations` and, if the policy samples, `draws` in [0, 1) must have been written for all taken rows.
        """
        with torch.no_grad():
            logits, state = self._adapter.forward(self._policy, self.observations, self._state)
            self._state = state
            logits = logits.cpu()
            if not self._adapter.samples:
                chosen = logits.argmax(dim=-1)
            else:
                cumulated = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
                reached = torch.from_numpy(self.draws) * cumulated[:, -1]
                chosen = (cumulated <= reached.unsqueeze(-1)).sum(dim=-1)
            chosen[torch.isnan(logits).any(dim=-1)] = -1
        actions: npt.NDArray[np.intp] = chosen.numpy()
        return actions


def _tensor(policy: Any, observations: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(observations).to(next(policy.network().parameters()).device)


def _marked(observations: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Padding as [255, 0, 0]."""
    marked = observations.copy()
    padding = np.zeros(observations.shape[1:], dtype=np.uint8)
    padding[:, 0] = END
    ended = observations[:, :, 1] == END
    lengths = np.where(ended[:, -1], ended.argmax(axis=1), len(padding))
    for row, length in enumerate(lengths.tolist()):
        marked[row, length:] = padding[length:]
    return marked


def _lstm(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    carried = {"lstm_h": state[0].unsqueeze(1), "lstm_c": state[1].unsqueeze(1)}
    logits, _ = policy.network().forward_eval(_tensor(policy, _marked(observations)), carried)
    return logits, (carried["lstm_h"].squeeze(1), carried["lstm_c"].squeeze(1))


def _puffer(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    carried = {"lstm_h": state[0], "lstm_c": state[1]}
    logits, _ = policy.network().forward_eval(_tensor(policy, _marked(observations)), carried)
    return logits, (carried["lstm_h"], carried["lstm_c"])


def _tutorial(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    carried = {"lstm_h": state[0].unsqueeze(1), "lstm_c": state[1].unsqueeze(1)}
    logits, _ = policy.network()(_tensor(policy, observations), carried)
    return logits, (carried["lstm_h"].squeeze(1), carried["lstm_c"].squeeze(1))


def _pufferlib_cogs(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    scaled = _tensor(policy, observations).float() * (1.0 / 255.0)
    carried = {"lstm_h": state[0], "lstm_c": state[1]} if state else None
    logits, _ = policy.network().forward_eval(scaled, carried)
    return logits, (carried["lstm_h"], carried["lstm_c"]) if carried is not None else ()


def _daf(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    carried = {"lstm_h": state[0], "lstm_c": state[1]}
    logits, _ = policy.network().forward_eval(_tensor(policy, observations), carried)
    return logits, (carried["lstm_h"], carried["lstm_c"])


def _feed_forward(policy: Any, observations: npt.NDArray[np.uint8], state: State) -> tuple[torch.Tensor, State]:
    logits, _ = policy.network().forward_eval(_tensor(policy, observations).float())
    return logits, state


def _two_hidden(policy: Any) -> tuple[int, ...]:
    size = int(policy.network().hidden_size)
    return size, size


def _hidden_if_recurrent(policy: Any) -> tuple[int, ...]:
    return _two_hidden(policy) if policy.is_recurrent() else ()


def _none(policy: Any) -> tuple[int, ...]:
    return ()


_ADAPTERS = {
    "daf.policies.lstm.LSTMPolicy": Adapter(_lstm, _two_hidden),
    "daf.policies.token_grid.TokenGridPolicy": Adapter(_daf, _two_hidden),
    "daf.policies.token_lstm.TokenLSTMPolicy": Adapter(_daf, _two_hidden),
    "mettagrid.policy.lstm.LSTMPolicy": Adapter(_lstm, _two_hidden),
    "mettagrid.policy.puffer_default.PufferDefaultPolicy": Adapter(_puffer, _two_hidden),
    "mettagrid.policy.stateless.StatelessPolicy": Adapter(_feed_forward, _none),
    "cogames.policy.tutorial_policy.TutorialPolicy": Adapter(_tutorial, _two_hidden),
    "cogames.policy.pufferlib_policy.PufferlibCogsPolicy": Adapter(_pufferlib_cogs, _hidden_if_recurrent),
    "cogames.policy.trainable_policy_template.MyTrainablePolicy": Adapter(_feed_forward, _none, samples=False),
}
