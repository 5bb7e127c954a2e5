"""All tasks equally often: the baseline that a curriculum has to beat."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from daf.config.base import ConfigModel
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import FloatArray, Task
from daf.core.curriculum.samplers.interface import IntArray, Stateless


class UniformConfig(ConfigModel):
    """`sampler: uniform`."""

    name: Literal["uniform"] = "uniform"


class Uniform(Stateless):
    """The same weight for all."""

    def __init__(self, config: UniformConfig) -> None:
        self.config = config

    def weights(self, tasks: Sequence[Task], history: History, active: IntArray) -> FloatArray:
        """All 1."""
        return np.ones(len(active))
