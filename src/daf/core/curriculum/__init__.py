"""Curricula: what to train on next.

A trainer needs `Curriculum` (the interface), `draw` (which task an episode plays) and `from_config`.
"""

from daf.core.curriculum.drawing import draw
from daf.core.curriculum.interface import Curriculum, Outcome, Task

__all__ = ["Curriculum", "Outcome", "Task", "draw"]
