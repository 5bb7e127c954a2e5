"""Draw what is being learned, or forgotten.

A task's progress is how far its fast average has left its slow one, in units of that task's own noise, in either
direction: what is being forgotten needs practice as much as what is being learned. What stands still, because it is
mastered or because it is out of reach, is drawn no more than exploration asks.

Source: Kanitscheider et al., "Multi-task curriculum learning in a complex, visual, hard-exploration domain: Minecraft",
2021 (bidirectional learning progress), after Oudeyer, Kaplan and Hafner, IEEE Trans. Evolutionary Computation 11, 2007.
What is different here: theirs are success rates in [0, 1], stretched near 0; returns have no such scale, so progress is
divided by the task's noise. And the difference of two noisy averages is never 0: each task counts with the root of
change² + its standard error², the change that it may well have. Where noise is all there is, all tasks count alike
rather than the luckiest most, and what is known from few episodes is drawn more.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from daf.config.base import ConfigModel
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import FloatArray, Task
from daf.core.curriculum.samplers.interface import IntArray, Stateless


class LearningProgressConfig(ConfigModel):
    """`sampler: learning_progress`."""

    name: Literal["learning_progress"] = "learning_progress"
    exploration: float = Field(default=0.2, gt=0, le=1, description="Share of draws for all tasks alike.")


class LearningProgress(Stateless):
    """Weight by progress in either direction."""

    def __init__(self, config: LearningProgressConfig) -> None:
        self.config = config

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """`exploration` spread evenly, the rest by progress; a task that is not explored yet counts like the best."""
        found = [history.tasks[index] for index in active.tolist()]
        explored = np.array([task.explored for task in found])
        change = np.array([task.change for task in found])
        error = np.array([task.change_error for task in found])
        progress = np.hypot(change, error)
        progress[~explored] = progress[explored].max(initial=0.0) or 1.0
        share = self.config.exploration
        return np.asarray(share / len(found) + (1.0 - share) * progress / progress.sum())
