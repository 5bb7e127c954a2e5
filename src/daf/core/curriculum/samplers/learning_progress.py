"""Draw tasks that are being learned, or forgotten.

A task's progress is how far its fast average differs from its slow one, in units of that task's noise, in either
direction: a task that is being forgotten needs practice as much as one that is being learned. A task that does not
change, because it is mastered or out of reach, is drawn no more than exploration requires.

Source: Kanitscheider et al., "Multi-task curriculum learning in a complex, visual, hard-exploration domain: Minecraft",
2021 (bidirectional learning progress), after Oudeyer, Kaplan and Hafner, IEEE Trans. Evolutionary Computation 11, 2007.
Differences: theirs are success rates in [0, 1], stretched near 0; returns have no such scale, so progress is divided by
the task's noise. And the difference of two noisy averages is never 0: the weight of a task is the root of change² + its
standard error², the change that it may well have. If there is only noise, all tasks have similar weights, rather than
the luckiest the most, and a task with few episodes is drawn more.
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
    exploration: float = Field(default=0.2, gt=0, le=1, description="Share of draws spread evenly over all tasks.")


class LearningProgress(Stateless):
    """Weight by progress in either direction."""

    def __init__(self, config: LearningProgressConfig) -> None:
        self.config = config

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """`exploration` is spread evenly, the rest by progress; an unexplored task has the weight of the best one."""
        found = [history.tasks[index] for index in active.tolist()]
        explored = np.array([task.explored for task in found])
        change = np.array([task.change for task in found])
        error = np.array([task.change_error for task in found])
        progress = np.hypot(change, error)
        progress[~explored] = progress[explored].max(initial=0.0) or 1.0
        share = self.config.exploration
        return np.asarray(share / len(found) + (1.0 - share) * progress / progress.sum())
