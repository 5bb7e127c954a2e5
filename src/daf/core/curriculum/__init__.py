"""Curricula: what to train on next.

A trainer needs `Curriculum` (the interface), `draw` (which task an episode plays) and `from_config`.
`TaskCurriculum` is the result of `from_config`; `daf.core.curriculum_manager` is the same engine, one call per task.
"""

from daf.core.curriculum._adaptation import Adaptation
from daf.core.curriculum._building import from_config
from daf.core.curriculum._drawing import draw
from daf.core.curriculum._engine import TaskCurriculum
from daf.core.curriculum._errors import CurriculumStagnationError, TaskGenerationError
from daf.core.curriculum.config import DAFCurriculumConfig
from daf.core.curriculum.interface import Curriculum, Outcome, Task
from daf.core.curriculum.slices import Slice
from daf.core.curriculum.stagnation import Stagnation

__all__ = [
    "Adaptation",
    "Curriculum",
    "CurriculumStagnationError",
    "DAFCurriculumConfig",
    "Outcome",
    "Slice",
    "Stagnation",
    "Task",
    "TaskCurriculum",
    "TaskGenerationError",
    "draw",
    "from_config",
]
