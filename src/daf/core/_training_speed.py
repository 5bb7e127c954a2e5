"""Speed of a trainer: agent steps, updates and episodes per second of its updates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from daf.core._episode_scores import EpisodeScores
from daf.game.checkpoint_folders import facts


class Counts(Protocol):
    """The counters of a learner. seconds: spent in updates."""

    @property
    def steps(self) -> int: ...

    @property
    def updates(self) -> int: ...

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reached:
    """Counters of a training. seconds: spent in updates; scores: as of `EpisodeScores`."""

    steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    scores: Mapping[str, Any] = field(default_factory=EpisodeScores().results)

    @classmethod
    def at(cls, checkpoint: Path | None) -> Self:
        """Those of a checkpoint; zero for None."""
        if checkpoint is None:
            return cls()
        found = facts(checkpoint)
        return cls(found["steps"], found["updates"], found["metrics"].get("clock/seconds", 0.0))


class TrainingSpeed:
    """Rates over the updates that were added; None before the first."""

    def __init__(self) -> None:
        self._steps, self._updates, self._seconds = 0, 0, 0.0
        self._added = 0
        self._episodes = 0.0

    def start(self, learner: Counts) -> None:
        """Restart if `learner` has made updates that were not added here (a restored checkpoint)."""
        if learner.updates != self._updates + self._added:
            self._steps, self._updates, self._seconds = learner.steps, learner.updates, learner.seconds
            self._added, self._episodes = 0, 0.0

    def add(self, episodes: float) -> None:
        """Add an update in which this number of episodes ended."""
        self._added += 1
        self._episodes += episodes

    def episodes_per_second(self, learner: Counts) -> float | None:
        """Episodes that ended, per second."""
        return self._rate(self._episodes, learner)

    def steps_per_second(self, learner: Counts) -> float | None:
        """Agent steps per second."""
        return self._rate(learner.steps - self._steps, learner)

    def updates_per_second(self, learner: Counts) -> float | None:
        """Updates per second."""
        return self._rate(learner.updates - self._updates, learner)

    def _rate(self, count: float, learner: Counts) -> float | None:
        seconds = learner.seconds - self._seconds
        return count / seconds if seconds > 0 else None
