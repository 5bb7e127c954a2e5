"""The data of one rollout, and its preparation for learning: scaled rewards, advantages, returns.

Rows are agents, ordered by environment; time runs along the second axis. Episodes may end at any step; `begins` marks
the first step of each episode.

Importing this module imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from daf.config.training import DAFTrainingConfig


class RolloutBuffer:
    """(rows, steps) of experience on the network's device; observations stay bytes. dtype: of the other numbers."""

    def __init__(
        self,
        rows: int,
        steps: int,
        tokens: int,
        horizon: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows, self.steps, self.horizon = rows, steps, horizon
        # By far the largest part of the buffer: as floats it would take four times the memory.
        self.observations = torch.zeros((rows, steps, tokens, 3), dtype=torch.uint8, device=device)
        self.actions = torch.zeros((rows, steps), dtype=torch.int64, device=device)
        self.logprobs = torch.zeros((rows, steps), dtype=dtype, device=device)
        self.values = torch.zeros((rows, steps), dtype=dtype, device=device)
        self.rewards = torch.zeros((rows, steps), dtype=dtype, device=device)
        self.done = torch.zeros((rows, steps), dtype=dtype, device=device)
        self.bootstrap = torch.zeros((rows, steps), dtype=dtype, device=device)
        """The value of an episode's last observation, if the time limit ended the episode."""
        self.begins = torch.zeros((rows, steps), dtype=torch.bool, device=device)
        self.last_values = torch.zeros(rows, dtype=dtype, device=device)
        """The value of the observation after the last step."""
        self.states: list[dict[str, torch.Tensor]] = [{} for _ in range(steps // horizon)]
        """The recurrent state before each sequence."""

    @property
    def sequences(self) -> int:
        """The number of sequences of `horizon` steps."""
        return self.rows * len(self.states)

    def keep_state(self, part: int, rows: slice, state: dict[str, torch.Tensor]) -> None:
        """Store the state of `rows` before the sequence number `part`."""
        kept = self.states[part]
        for key, value in state.items():
            if key not in kept:
                kept[key] = torch.zeros((self.rows, *value.shape[1:]), dtype=value.dtype, device=value.device)
            kept[key][rows] = value

    def cut(self, values: torch.Tensor) -> torch.Tensor:
        """(rows, steps, …) as (sequences, horizon, …); the sequences of a row follow each other."""
        return values.reshape(self.sequences, self.horizon, *values.shape[2:])

    def initial_states(self) -> dict[str, torch.Tensor]:
        """(sequences, …) by key: the state before each sequence, in the order of `cut`."""
        keys = self.states[0]
        return {key: torch.stack([part[key] for part in self.states], 1).flatten(0, 1) for key in keys}


def advantages(
    buffer: RolloutBuffer,
    values: torch.Tensor,
    config: DAFTrainingConfig,
    ratio: torch.Tensor | None = None,
) -> torch.Tensor:
    """(rows, steps): generalised advantage estimates (Schulman et al., ICLR 2016, equation 16).

    ratio: (rows, steps) new probability over old; with it errors and traces are clipped as in V-trace (Espeholt et al.,
    ICML 2018, section 4.1), as PuffeRL does. An episode that the time limit ended is bootstrapped with the value of its
    last observation (Pardo et al., ICML 2018); one that the game ended is not.
    """
    following = torch.cat([values[:, 1:], buffer.last_values.unsqueeze(1)], 1)
    following = torch.where(buffer.done > 0, buffer.bootstrap, following)
    errors = buffer.rewards + config.gamma * following - values
    trace = config.gamma * config.gae_lambda * (1 - buffer.done)
    if ratio is not None and config.vtrace_rho_clip is not None and config.vtrace_c_clip is not None:
        errors = errors * ratio.clamp(max=config.vtrace_rho_clip)
        trace = trace * ratio.clamp(max=config.vtrace_c_clip)
    estimates = torch.empty_like(errors)
    later = torch.zeros_like(buffer.last_values)
    for step in range(buffer.steps - 1, -1, -1):
        later = errors[:, step] + trace[:, step] * later
        estimates[:, step] = later
    return estimates


@dataclass(slots=True)
class RewardScale:
    """The running standard deviation of discounted rewards, by which rewards are divided.

    As in SB3's `VecNormalize`: each row's discounted sum runs until its episode ends; count, mean and squares are over
    all sums seen (Chan, Golub and LeVeque 1979). All in float64, in fixed order.
    """

    sums: np.ndarray[Any, np.dtype[np.float64]]
    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, rewards: torch.Tensor, done: torch.Tensor, gamma: float) -> None:
        """Add a rollout: (rows, steps) rewards and ends."""
        earned = rewards.cpu().double().numpy()
        ended = done.cpu().double().numpy()
        for step in range(earned.shape[1]):
            self.sums = self.sums * gamma + earned[:, step]
            count, mean = len(self.sums), float(self.sums.mean())
            squares = float(((self.sums - mean) ** 2).sum())
            difference = mean - self.mean
            total = self.count + count
            self.mean += difference * count / total
            self.squares += squares + difference * difference * self.count * count / total
            self.count = total
            self.sums = self.sums * (1 - ended[:, step])

    @property
    def deviation(self) -> float:
        """The standard deviation; 1 before the first reward."""
        variance = self.squares / self.count if self.count else 0.0
        return float(np.sqrt(variance)) if variance > 1e-12 else 1.0

    def state(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {"sums": self.sums.tolist(), "count": self.count, "mean": self.mean, "squares": self.squares}

    @classmethod
    def of(cls, state: dict[str, Any], rows: int) -> RewardScale:
        """Create it from `state()`, for `rows` rows: rows that are new start with a sum of 0."""
        sums = np.array(state["sums"], dtype=np.float64)[:rows]
        whole = np.concatenate([sums, np.zeros(rows - len(sums))])
        return cls(whole, state["count"], state["mean"], state["squares"])


def scale_rewards(
    buffer: RolloutBuffer, scale: RewardScale, config: DAFTrainingConfig, rewards: torch.Tensor, done: torch.Tensor
) -> None:
    """Scale the buffer's rewards: multiply, divide by the standard deviation, clip; in this order.

    rewards, done: unscaled, of all ranks that learn together, whose rewards count towards the standard deviation too.
    """
    if config.normalize_rewards:
        scale.update(rewards * config.reward_scale, done, config.gamma)
    buffer.rewards *= config.reward_scale
    if config.normalize_rewards:
        buffer.rewards /= scale.deviation
    if config.reward_clip is not None:
        buffer.rewards.clamp_(-config.reward_clip, config.reward_clip)
