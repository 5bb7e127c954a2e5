"""Training on a single mission for a limited time, after which the curriculum draws as before.

Importing this module imports torch.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from daf.core.curriculum import Curriculum, Outcome, Task
from daf.core.curriculum.interface import FloatArray
from daf.core.training_run import TrainingRun
from daf.game.mission import Mission
from daf.game.trainable import check_alike


class SingleTaskCurriculum:
    """Another curriculum with one more task, which is the only one drawn."""

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


class SingleTask:
    """A context in which every episode plays one mission; all environments restart at its start and its end.

    After an error the learner also draws as before, with environments in new processes.
    """

    def __init__(self, training: TrainingRun, name: str, mission: Mission) -> None:
        """Raise `ConfigError` if the mission does not match those trained on."""
        check_alike([training.missions[0], mission])
        self._learner = training.learner
        known = f"{mission.name}#{mission.config_hash[:12]}"  # another config may have the same name
        training.add_mission(known, mission)
        self._before = self._learner.curriculum
        self._single = SingleTaskCurriculum(self._before, name, known)

    def __enter__(self) -> Self:
        self._learner.follow(self._single)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._learner.close()  # its environments may be in the middle of a step, or have ended
        self._learner.follow(self._before)
