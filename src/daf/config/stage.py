"""One stage of a pipeline: a command of DAF with its options, or any other command."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from daf.config.base import ConfigModel
from daf.config.training import Name

Use = Literal[
    "check", "train", "clone", "sweep", "evaluate", "compare", "score", "crossplay", "metrics", "power",
    "analyze mission", "analyze missions", "analyze policy", "analyze suite", "analyze ablation",
    "report", "package", "inspect", "validate", "deploy", "command",
]  # fmt: skip
_STAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _stage_name(value: str) -> str:
    if not _STAGE_NAME.fullmatch(value):
        raise ValueError(
            f'a stage name has letters, digits, "_" and "-", and begins with a letter or digit; got "{value}"'
        )
    return value


StageName = Annotated[Name, AfterValidator(_stage_name)]


class DAFStageConfig(ConfigModel):
    """A stage. Values of `options`, `config` and `run` may hold references such as ${stages.train.checkpoint}."""

    kind: ClassVar[str] = "stage"

    use: Use = Field(description="The command of DAF that the stage runs, or command for any other program.")
    name: StageName | None = Field(None, description="None: as `use`.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="The command's options and arguments by their names: mission, episodes, …"
    )
    config: dict[str, Any] | None = Field(
        None, description="The content of the configuration file of train, sweep, evaluate, compare or deploy."
    )
    run: list[str] = Field(default_factory=list, description="Of use: command, the program and its arguments.")
    needs: list[StageName] = Field(
        default_factory=list, description="Stages that come first, in addition to those that are referred to."
    )
    retries: int = Field(0, ge=0, le=100, description="Further attempts after a failure that may be temporary.")
    timeout_seconds: float | None = Field(None, gt=0, description="The stage fails if it takes longer.")

    @property
    def title(self) -> str:
        """The name, by which other stages refer to it."""
        return self.name or self.use.replace(" ", "_")

    @model_validator(mode="after")
    def _fits_its_use(self) -> "DAFStageConfig":
        if self.use == "command":
            if not self.run:
                raise ValueError('a stage with use: command needs run: ["program", "argument", …]')
            if self.options or self.config is not None:
                raise ValueError("a stage with use: command takes its arguments in run, not in options or config")
        elif self.run:
            raise ValueError(f"run belongs to use: command; the options of {self.use} go into options")
        return self
