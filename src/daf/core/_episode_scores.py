"""Scores of the episodes that training played, with the names that scripts use.

Rewards are mean returns per agent. Averages are over the latest episodes, since earlier ones were played by an outdated
policy: `RECENT` of all tasks together, `RECENT_PER_TASK` of each task.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

RECENT = 100
RECENT_PER_TASK = 20


class EpisodeScores:
    """Counts episodes as they end. recent, per_task: how many of the latest an average covers; None: all."""

    def __init__(self, recent: int | None = RECENT, per_task: int | None = RECENT_PER_TASK) -> None:
        self.episodes = 0
        self.best: float | None = None
        self._per_task = per_task
        self._recent: deque[float] = deque(maxlen=recent)
        self._tasks: dict[str, deque[float]] = {}

    def add(self, scores: Iterable[tuple[str, float]]) -> None:
        """Add the tasks and mean returns of episodes that ended, in their order."""
        for task, score in scores:
            self.episodes += 1
            self.best = score if self.best is None else max(self.best, score)
            self._recent.append(score)
            self._tasks.setdefault(task, deque(maxlen=self._per_task)).append(score)

    def results(self) -> dict[str, Any]:
        """The scores by name; None if no episode has ended.

        completion_rate: the share of the averaged episodes with a return above 0. best_reward: of a single episode.
        task_performance: mean return by task.
        """
        recent = list(self._recent)
        return {
            "episodes": self.episodes,
            "avg_reward": sum(recent) / len(recent) if recent else None,
            "best_reward": self.best,
            "completion_rate": sum(score > 0 for score in recent) / len(recent) if recent else None,
            "task_performance": {task: sum(scores) / len(scores) for task, scores in self._tasks.items()},
        }

    def state(self) -> dict[str, Any]:
        """The state for `restore`."""
        tasks = {task: list(scores) for task, scores in self._tasks.items()}
        return {"episodes": self.episodes, "best": self.best, "recent": list(self._recent), "tasks": tasks}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Continue from `state`; start from zero if a checkpoint of an earlier DAF has none."""
        kept = state or {"episodes": 0, "best": None, "recent": [], "tasks": {}}
        self.episodes, self.best = kept["episodes"], kept["best"]
        self._recent = deque(kept["recent"], maxlen=self._recent.maxlen)
        self._tasks = {task: deque(scores, maxlen=self._per_task) for task, scores in kept["tasks"].items()}
