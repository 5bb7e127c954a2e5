"""The interface between a trainer and a curriculum.

The table of tasks only grows: an index always means the same task, so an episode that started under old weights is
still credited to the task that it played. A task that must not be drawn has weight 0.

Nothing in a curriculum depends on the clock, on the order in which workers finish, or on how often it is called:
`weights` is a function of the outcomes recorded so far, in their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Task:
    """A task to learn: a mission with its options.

    index: its position in the table. key: its name, unique in the table. mission: a mission string with its options.
    axes: its value on each axis ("mission", "cogs", "max_steps", "variants", …), for slices. difficulty: any number;
    only its order matters.
    """

    index: int
    key: str
    mission: str
    axes: Mapping[str, str | float] = field(default_factory=dict)
    difficulty: float = 0.0

    @property
    def id(self) -> str:
        """The key."""
        return self.key

    def __str__(self) -> str:
        return self.key

    def __hash__(self) -> int:
        return hash((self.index, self.key))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One ended episode.

    task: index in the table. environment, episode: the draw that it came from. score: mean return per agent, finite.
    steps: its length. stats: the game's statistics.
    """

    task: int
    environment: int
    episode: int
    score: float
    steps: int
    stats: Mapping[str, float] = field(default_factory=dict)


class Curriculum(Protocol):
    """Which task an environment plays next."""

    def tasks(self) -> Sequence[Task]:
        """The current table of tasks; it only grows inside `record`."""

    def weights(self) -> FloatArray:
        """(tasks,) probabilities for the draws of the next rollout: at least 0, sum 1."""

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add the episodes that ended in a rollout, in a fixed order: by environment, then episode."""

    def metrics(self) -> dict[str, float]:
        """Finite numbers for the metrics stream."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to continue exactly, as JSON data."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`. Raises `ConfigError` if it belongs to another curriculum."""
