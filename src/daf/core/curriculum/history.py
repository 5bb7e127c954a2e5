"""What was seen of each task: level, noise and progress, on a scale of the task's own.

Returns have no bounds and tasks have different units, so nothing is clipped to [0, 1]: a task's progress is its change
of level divided by the spread of its own episodes.

Two exponential averages follow the level, one fast and one slow; their difference is the change. It is averaged per
update rather than per episode, since the policy changes only between updates: with many environments an average over
the last ten episodes would see one policy alone. How long is slow? The longer the averages, the surer is a change told
from noise, so they are as long as can be: the slow one starts as the mean of all there is, the fast one as that of
about the last quarter, and both keep to their rates when there is enough. Beside them run the factors by which noise of
variance 1 per episode would reach them, so that the standard error of the change is known at any time.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from daf.core.curriculum.interface import Outcome
from daf.errors import ConfigError, DataError

QUICKER = 4.0
"""How much faster than the mean of all the fast average moves, until its rate bounds it."""


@dataclass(slots=True)
class TaskHistory:
    """One task's past. Averages are of scores: mean returns per agent.

    episodes, steps, total, squares: of all of it (sum, and squared distances from the mean). best: the highest score.
    last: the curriculum's episode count when this task's latest episode came in. The rest is since the task was last
    made active or forgotten: `known` episodes in `updates` updates; the `fast` and `slow` averages, with the noise
    factors of each (`fast_factor`, `slow_factor`) and of both (`shared_factor`); `noise`, the variance of an episode's
    score under one policy; `surprise`, how far the latest update's episodes lay from what was expected; the mean and
    the number of these (`latest`, `latest_count`); the `first` scores and the `recent` ones.
    """

    window: int
    episodes: int = 0
    steps: int = 0
    mean: float = 0.0
    squares: float = 0.0
    best: float = 0.0
    last: int = 0
    known: int = 0
    updates: int = 0
    fast: float = 0.0
    slow: float = 0.0
    fast_factor: float = 0.0
    slow_factor: float = 0.0
    shared_factor: float = 0.0
    noise: float = 0.0
    surprise: float | None = None
    latest: float = 0.0
    latest_count: int = 0
    first: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.recent = deque(self.recent, maxlen=self.window)

    @property
    def spread(self) -> float:
        """The standard deviation of all scores, what was learned included; 0 before two episodes."""
        return math.sqrt(self.squares / (self.episodes - 1)) if self.episodes > 1 else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of scores under one policy."""
        return math.sqrt(self.noise)

    @property
    def change(self) -> float:
        """Fast less slow average in units of `deviation`: above 0 where the task is learned, below where forgotten."""
        return (self.fast - self.slow) / self.deviation if self.noise > 0.0 else 0.0

    @property
    def change_error(self) -> float:
        """The standard error of `change`; 0 while both averages are still the same."""
        return math.sqrt(max(self.fast_factor + self.slow_factor - 2.0 * self.shared_factor, 0.0))

    @property
    def explored(self) -> bool:
        """Whether the two averages have parted, so that a change could show."""
        return self.change_error > 1e-6

    def take(self, scores: Sequence[float], steps: int, clock: int, fast: float, slow: float) -> None:
        """Take in one update's scores, in order. clock: the curriculum's episode count after them."""
        count = len(scores)
        mean = sum(scores) / count
        for score in scores:
            self.episodes += 1
            before = score - self.mean
            self.mean += before / self.episodes
            self.squares += before * (score - self.mean)
        self.best = max(scores) if self.episodes == count else max(self.best, *scores)
        self.steps += steps
        self.last = clock
        self._estimate_noise(scores, mean, slow)
        self.latest, self.latest_count = mean, count
        self.known += count
        self.updates += 1
        share = count / self.known
        a, b = max(fast, min(1.0, QUICKER * share)), max(slow, share)
        self.fast += a * (mean - self.fast)
        self.slow += b * (mean - self.slow)
        self.fast_factor = (1 - a) ** 2 * self.fast_factor + a * a / count
        self.slow_factor = (1 - b) ** 2 * self.slow_factor + b * b / count
        self.shared_factor = (1 - a) * (1 - b) * self.shared_factor + a * b / count
        if len(self.first) < self.window:
            self.first.extend(scores[: self.window - len(self.first)])
        self.recent.extend(scores)

    def _estimate_noise(self, scores: Sequence[float], mean: float, slow: float) -> None:
        """Variance within the update, and from one update's mean to the next: what is learned meanwhile is small.

        Source of the latter: von Neumann, Annals of Mathematical Statistics 12, 1941 (successive differences).
        """
        count = len(scores)
        within = sum((score - mean) ** 2 for score in scores)
        if self.known == 0:
            self.surprise = None
            self.noise = within / (count - 1) if count > 1 else 0.0
            return
        self.surprise = sum(abs(score - self.fast) for score in scores) / count
        step = mean - self.latest
        seen = (within + step * step / (1.0 / count + 1.0 / self.latest_count)) / count
        # Degrees of freedom: one was spent on the mean of the first update.
        self.noise += max(slow, count / (self.known + count - 1)) * (seen - self.noise)

    def forget(self) -> None:
        """Begin anew what is known of the task; what was played stays counted."""
        self.known = self.updates = 0
        self.fast = self.slow = self.noise = 0.0
        self.fast_factor = self.slow_factor = self.shared_factor = 0.0
        self.surprise = None
        self.first = []
        self.recent.clear()


