"""Whether anything is still being learned.

A curriculum stagnates where every active task has been played a full window of episodes, no task's change within it can
be told from 0 (allowing for their number: `change.unmoved`), and the mean change over tasks is surely smaller than the
margin. Too little evidence is no stagnation.

The way out follows from how it came: where most tasks rose before they came to rest, they are mastered, and others are
needed (widen, else harder); where they did not, they are out of reach (easier, else widen). Where neither is possible,
what is known is forgotten and everything explored anew.
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
    """The evidence. tasks: how many are active; risen: how many of them rose since their first episodes."""

    episodes: int
    tasks: int
    risen: int
    change: Change
    recovery: Recovery

    def sentence(self) -> str:
        """What was found, with the numbers and the way out."""
        return (
            f"no task is being learned any more, after {self.episodes:,} episodes: over {self.tasks} active tasks the "
            f"change is {self.change.text()}, and {self.risen} of them rose since their first episodes. "
            f'adapt_curriculum("{self.recovery}"), or on_stagnation: adapt, goes on from here.'
        )


def find(
    tasks: Sequence[Task], history: History, active: IntArray, since: Sequence[int], *, margin: float
) -> tuple[Change, int] | None:
    """The change and the number of tasks that rose, where the curriculum stagnates.

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
    """Whether a task's fast average has left its slow one by three standard errors."""
    found = (history.tasks[index] for index in active.tolist())
    return any(abs(past.change) > 3.0 * past.change_error for past in found)
