"""Changes that a person, a controller or a stagnation asks for, each of them done or refused with the reason.

    harder    the next level of difficulty joins; where all have, the easiest leaves
    easier    the other way round
    widen     no bounds of difficulty, and half as many active tasks again
    explore   what is known of the active tasks is forgotten, so that all are drawn anew
    recover   where the curriculum stagnates: the way out that the evidence points to

Where other tasks wait for a place (`max_active_tasks`), `harder` and `easier` go on so until others take part, and are
refused where that never happens. A sampler that goes through levels by itself (sequence) moves by one level for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from daf.core.curriculum._roster import Roster
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
"""Words that scripts use for the same changes."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What was asked for, whether anything changed, and why. before, after: the keys of the tasks with weight."""

    kind: Kind
    changed: bool
    reason: str
    episodes: int
    before: tuple[str, ...]
    after: tuple[str, ...]


def check_kind(kind: str) -> Kind:
    """The kind that is called `kind`, also by one of its other names. Raises `UsageError`."""
    if kind in OTHER_NAMES:
        return OTHER_NAMES[kind]
    for known in get_args(Kind):
        if kind == known:
            found: Kind = known
            return found
    raise UsageError(unknown("adaptation", kind, [*get_args(Kind), *OTHER_NAMES]))


def possible(kind: Recovery, tasks: Sequence[Task], roster: Roster, sampler: Sampler) -> bool:
    """Whether it would change anything."""
    if kind == "explore":
        return True
    if kind == "widen":
        return len(roster.active(tasks)) < len(tasks)
    return _moved(kind, tasks, roster, sampler) is not None


def apply(kind: Recovery, tasks: Sequence[Task], roster: Roster, sampler: Sampler, history: History) -> str:
    """Do it, where it is possible; what was done, for the record."""
    active = roster.active(tasks)
    if kind == "explore":
        for index in active.tolist():
            history.tasks[index].forget()
        return f"what was known of {len(active)} active tasks is forgotten; they are explored anew"
    if kind == "widen":
        roster.lowest = roster.highest = None
        if roster.most is not None:
            roster.most = min(len(tasks), -(-3 * roster.most // 2))
        roster.arrange(tasks, history)
        return f"no bounds of difficulty, {len(roster.active(tasks))} active tasks after {len(active)}"
    moved = _moved(kind, tasks, roster, sampler)
    if moved is None:
        return "nothing to change"
    levels = sampler.levels(tasks, active)
    if levels is not None:
        sampler.shift(moved[0] - levels[0], tasks, history, active)
        return f"level {moved[0]} of {levels[1]} after level {levels[0]}"
    difficulties = _difficulties(tasks)
    low, high = moved
    roster.lowest = difficulties[low] if low > 0 else None
    roster.highest = difficulties[high] if high < len(difficulties) - 1 else None
    roster.arrange(tasks, history)
    return f"difficulty {difficulties[low]:g} to {difficulties[high]:g}, {len(roster.active(tasks))} active tasks"


def _moved(kind: Recovery, tasks: Sequence[Task], roster: Roster, sampler: Sampler) -> tuple[int, int] | None:
    """The levels of difficulty from and to which the curriculum would go; None where it is at the end already."""
    levels = sampler.levels(tasks, roster.active(tasks))
    if levels is not None:
        target = levels[0] + (1 if kind == "harder" else -1)
        return (target, target) if 0 <= target <= levels[1] else None
    difficulties = _difficulties(tasks)
    inside = [place for place, value in enumerate(difficulties) if _admitted(value, roster)]
    moved = _next(kind, inside[0], inside[-1], len(difficulties) - 1)
    while moved is not None and not roster.changes(tasks, difficulties[moved[0]], difficulties[moved[1]]):
        moved = _next(kind, *moved, len(difficulties) - 1)
    return moved


def _next(kind: Recovery, low: int, high: int, last: int) -> tuple[int, int] | None:
    """The window of levels one step on; None where it is at the end."""
    if kind == "harder":
        if high < last:
            return low, high + 1
        return (low + 1, high) if low < high else None
    if low > 0:
        return low - 1, high
    return (low, high - 1) if low < high else None


def _difficulties(tasks: Sequence[Task]) -> list[float]:
    return sorted({task.difficulty for task in tasks})


def _admitted(difficulty: float, roster: Roster) -> bool:
    return (roster.lowest is None or difficulty >= roster.lowest) and (
        roster.highest is None or difficulty <= roster.highest
    )
