"""What was drawn and what was learned, by each value of each axis, with the evidence.

Levels are reported as returns if a slice contains one mission with one kind of rewards; others differ in their units,
so for several only the change is reported, in standard deviations of one episode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daf.core.curriculum.change import ALPHA, Change, change
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import Task
from daf.core.curriculum.tasks import NO_VARIANT
from daf.stats.student import student_interval


@dataclass(frozen=True, slots=True)
class Slice:
    """Tasks that share a value of an axis.

    tasks: their number; explored: how many of them were played. episodes, share: played, and as a fraction of all.
    mean, ci: of the recent episodes, tasks equally weighted, with a 90 % interval; None with several missions or
    rewards, and without two episodes of each. n: recent episodes. learned: the change from the first episodes to the
    recent ones, over the tasks for which both are known without overlap.
    """

    axis: str
    value: str | float
    tasks: int
    explored: int
    episodes: int
    share: float
    mean: float | None
    ci: tuple[float, float] | None
    n: int
    learned: Change | None


def slices(tasks: Sequence[Task], history: History) -> list[Slice]:
    """Every axis that the tasks have, in order of first appearance, and its values likewise."""
    groups: dict[tuple[str, str | float], list[Task]] = {}
    for axis in dict.fromkeys(axis for task in tasks for axis in task.axes):
        for task in tasks:
            if axis in task.axes:
                groups.setdefault((axis, task.axes[axis]), []).append(task)
    return [_slice(axis, value, members, history) for (axis, value), members in groups.items()]


def _slice(axis: str, value: str | float, members: Sequence[Task], history: History) -> Slice:
    played = [history.tasks[task.index] for task in members if history.tasks[task.index].episodes > 0]
    episodes = sum(past.episodes for past in played)
    known = [past for past in played if len(past.recent) >= 2]
    units = {(task.axes.get("mission", task.mission), task.axes.get("rewards", NO_VARIANT)) for task in members}
    mean, ci = None, None
    if known and len(units) == 1:
        scores = np.concatenate([np.array(past.recent) for past in known])
        strata = np.repeat(np.arange(len(known)), [len(past.recent) for past in known])
        low, high = student_interval(scores[None], strata, "mean", alpha=ALPHA)
        mean = float(np.mean([np.mean(past.recent) for past in known]))
        ci = (float(low[0]), float(high[0]))
    apart = [past for past in known if past.known >= len(past.first) + len(past.recent) and len(past.first) >= 2]
    return Slice(
        axis=axis,
        value=value,
        tasks=len(members),
        explored=len(played),
        episodes=episodes,
        share=episodes / history.episodes if history.episodes else 0.0,
        mean=mean,
        ci=ci,
        n=sum(len(past.recent) for past in known),
        learned=change([(past.first, list(past.recent), past.deviation) for past in apart]),
    )
