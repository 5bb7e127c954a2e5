"""The history of each task: level, noise and progress, on a scale of the task's own noise.

Returns have no bounds and tasks have different units, so nothing is clipped to [0, 1]: a task's progress is its change
of level divided by the spread of the task's episodes.

Two exponential averages follow the level, one fast and one slow; their difference is the change. They are updated once
per update rather than per episode, since the policy changes only between updates: with many environments an average
over the last ten episodes would cover only one policy. The longer the averages, the more reliably a change is
distinguished from noise, so they are as long as possible: the slow one starts as the mean of all scores, the fast one
as the mean of about the last quarter, and both keep to their configured rates once there is enough data. The factors
with which noise of variance 1 per episode enters the averages are tracked too, so that the standard error of the change
is known at any time.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from daf.core.curriculum.interface import Outcome
from daf.errors import ConfigError, DataError

QUICKER = 4.0
"""How much faster than the mean of all scores the fast average moves, until its rate limits it."""


@dataclass(slots=True)
class TaskHistory:
    """One task's past. Averages are of scores: mean returns per agent.

    episodes, steps, total, squares: over the whole past (sum, and squared distances from the mean). best: the highest
    score. last: the curriculum's episode count at this task's latest episode. The other fields cover the time since the
    task was last activated or forgotten: `known` episodes in `updates` updates; the `fast` and `slow` averages, with
    the noise factors of each (`fast_factor`, `slow_factor`) and of both (`shared_factor`); `noise`, the variance of an
    episode's score under one policy; `surprise`, how far the latest update's episodes were from the expected level;
    their mean and number (`latest`, `latest_count`); the `first` scores and the `recent` ones.
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
        """The standard deviation of all scores, including changes by learning; 0 before two episodes."""
        return math.sqrt(self.squares / (self.episodes - 1)) if self.episodes > 1 else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of scores under one policy."""
        return math.sqrt(self.noise)

    @property
    def change(self) -> float:
        """Fast minus slow average in units of `deviation`: above 0 if the task is being learned, below if forgotten."""
        return (self.fast - self.slow) / self.deviation if self.noise > 0.0 else 0.0

    @property
    def change_error(self) -> float:
        """The standard error of `change`; 0 while both averages are still the same."""
        return math.sqrt(max(self.fast_factor + self.slow_factor - 2.0 * self.shared_factor, 0.0))

    @property
    def explored(self) -> bool:
        """Whether the two averages have separated, so that a change could show."""
        return self.change_error > 1e-6

    def take(self, scores: Sequence[float], steps: int, clock: int, fast: float, slow: float) -> None:
        """Add one update's scores, in order. clock: the curriculum's episode count after them."""
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
        """Estimate noise within the update, and between successive updates' means, which learning changes little.

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
        """Forget the averages and recent scores; the totals are kept."""
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
        """Make room for one more task."""
        self.tasks.append(TaskHistory(self.window))

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add one update's outcomes. Raises `DataError`, and adds none, for an unknown task or a score that is not a
        number."""
        scores: dict[int, list[float]] = {}
        steps: dict[int, int] = {}
        for outcome in outcomes:
            if not 0 <= outcome.task < len(self.tasks):
                raise DataError(f"outcome of unknown task {outcome.task}; the curriculum has {len(self.tasks)} tasks.")
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
        """Restore `state`. Raises `ConfigError` if it has a different number of tasks."""
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
