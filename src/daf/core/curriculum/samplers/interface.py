"""The interface of samplers: probabilities from the history, without random numbers.

Given the same history a sampler gives the same weights, in any process. It gives weight only to active tasks, and every
active task is drawn sooner or later, for any scores; `tests/core/test_curriculum_samplers.py` checks this for all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daf.core.curriculum.history import History
from daf.core.curriculum.interface import FloatArray, Task

IntArray = NDArray[np.int64]


class Sampler(Protocol):
    """Computes the probability of drawing each task."""

    runs_through_all: bool
    """Whether the sampler itself decides which tasks take part, so that none are evicted."""

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """(len(active),) weights of the tasks `active`, ascending indices: at least 0, sum above 0."""

    def observe(self, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Update the sampler's state after new outcomes."""

    def levels(self, tasks: Sequence[Task], active: IntArray) -> tuple[int, int] | None:
        """The current level of difficulty and the last one, counted from 0; None if the sampler has no levels."""

    def shift(self, steps: int, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Move `steps` levels up (down if negative), as far as there are levels."""

    def state_dict(self) -> dict[str, Any]:
        """The sampler's state in addition to the history, as JSON data."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`."""


class Stateless:
    """The common part of samplers that have no state in addition to the history."""

    runs_through_all = False

    def observe(self, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Do nothing."""

    def levels(self, tasks: Sequence[Task], active: IntArray) -> tuple[int, int] | None:
        """None."""
        return None

    def shift(self, steps: int, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Any]:
        """An empty state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""
