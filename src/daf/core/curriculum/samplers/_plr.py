"""Prioritised level replay: draw surprising tasks again, and tasks that were not played for long.

Tasks not seen yet are drawn with their share of all tasks; the rest of the draws replays: by the rank of each task's
score, to the power 1/temperature, mixed with staleness, the episodes since a task was last played.

Source: Jiang, Grefenstette and Rocktäschel, "Prioritized Level Replay", ICML 2021. Differences: their score is the
critic's mean absolute error over an episode, which a curriculum does not see. `surprise` is its episodic counterpart,
the distance of the latest returns from the level expected of the task; `regret` the distance of the level from the best
return seen (after MaxMC in Jiang et al., "Replay-Guided Adversarial Environment Design", NeurIPS 2021). Both are
divided by the spread of all the task's returns, since tasks differ in scale. Neither distinguishes noise from something
to learn: if episodes are noisy, learning progress does better.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from daf.config.base import ConfigModel
from daf.core.curriculum.history import History, TaskHistory
from daf.core.curriculum.interface import FloatArray, Task
from daf.core.curriculum.samplers.interface import IntArray, Stateless


class PLRConfig(ConfigModel):
    """`sampler: plr`. The defaults are the paper's for Procgen, except for a higher temperature: with the paper's,
    ranks over a handful of tasks would draw one task only."""

    name: Literal["plr"] = "plr"
    score: Literal["surprise", "regret"] = "surprise"
    temperature: float = Field(
        default=0.5, gt=0, le=100, description="Near 0: the first rank only; large: all ranks equally."
    )
    staleness: float = Field(default=0.1, gt=0, le=1, description="Share of replays drawn by staleness.")


class PrioritisedLevelReplay(Stateless):
    """Weight by the rank of scores, and by staleness."""

    def __init__(self, config: PLRConfig) -> None:
        self.config = config

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """Unseen tasks share their part of the draws evenly; seen ones are drawn by rank and staleness."""
        found = [history.tasks[index] for index in active.tolist()]
        seen = np.array([task.known > 0 for task in found])
        weights = np.zeros(len(found))
        weights[~seen] = 1.0 / len(found)
        replayed = [task for task in found if task.known > 0]
        if replayed:
            weights[seen] = self._replay(replayed, history.episodes) * len(replayed) / len(found)
        return weights

    def _replay(self, seen: Sequence[TaskHistory], now: int) -> FloatArray:
        scores = np.array([self._score(task) for task in seen])
        # Equal scores share the mean of their ranks, so that the order of the table does not matter.
        _, level, count = np.unique(-scores, return_inverse=True, return_counts=True)
        rank = (np.cumsum(count) - (count - 1) / 2.0)[level]
        by_score = (1.0 / rank) ** (1.0 / self.config.temperature)
        age = np.array([now - task.last for task in seen], dtype=np.float64)
        by_age = age / age.sum() if age.sum() > 0 else np.full(len(seen), 1.0 / len(seen))
        share = self.config.staleness
        return np.asarray((1.0 - share) * by_score / by_score.sum() + share * by_age)

    def _score(self, task: TaskHistory) -> float:
        if task.surprise is None or task.episodes < 2:
            return float("inf")
        if task.spread == 0.0:
            return 0.0
        distance = task.surprise if self.config.score == "surprise" else task.best - task.fast
        return distance / task.spread
