"""What every sampler is: probabilities from what was seen, and no random numbers of its own.

Given the same history a sampler gives the same weights, in any process. It gives weight only to active tasks, and every
active task is drawn sooner or later, whatever the scores; `tests/core/test_curriculum_samplers.py` asks this of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daf.core.curriculum.history import History
from daf.core.curriculum.interface import FloatArray, Task

IntArray = NDArray[np.int64]


class Sampler(Protocol):
    """How probable each task's draw is."""

    runs_through_all: bool
    """Whether the sampler decides by itself which tasks take part, so that none are evicted."""

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """(len(active),) weights of the tasks `active`, ascending indices: at least 0, sum above 0."""

    def observe(self, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Move on, after outcomes came in."""

    def levels(self, tasks: Sequence[Task], active: IntArray) -> tuple[int, int] | None:
        """The present level of difficulty and the last one, counted from 0; None where the sampler has no levels."""

    def shift(self, steps: int, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Go `steps` levels harder (easier, below 0), as far as there are any."""

    def state_dict(self) -> dict[str, Any]:
        """All that it remembers beside the history, as JSON data."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""


class Stateless:
    """What samplers share that remember nothing beside the history."""

    runs_through_all = False

    def observe(self, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Nothing to remember."""

    def levels(self, tasks: Sequence[Task], active: IntArray) -> tuple[int, int] | None:
        """None."""
        return None

    def shift(self, steps: int, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Nowhere to go."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing."""
