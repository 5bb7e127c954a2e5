"""Each task's level over time, thinned as it grows: enough for a learning curve, never more than `MOST` numbers."""

from collections.abc import Sequence
from typing import Any

from daf.core.curriculum.history import History

MOST = 20_000


class Trace:
    """Levels (fast averages) of the tasks that had episodes since the last point; points are some episodes apart."""

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[int, float]]] = []

    def add(self, history: History) -> None:
        """Add a point for the current state."""
        before = self.points[-1][0] if self.points else -1
        levels = {index: past.fast for index, past in enumerate(history.tasks) if past.known and past.last > before}
        self.points.append((history.episodes, levels))
        if sum(len(one) for _, one in self.points) > MOST and len(self.points) > 2:
            # Drop every second point; keep the latest.
            self.points = self.points[::-1][::2][::-1]

    def of(self, task: int) -> list[tuple[int, float]]:
        """(episode count of the curriculum, level) of one task."""
        return [(clock, levels[task]) for clock, levels in self.points if task in levels]

    def state(self) -> list[Any]:
        """JSON data."""
        return [[clock, [[task, level] for task, level in levels.items()]] for clock, levels in self.points]

    def load(self, state: Sequence[Any]) -> None:
        """Restore `state`."""
        self.points = [(int(clock), {int(task): float(level) for task, level in levels}) for clock, levels in state]
