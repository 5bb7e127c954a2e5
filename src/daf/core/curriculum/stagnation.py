"""Whether anything is still being learned.

A curriculum stagnates if every active task has been played for a full window of episodes, no task's change within it is
significant (corrected for the number of tasks: `change.unmoved`), and the mean change over tasks is clearly smaller
than the margin. Too little evidence does not count as stagnation.

The recovery depends on the cause: if most tasks improved before they came to rest, they are mastered, and others are
needed (widen, else harder); if not, they are out of reach (easier, else widen). If neither is possible, the active
tasks' averages and recent scores are forgotten and everything is explored again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from daf.core.curriculum.change import Change, change, halves, unmoved
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import Task
from daf.core.curriculum.samplers.interface import IntArray

Recovery = Literal["widen", "harder", "easier", "explore"]


@dataclass(frozen=True, slots=True)
class Stagnation:
    """The evidence. tasks: number of active tasks; risen: how many of them improved since their first episodes."""

    episodes: int
    tasks: int
    risen: int
    change: Change
    recovery: Recovery

    def sentence(self) -> str:
        """The finding, with the numbers and the recovery."""
        return (
            f"no task is being learned any more, after {self.episodes:,} episodes: the mean change of the active tasks "
            f"is {self.change.text()}, and {self.risen} of {self.tasks} have improved since their first episodes. "
            f'Continue with adapt_curriculum("{self.recovery}"), or set on_stagnation: adapt.'
        )


def find(
    tasks: Sequence[Task], history: History, active: IntArray, since: Sequence[int], *, margin: float
) -> tuple[Change, int] | None:
    """The change and the number of tasks that improved, if the curriculum stagnates.

    since: each task's episodes at the last adaptation, which gets a full window to take effect.
    """
    found = [history.tasks[index] for index in active.tolist()]
    for index, past in zip(active.tolist(), found, strict=True):
        if min(past.known, past.episodes - since[index]) < history.window:
            return None
    within = [halves(list(past.recent), past.deviation) for past in found]
    moved = change(within)
    if moved is None or not moved.within(margin) or not unmoved(within):
        return None
    rises = [change([(past.first, list(past.recent), past.deviation)]) for past in found]
    return moved, sum(rise is not None and rise.low > 0 for rise in rises)


def moving(history: History, active: IntArray) -> bool:
    """Whether any task's fast average differs from its slow one by three standard errors."""
    found = (history.tasks[index] for index in active.tolist())
    return any(abs(past.change) > 3.0 * past.change_error for past in found)
