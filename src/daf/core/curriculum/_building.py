"""From configuration to curriculum."""

from collections.abc import Mapping
from typing import Any

from daf.core.curriculum._engine import TaskCurriculum
from daf.core.curriculum.config import DAFCurriculumConfig
from daf.core.curriculum.tasks import generate


def from_config(config: Mapping[str, Any] | DAFCurriculumConfig, seed: int) -> TaskCurriculum:
    """The curriculum that the `curriculum:` section of a training file describes.

    seed: of `TaskCurriculum.draw`; a trainer may use another seed for its draws. Raises `ConfigError` for an invalid
    field, and `TaskGenerationError` if its tasks cannot be created.
    """
    settings = config if isinstance(config, DAFCurriculumConfig) else DAFCurriculumConfig(**config)
    tasks = generate(settings.missions, settings.options, game=settings.game, skip_invalid=settings.skip_invalid)
    return TaskCurriculum(tasks, settings, seed=seed)
