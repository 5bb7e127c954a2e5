"""Changes requested by a person, a controller or a stagnation; each is either done or refused with a reason.

    harder    the next level of difficulty joins; if all have joined, the easiest leaves
    easier    the reverse
    widen     no bounds of difficulty, and 1.5 times as many active tasks
    explore   the history of the active tasks is forgotten, so that all are explored again
    recover   if the curriculum stagnates: the recovery that the evidence suggests

If other tasks wait for a place (`max_active_tasks`), `harder` and `easier` repeat until the set of active tasks
changes, and are refused if it never does. A sampler with levels (sequence) moves by one level instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from daf.core.curriculum._task_states import TaskStates
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import Task
from daf.core.curriculum.samplers import Sampler
from daf.core.curriculum.stagnation import Recovery
from daf.errors import UsageError, unknown

Kind = Literal["harder", "easier", "widen", "explore", "recover"]
OTHER_NAMES: dict[str, Kind] = {
    "adjust_difficulty": "recover", "increase_difficulty": "harder", "reduce_difficulty": "easier",
    "decrease_difficulty": "easier",
}  # fmt: skip
"""Aliases of kinds, for scripts."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The requested kind, whether anything changed, and why. before, after: the keys of the tasks with weight."""

    kind: Kind
    changed: bool
    reason: str
    episodes: int
    before: tuple[str, ...]
    after: tuple[str, ...]


def check_kind(kind: str) -> Kind:
    """The kind with the name or alias `kind`. Raises `UsageError`."""
    if kind in OTHER_NAMES:
        return OTHER_NAMES[kind]
    for known in get_args(Kind):
        if kind == known:
            found: Kind = known
            return found
    raise UsageError(unknown("adaptation", kind, [*get_args(Kind), *OTHER_NAMES]))


def possible(kind: Recovery, tasks: Sequence[Task], states: TaskStates, sampler: Sampler) -> bool:
    """Whether the kind would change anything."""
    if kind == "explore":
        return True
    if kind == "widen":
        return len(states.active(tasks)) < len(tasks)
    return _moved(kind, tasks, states, sampler) is not None


def apply(kind: Recovery, tasks: Sequence[Task], states: TaskStates, sampler: Sampler, history: History) -> str:
    """Apply the kind, which must be possible; returns what was done, for the record."""
    active = states.active(tasks)
    if kind == "explore":
        for index in active.tolist():
            history.tasks[index].forget()
        return f"discarded the history of {len(active)} active tasks; they are explored again"
    if kind == "widen":
        states.lowest = states.highest = None
        if states.most is not None:
            states.most = min(len(tasks), -(-3 * states.most // 2))
        states.arrange(tasks, history)
        return f"no bounds of difficulty, {len(states.active(tasks))} active tasks after {len(active)}"
    moved = _moved(kind, tasks, states, sampler)
    if moved is None:
        return "nothing to change"
    levels = sampler.levels(tasks, active)
    if levels is not None:
        sampler.shift(moved[0] - levels[0], tasks, history, active)
        return f"level {moved[0]} of {levels[1]} after level {levels[0]}"
    difficulties = _difficulties(tasks)
    low, high = moved
    states.lowest = difficulties[low] if low > 0 else None
    states.highest = difficulties[high] if high < len(difficulties) - 1 else None
    states.arrange(tasks, history)
    return f"difficulty {difficulties[low]:g} to {difficulties[high]:g}, {len(states.active(tasks))} active tasks"


def _moved(kind: Recovery, tasks: Sequence[Task], states: TaskStates, sampler: Sampler) -> tuple[int, int] | None:
    """The levels of difficulty before and after the move; None if the curriculum has reached the end."""
    levels = sampler.levels(tasks, states.active(tasks))
    if levels is not None:
        target = levels[0] + (1 if kind == "harder" else -1)
        return (target, target) if 0 <= target <= levels[1] else None
    difficulties = _difficulties(tasks)
    inside = [level for level, value in enumerate(difficulties) if states.admits(value)]
    moved = _next(kind, inside[0], inside[-1], len(difficulties) - 1)
    while moved is not None and not states.changes(tasks, difficulties[moved[0]], difficulties[moved[1]]):
        moved = _next(kind, *moved, len(difficulties) - 1)
    return moved


def _next(kind: Recovery, low: int, high: int, last: int) -> tuple[int, int] | None:
    """The next window of levels; None if there is none."""
    if kind == "harder":
        if high < last:
            return low, high + 1
        return (low + 1, high) if low < high else None
    if low > 0:
        return low - 1, high
    return (low, high - 1) if low < high else None


def _difficulties(tasks: Sequence[Task]) -> list[float]:
    return sorted({task.difficulty for task in tasks})
