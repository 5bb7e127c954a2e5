"""The settings of a curriculum: the section `curriculum:` of a training file, and those of `DAFCurriculumManager`."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from daf.config.base import ConfigModel
from daf.core.curriculum.samplers import SamplerConfig, SamplerField
from daf.core.curriculum.samplers.learning_progress import LearningProgressConfig
from daf.core.curriculum.samplers.uniform import UniformConfig
from daf.core.curriculum.tasks import CurriculumOptions

BASE_MISSION = "training_facility_1"
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class DAFCurriculumConfig(ConfigModel):
    """Which tasks there are, and how they are drawn."""

    kind: ClassVar[str] = "curriculum"

    name: Name = "curriculum"
    missions: list[Name] = Field(
        default_factory=list, description="Mission strings, easiest first; may contain wildcards."
    )
    options: CurriculumOptions = Field(
        default_factory=CurriculumOptions, description="Options that each mission is combined with."
    )
    base_mission: Name | None = Field(
        default=None,
        description="Mission of tasks that name none, at their difficulty; None: the first of missions, else "
        "training_facility_1.",
    )
    game: Name = "cogs_vs_clips"
    sampler: SamplerField | None = Field(
        default=None, description="uniform, sequence, learning_progress, plr. None: set by enable_learning_progress."
    )
    enable_learning_progress: bool = Field(
        default=True, description="Sampler if none is set: learning_progress, or uniform if false."
    )
    enable_slice_analysis: bool = Field(default=True, description="Report what was learned, by axis and value.")
    max_active_tasks: int | None = Field(
        default=None, ge=1, description="Active tasks at a time; others wait. None: all."
    )
    stats_update_frequency: int = Field(
        default=50, ge=1, description="Episodes between reviews: eviction, stagnation, learning curves."
    )
    window: int = Field(
        default=100,
        ge=8,
        le=10_000,
        description="Episodes, first and recent, that a decision about a task is based on.",
    )
    fast_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Weight of the newest update in the fast average, at least."
    )
    slow_rate: float = Field(
        default=0.01, gt=0, lt=1, description="Weight of the newest update in the slow average, at least."
    )
    rest_margin: float = Field(
        default=0.5, gt=0, le=10, description="Changes below it, in standard deviations of one episode, count as none."
    )
    mastered_at: float | None = Field(
        default=None, description="Mean score from which a task is mastered. None: when it has converged."
    )
    on_stagnation: Literal["ignore", "warn", "adapt", "raise"] = "warn"
    skip_invalid: bool = Field(default=False, description="Leave out tasks that cannot be built, with a warning.")

    @model_validator(mode="after")
    def _fits(self) -> "DAFCurriculumConfig":
        if self.slow_rate >= self.fast_rate:
            raise ValueError(f"slow_rate {self.slow_rate:g} must be below fast_rate {self.fast_rate:g}")
        fewest = math.ceil((4.0 / self.rest_margin) ** 2)
        if self.window < fewest:
            raise ValueError(
                f"window {self.window} is below {fewest}: fewer episodes cannot show that a task changes by less than "
                f"rest_margin {self.rest_margin:g}"
            )
        name = self.chosen_sampler.name
        if name == "sequence" and self.max_active_tasks is not None:
            raise ValueError("sampler sequence chooses the active tasks itself: leave max_active_tasks out")
        if name == "learning_progress" and not self.enable_learning_progress:
            raise ValueError("sampler learning_progress contradicts enable_learning_progress: false")
        if self.mastered_at is not None and self.max_active_tasks is None:
            raise ValueError("mastered_at is for eviction, which needs max_active_tasks")
        return self

    @property
    def base(self) -> str:
        """The mission string of tasks that name no mission."""
        if self.base_mission is not None:
            return self.base_mission
        return self.missions[0] if self.missions else BASE_MISSION

    @property
    def chosen_sampler(self) -> SamplerConfig:
        """The sampler's settings."""
        if self.sampler is not None:
            return self.sampler
        return LearningProgressConfig() if self.enable_learning_progress else UniformConfig()
