"""One level of difficulty after the other.

Tasks of the same difficulty form a level. The tasks of a level share the draws; a part goes to the earlier levels, so
that they are not forgotten. `linear` spends the same number of episodes on every level. `adaptive` moves up when a
level is mastered (its mean reaches `target`, or without a target when it has converged) and down when it is out of
reach (its mean is below `retreat`). At the last level it stays.

Progress by thresholds is the starting point of Wang et al., "POET", 2019, and Bengio et al., "Curriculum learning",
ICML 2009; it needs a correct order of difficulty. `learning_progress` does not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from daf.config.base import ConfigModel
from daf.core.curriculum.change import change, halves, unmoved
from daf.core.curriculum.history import History, TaskHistory
from daf.core.curriculum.interface import FloatArray, Task
from daf.core.curriculum.samplers.interface import IntArray


class SequenceConfig(ConfigModel):
    """`sampler: sequence`."""

    name: Literal["sequence"] = "sequence"
    progression: Literal["linear", "adaptive"] = "adaptive"
    episodes_per_level: int = Field(
        default=200, ge=1, description="linear: the number; adaptive: the minimum before a move."
    )
    rehearsal: float = Field(default=0.2, ge=0, lt=1, description="Share of draws for earlier levels.")
    target: float | None = Field(
        default=None, description="adaptive: the mean score from which a level counts as mastered."
    )
    retreat: float | None = Field(default=None, description="adaptive: the mean score below which to go back a level.")

    @model_validator(mode="after")
    def _fits(self) -> "SequenceConfig":
        if self.progression == "linear" and (self.target is not None or self.retreat is not None):
            raise ValueError("target and retreat belong to progression adaptive; linear counts episodes")
        if self.target is not None and self.retreat is not None and self.retreat >= self.target:
            raise ValueError(f"retreat {self.retreat:g} must be below target {self.target:g}")
        return self


class InSequence:
    """Weight on the current level, and a part on the earlier ones.

    level: the current one, counted from 0 among the difficulties of the active tasks. entered: the curriculum's
    episode count when it was reached.
    """

    runs_through_all = True

    def __init__(self, config: SequenceConfig, rest_margin: float) -> None:
        """rest_margin: changes clearly below it, in standard deviations of one episode, count as none."""
        self.config, self.rest_margin = config, rest_margin
        self.level = 0
        self.entered = 0

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """The current level's tasks share 1 - `rehearsal`, those of the earlier levels the rest."""
        levels, _ = levels_of(tasks, active)
        present = min(self.level, int(levels.max()))
        now, before = levels == present, levels < present
        weights = np.where(now, 1.0 / now.sum(), 0.0)
        if before.any():
            share = self.config.rehearsal
            weights = (1.0 - share) * weights + share * before / before.sum()
        return weights

    def observe(self, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Move to the next or the previous level when it is time."""
        levels, last = levels_of(tasks, active)
        self.level = min(self.level, last)
        if history.episodes - self.entered < self.config.episodes_per_level:
            return
        if self.config.progression == "linear":
            self._go(+1, last, history)
            return
        present = [history.tasks[index] for index in active[levels == self.level].tolist()]
        if any(len(task.recent) < min(history.window, self.config.episodes_per_level) for task in present):
            return
        mean = float(np.mean([np.mean(task.recent) for task in present]))
        if self.config.retreat is not None and mean < self.config.retreat:
            self._go(-1, last, history)
        elif self.config.target is not None:
            if mean >= self.config.target:
                self._go(+1, last, history)
        elif self._at_rest(present):
            self._go(+1, last, history)

    def levels(self, tasks: Sequence[Task], active: IntArray) -> tuple[int, int] | None:
        """The current level and the last one."""
        last = levels_of(tasks, active)[1]
        return min(self.level, last), last

    def shift(self, steps: int, tasks: Sequence[Task], history: History, active: IntArray) -> None:
        """Move by `steps` levels, as far as there are levels."""
        self._go(steps, levels_of(tasks, active)[1], history)

    def state_dict(self) -> dict[str, Any]:
        """The level and when it was reached."""
        return {"level": self.level, "entered": self.entered}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`."""
        self.level, self.entered = int(state["level"]), int(state["entered"])

    def _at_rest(self, present: Sequence[TaskHistory]) -> bool:
        """Whether no task of the level moves: each has a full window, no change there is significant, and their mean
        change is clearly small."""
        if any(len(task.recent) < task.window for task in present):
            return False
        within = [halves(list(task.recent), task.deviation) for task in present]
        moved = change(within)
        return moved is not None and moved.within(self.rest_margin) and unmoved(within)

    def _go(self, steps: int, last: int, history: History) -> None:
        self.level = max(0, min(self.level + steps, last))
        self.entered = history.episodes


def levels_of(tasks: Sequence[Task], active: IntArray) -> tuple[IntArray, int]:
    """Each active task's level, 0 for the easiest, and the last level."""
    difficulty = np.array([tasks[index].difficulty for index in active.tolist()])
    levels = np.unique(difficulty, return_inverse=True)[1].astype(np.int64)
    return levels, int(levels.max())
