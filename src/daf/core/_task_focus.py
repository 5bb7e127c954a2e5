"""Train on one mission for a while, then continue as before.

Importing this module imports torch.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from daf.core.curriculum import Curriculum, Outcome, Task
from daf.core.curriculum.interface import FloatArray
from daf.core.training_run import TrainingRun
from daf.game.missions import Mission
from daf.game.trainable import check_alike


class OneTask:
    """The tasks of another curriculum and one more, which is the only one drawn."""

    def __init__(self, inner: Curriculum, name: str, mission: str) -> None:
        self._inner = inner
        self._place = len(inner.tasks())
        self._extra = [Task(self._place, name, mission)]

    def tasks(self) -> Sequence[Task]:
        """The other curriculum's, and the added one."""
        return [*self._inner.tasks(), *self._extra]

    def weights(self) -> FloatArray:
        """All weight on the added task."""
        weights = np.zeros(len(self.tasks()))
        weights[self._place] = 1.0
        return weights

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """The other curriculum receives only the outcomes of its tasks."""
        known = len(self._inner.tasks())
        self._inner.record([outcome for outcome in outcomes if outcome.task < known])

    def metrics(self) -> dict[str, float]:
        """The other curriculum's."""
        return self._inner.metrics()

    def state_dict(self) -> dict[str, Any]:
        """The other curriculum's."""
        return self._inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the other curriculum."""
        self._inner.load_state_dict(state)


class Focus:
    """A block in which every episode is of one mission; all environments restart at its start and its end.

    An error ends it too: the learner then draws as before, with environments in new processes.
    """

    def __init__(self, training: TrainingRun, name: str, mission: Mission) -> None:
        """Raise `ConfigError` if the mission does not match those trained on."""
        check_alike([training.missions[0], mission])
        self._learner = training.learner
        known = f"{mission.name}#{mission.config_hash[:12]}"  # another config may have the same name
        training.know(known, mission)
        self._before = self._learner.curriculum
        self._one = OneTask(self._before, name, known)

    def __enter__(self) -> Self:
        self._learner.follow(self._one)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._learner.close()  # its environments may be in the middle of a step, or gone
        self._learner.follow(self._before)