class History:
    """The past of every task of a table, in its order."""

    def __init__(self, size: int, *, window: int, fast: float, slow: float) -> None:
        self.window, self.fast, self.slow = window, fast, slow
        self.tasks = [TaskHistory(window) for _ in range(size)]
        self.episodes = 0

    def grow(self) -> None:
        """Room for one more task."""
        self.tasks.append(TaskHistory(self.window))

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Take in one update's outcomes. Raises `DataError` for an unknown task and a score that is no number, and
        then has taken in nothing."""
        scores: dict[int, list[float]] = {}
        steps: dict[int, int] = {}
        for outcome in outcomes:
            if not 0 <= outcome.task < len(self.tasks):
                raise DataError(f"an outcome is of task {outcome.task}; the table has 0 to {len(self.tasks) - 1}.")
            if not -1e100 < outcome.score < 1e100:
                raise DataError(
                    f"episode {outcome.episode} of environment {outcome.environment}, task {outcome.task}, has score "
                    f"{outcome.score}: not a finite number below 1e100."
                )
            scores.setdefault(outcome.task, []).append(float(outcome.score))
            steps[outcome.task] = steps.get(outcome.task, 0) + outcome.steps
        self.episodes += len(outcomes)
        for task, values in scores.items():
            self.tasks[task].take(values, steps[task], self.episodes, self.fast, self.slow)

    def state_dict(self) -> dict[str, Any]:
        """JSON data; a task without episodes is None."""
        return {"episodes": self.episodes, "tasks": [_to_data(task) for task in self.tasks]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. Raises `ConfigError` where it has another number of tasks."""
        found = state["tasks"]
        if len(found) != len(self.tasks):
            raise ConfigError(f"the saved curriculum has {len(found)} tasks, this one {len(self.tasks)}.")
        self.episodes = int(state["episodes"])
        self.tasks = [
            TaskHistory(self.window) if data is None else TaskHistory(window=self.window, **data) for data in found
        ]


_SAVED = [name for name in TaskHistory.__dataclass_fields__ if name not in ("window", "recent")]


def _to_data(task: TaskHistory) -> dict[str, Any] | None:
    if task.episodes == 0:
        return None
    data: dict[str, Any] = {name: getattr(task, name) for name in _SAVED}
    return data | {"first": list(task.first), "recent": list(task.recent)}
