"""One mission as an environment with `reset` and `step`, for code with its own loop.

The trainer steps its environments itself, many at once (`daf.game.training_envs`); given one of these, it trains on its
mission.

Importing this module imports mettagrid.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mettagrid import MettaGridConfig
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.errors import ConfigError, UsageError
from daf.game import missions
from daf.game.mission import Mission
from daf.game.training_world import TERMINATED, TRUNCATED, EndedEpisode, Games, Rows, World


class TrainingEnvironment:
    """A mission to step: all agents at once.

    observations: (agents, tokens, 3) uint8; actions: (agents,) indices into `action_names`; rewards: (agents,) float32.
    """

    def __init__(self, mission: Any, *, seed: int = 42) -> None:
        """mission: a mission string, a config or a (name, config) pair. Raises `MissionError`, `UsageError`."""
        found = missions.resolve(mission)
        if len(found) != 1:
            raise UsageError(f"an environment needs exactly one mission, got {len(found)} from {mission!r}.")
        self.mission = found[0]
        interface = PolicyEnvInterface.from_mg_cfg(self.mission.config)
        self.action_names = list(interface.action_names)
        agents, tokens = self.mission.num_agents, interface.observation_space.shape[0]
        self._rows = Rows.empty(agents, tokens)
        self._world = World(0, seed, Games([self.mission.config]), self._rows)
        self._over = True

    def reset(self) -> npt.NDArray[np.uint8]:
        """Start the next episode; returns the agents' observations."""
        self._world.begin(self._world.episode + 1, 0)
        self._over = False
        return self._rows.observations

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], bool, bool, EndedEpisode | None]:
        """Take a step: observations, rewards, terminated, truncated, and the episode if it ended.

        Raises `UsageError` after an episode's end and for unknown actions.
        """
        if self._over:
            raise UsageError("the episode is over, or none has started: call reset() first.")
        chosen = np.asarray(actions, dtype=np.int32)
        if chosen.shape != self._rows.actions.shape or not ((chosen >= 0) & (chosen < len(self.action_names))).all():
            raise UsageError(
                f"actions must be {len(self._rows.actions)} numbers from 0 to {len(self.action_names) - 1}, got "
                f"{chosen.tolist()}."
            )
        self._rows.actions[:] = chosen
        ended = self._world.step()
        self._over = ended is not None
        done = int(self._rows.done[0])
        return self._rows.observations, self._rows.rewards, done == TERMINATED, done == TRUNCATED, ended

    def enable_lazy_loading(self) -> None:
        """Does nothing: a mission's game is converted when its first episode starts, and never before."""

    def reduce_buffer_size(self) -> None:
        """Not possible: the buffers hold one step. Raises `ConfigError` with the settings that do save memory."""
        size = sum(part.nbytes for part in (self._rows.observations, self._rows.last_observations))
        raise ConfigError(
            f"an environment's buffers hold one step of {self.mission.num_agents} agents ({size / 2**20:.2f} MB) and "
            "can't be smaller. The rollout takes the memory: lower num_envs or n_steps, or set memory_budget_mb."
        )


def mission_of(environment: Any) -> Any:
    """What to train on for `environment`: its mission, its config, or itself if it names a mission.

    Raises `UsageError`.
    """
    if isinstance(environment, TrainingEnvironment):
        return environment.mission
    if isinstance(environment, str | Path | list | tuple | MettaGridConfig | Mission):
        return environment
    config = getattr(environment, "env_cfg", None)
    if isinstance(config, MettaGridConfig):
        return config
    raise UsageError(
        f"DAF trains on missions of mettagrid, and {type(environment).__name__} has none: pass a mission string, a "
        "MettaGridConfig, a TrainingEnvironment or upstream's environment (with env_cfg)."
    )
