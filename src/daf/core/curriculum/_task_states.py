"""Which tasks take part: a window of difficulty, a limit on the number of active tasks, and eviction with reasons.

A task is retired when it has converged, so that nothing more is learned from it: it improved and stays (mastered), it
improved but stays below the target (plateaued), or it never improved (unlearnable: out of reach, or mastered before it
was first drawn; the reason contains the scores). "Converged" and "improved" are statements about 90 % intervals, never
about averages alone. A free place goes to a task that never had one, easiest first; then to the one that was retired
longest ago, with mastered ones last: a task that was out of reach may be within reach now.

A retired task keeps its index, and weight 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from daf.core.curriculum.change import ALPHA, change, halves
from daf.core.curriculum.history import History, TaskHistory
from daf.core.curriculum.interface import Task
from daf.core.curriculum.samplers.interface import IntArray
from daf.errors import ConfigError
from daf.stats.student import student_interval

State = Literal["waiting", "active", "mastered", "plateaued", "unlearnable"]
RETIRED: tuple[State, ...] = ("mastered", "plateaued", "unlearnable")
_RETURN_ORDER = {"waiting": 0, "unlearnable": 1, "plateaued": 1, "mastered": 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """That a task is to be retired, and why."""

    state: State
    reason: str


class TaskStates:
    """The state of every task of a table, and which are active."""

    def __init__(self, tasks: Sequence[Task], most: int | None) -> None:
        self.most = most
        self.states: list[State] = []
        self.since: list[int] = []
        """The curriculum's episode count when the task entered its state."""
        self.reviewed: list[int] = []
        """Known episodes of the task when it was last judged."""
        self.lowest: float | None = None
        """Tasks below this difficulty do not take part; None: no bound."""
        self.highest: float | None = None
        for _ in tasks:
            self.grow()

    def grow(self) -> None:
        """Make room for one more task."""
        self.states.append("waiting")
        self.since.append(0)
        self.reviewed.append(0)

    def active(self, tasks: Sequence[Task]) -> IntArray:
        """The indices of the tasks that take part, ascending."""
        return np.array([t.index for t in tasks if self.states[t.index] == "active"], dtype=np.int64)

    def admits(self, difficulty: float) -> bool:
        """Whether `difficulty` is in the window of difficulty."""
        return (self.lowest is None or difficulty >= self.lowest) and (
            self.highest is None or difficulty <= self.highest
        )

    def changes(self, tasks: Sequence[Task], lowest: float, highest: float) -> bool:
        """Whether a window from `lowest` to `highest` would change which tasks take part."""
        active = {task.index for task in tasks if self.states[task.index] == "active"}
        admitted = {task.index for task in tasks if lowest <= task.difficulty <= highest}
        full = self.most is not None and len(active) >= self.most
        return not active <= admitted or (active != admitted and not full)

    def limit(self, most: int | None, tasks: Sequence[Task], history: History) -> None:
        """Allow at most `most` active tasks from now on. Tasks activated last wait again, the hardest first."""
        self.most = most
        active = self.active(tasks).tolist()
        if most is not None:
            active.sort(key=lambda index: (self.since[index], tasks[index].difficulty, index))
            for index in active[most:]:
                self._set(index, "waiting", history)
        self.arrange(tasks, history)

    def arrange(self, tasks: Sequence[Task], history: History) -> list[int]:
        """Deactivate tasks outside the window, and fill free places; returns the tasks that got one."""
        for task in tasks:
            if self.states[task.index] == "active" and not self.admits(task.difficulty):
                self._set(task.index, "waiting", history)
        filled = []
        free = (len(tasks) if self.most is None else self.most) - self.states.count("active")
        for index in self._queue(tasks)[: max(free, 0)]:
            if self.states[index] in RETIRED:
                history.tasks[index].forget()
            self._set(index, "active", history)
            filled.append(index)
        return filled

    def review(
        self, tasks: Sequence[Task], history: History, *, margin: float, target: float | None
    ) -> list[tuple[int, Verdict, int]]:
        """Retire converged tasks while others wait for a place: (retired, why, successor)."""
        done = []
        for index in self.active(tasks).tolist():
            past = history.tasks[index]
            if past.known < self.reviewed[index]:
                self.reviewed[index] = 0
            if past.known - self.reviewed[index] < max(history.window // 2, 1):
                continue
            queue = self._queue(tasks)
            if not queue:
                break
            self.reviewed[index] = past.known
            verdict = judge(past, margin=margin, target=target)
            if verdict is None:
                continue
            self._set(index, verdict.state, history)
            successor = queue[0]
            if self.states[successor] in RETIRED:
                history.tasks[successor].forget()
            self._set(successor, "active", history)
            done.append((index, verdict, successor))
        return done

    def state_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "most": self.most, "states": list(self.states), "since": list(self.since),
            "reviewed": list(self.reviewed), "lowest": self.lowest, "highest": self.highest,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`. Raises `ConfigError` if it has a different number of tasks."""
        if len(state["states"]) != len(self.states):
            raise ConfigError(f"the saved curriculum has {len(state['states'])} tasks, this one {len(self.states)}.")
        self.most = state["most"]
        self.states, self.since = list(state["states"]), list(state["since"])
        self.reviewed = list(state["reviewed"])
        self.lowest, self.highest = state["lowest"], state["highest"]

    def _queue(self, tasks: Sequence[Task]) -> list[int]:
        """The tasks that get the next places, in order."""
        outside = [task for task in tasks if self.states[task.index] != "active" and self.admits(task.difficulty)]
        key = {
            task.index: (_RETURN_ORDER[self.states[task.index]], self.since[task.index], task.difficulty, task.index)
            for task in outside
        }
        return sorted(key, key=key.__getitem__)

    def _set(self, index: int, state: State, history: History) -> None:
        self.states[index] = state
        self.since[index] = history.episodes
        self.reviewed[index] = 0


def judge(past: TaskHistory, *, margin: float, target: float | None) -> Verdict | None:
    """The verdict on a task that has converged; None while it changes, or with too few episodes.

    margin: smaller changes, in standard deviations of one episode, count as none. target: the mean score from which it
    is mastered; None: a task that improved and converged is mastered.
    """
    window, recent, first = past.window, list(past.recent), past.first
    if len(recent) < window or (target is None and (past.known < 2 * window or _moves(recent, past, margin))):
        return None
    low, high = student_interval(np.array([recent]), np.zeros(len(recent), np.int64), "mean", alpha=ALPHA)
    mean = sum(recent) / len(recent)
    now = f"mean {mean:.4g} (90 % interval {low[0]:.4g} to {high[0]:.4g}) over the last {len(recent)} episodes"
    if target is not None and low[0] >= target:
        return Verdict("mastered", f"{now}; the target is {target:g}.")
    if past.known < 2 * window:
        return None
    rest = change([halves(recent, past.deviation)])
    rise = change([(first, recent, past.deviation)])
    if rest is None or rise is None or not rest.within(margin):
        return None
    if rise.low > 0:
        reason = f"it improved by {rise.text()} and has converged: {now}"
        below = f", below the target {target:g}." if target is not None else "."
        return Verdict("mastered" if target is None else "plateaued", reason + below)
    if rise.high < margin:
        return Verdict("unlearnable", f"it did not improve: {rise.text()} since its first episodes; {now}.")
    return None


def _moves(recent: Sequence[float], past: TaskHistory, margin: float) -> bool:
    """Whether the halves differ too much for an interval within the margin: a quick check that settles most cases."""
    middle = len(recent) // 2
    difference = sum(recent[middle:]) / (len(recent) - middle) - sum(recent[:middle]) / middle
    return past.noise > 0.0 and abs(difference) >= margin * past.deviation
