"""The samplers by name, and their settings."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from daf.core.curriculum.samplers._plr import PLRConfig, PrioritisedLevelReplay
from daf.core.curriculum.samplers._sequence import InSequence, SequenceConfig
from daf.core.curriculum.samplers.interface import Sampler
from daf.core.curriculum.samplers.learning_progress import LearningProgress, LearningProgressConfig
from daf.core.curriculum.samplers.uniform import Uniform, UniformConfig
from daf.errors import unknown

SAMPLERS = {
    "learning_progress": LearningProgressConfig,
    "plr": PLRConfig,
    "sequence": SequenceConfig,
    "uniform": UniformConfig,
}


def _named(value: Any) -> Any:
    """A bare name means its sampler with default settings."""
    if isinstance(value, str):
        value = {"name": value}
    if isinstance(value, dict):
        name = value.get("name")
        if not isinstance(name, str) or name not in SAMPLERS:
            raise ValueError(unknown("sampler", str(name), SAMPLERS).rstrip("."))
    return value


SamplerConfig = Annotated[
    LearningProgressConfig | PLRConfig | SequenceConfig | UniformConfig,
    Field(discriminator="name"),
]
SamplerField = Annotated[SamplerConfig, BeforeValidator(_named)]
"""A sampler's settings, or its bare name."""


def make_sampler(config: SamplerConfig, *, rest_margin: float) -> Sampler:
    """The sampler with these settings. rest_margin: changes clearly below it count as none."""
    match config:
        case LearningProgressConfig():
            return LearningProgress(config)
        case PLRConfig():
            return PrioritisedLevelReplay(config)
        case SequenceConfig():
            return InSequence(config, rest_margin)
        case UniformConfig():
            return Uniform(config)


__all__ = ["SAMPLERS", "Sampler", "SamplerConfig", "SamplerField", "make_sampler"]
