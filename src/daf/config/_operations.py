"""The configuration of each operation: sweep, comparison, training run and others.

A class here checks the values; the operation checks that the names in them (missions, policies, metrics) exist, before
it starts.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from daf.config.base import ConfigModel, PathField
from daf.config.stage import DAFStageConfig
from daf.config.sweep import DAFSweepConfig
from daf.config.training import DAFTrainingConfig, Name, Seed
from daf.errors import unknown


class DAFComparisonConfig(ConfigModel):
    """A comparison of policies on identical episodes."""

    kind: ClassVar[str] = "comparison"

    name: Name
    policies: list[Name] = Field(min_length=1)
    policy_weights: dict[str, PathField] = Field(default_factory=dict, description="Weights file per policy string.")
    missions: list[Name] = Field(min_length=1)
    episodes_per_mission: int = Field(5, ge=1)
    max_steps_per_episode: int = Field(1000, ge=1)
    seed: Seed = 42
    significance_level: float = Field(0.05, gt=0, lt=1)
    bootstrap_samples: int = Field(1000, ge=1, le=10_000_000)
    generate_html_report: bool = True
    save_raw_results: bool = True

    @model_validator(mode="after")
    def _weights_belong(self) -> "DAFComparisonConfig":
        for policy in self.policy_weights:
            if policy not in self.policies:
                raise ValueError(f"policy_weights: {unknown('policy', policy, self.policies)}".rstrip("."))
        return self


class DAFVariantConfig(ConfigModel):
    """Which variants of a mission `daf sweep variants` plays, and what its base mission is."""

    kind: ClassVar[str] = "variant"

    variant_names: list[Name] = Field(min_length=1, description="As `daf missions --variants` lists them.")
    difficulty: Name | None = Field(None, description="A variant of the base mission as well, such as hard.")
    num_cogs: int | None = Field(None, ge=1, description="Agents of the base mission; None: as the mission has it.")


def _url(value: str | None) -> str | None:
    if value is not None and not (value.startswith(("http://", "https://")) and len(value.split("://", 1)[1]) > 0):
        raise ValueError(f'a URL must begin with http:// or https://, got "{value}"')
    return value


class DAFDeploymentConfig(ConfigModel):
    """The policy to package and check, and where to release it.

    deployment_endpoint: None: the registry in the output directory. authentication_server: whose saved login is sent to
    the endpoint, and the tournament server of `season`. season: submit the release to it. gate_missions: compare the
    policy with the live release on these, and refuse it if its return is lower by more than gate_margin, alone or in
    teams with gate_pool (default: starter).
    """

    kind: ClassVar[str] = "deployment"

    policy_name: Name
    policy_class_path: Name
    weights_path: PathField | None = None
    deployment_endpoint: str | None = None
    authentication_server: str | None = None
    season: Name | None = None
    validation_mode: Literal["local", "docker", "skip"] = "local"
    setup_script: PathField | None = None
    validation_missions: list[Name] = Field(default_factory=list)
    validation_success_threshold: float = Field(0.5, ge=0, le=1)
    version: Name = "1.0.0"
    enable_rollback: bool = True
    keep_previous_versions: int = Field(3, ge=0)
    gate_missions: list[Name] = Field(default_factory=list)
    gate_margin: float | None = Field(None, ge=0)
    gate_pool: list[Name] = Field(default_factory=list)

    _urls = field_validator("deployment_endpoint", "authentication_server")(_url)

    @model_validator(mode="after")
    def _fields_have_an_effect(self) -> "DAFDeploymentConfig":
        if self.authentication_server is not None and self.deployment_endpoint is None and self.season is None:
            raise ValueError(
                "authentication_server is for deployment_endpoint or season, and neither is set: set one or remove it"
            )
        if self.gate_missions and self.gate_margin is None:
            raise ValueError("gate_missions need gate_margin, the loss in return per agent that you accept")
        if not self.gate_missions and (self.gate_margin is not None or self.gate_pool):
            raise ValueError("gate_margin and gate_pool belong to gate_missions, and none are set")
        return self


class DAFTournamentConfig(ConfigModel):
    """A submission to a season."""

    kind: ClassVar[str] = "tournament"

    server_url: str | None = Field(None, description="None: the CoGames server.")
    season: Name | None = None
    submission_name: Name
    auto_validate: bool = True
    validation_episodes: int = Field(5, ge=1)

    _urls = field_validator("server_url")(_url)


Section = Literal["training", "sweep", "evaluation", "comparison", "deployment"]


def _form(value: object) -> str:
    return "section" if isinstance(value, str) else "stage"


Stage = Annotated[Annotated[Section, Tag("section")] | Annotated[DAFStageConfig, Tag("stage")], Discriminator(_form)]


_TRAINING_NAMES = {"policy_class_path": "policy", "num_training_steps": "total_timesteps"}
"""Names that other sections and older files have for fields of the training section."""
DEFAULT_SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "ent_coef": {"min": 1e-4, "max": 1e-1, "log": True},
}
"""What a sweep after training searches if its section names nothing: learning rate and entropy bonus."""


def _with_training_names(values: Any) -> Any:
    if not isinstance(values, Mapping) or not isinstance(values.get("training_config"), Mapping):
        return values
    training = values["training_config"]
    for name, own in _TRAINING_NAMES.items():
        if name in training and own in training:
            raise ValueError(f"training_config: {name} and {own} are two names of the same field; use only one")
    renamed = {_TRAINING_NAMES.get(name, name): value for name, value in training.items()}
    return {**values, "training_config": renamed}


class DAFPipelineConfig(ConfigModel):
    """A graph of stages. A stage is a `DAFStageConfig`, or the name of a section of this file that configures it."""

    kind: ClassVar[str] = "pipeline"

    name: Name
    description: str = ""
    stages: list[Stage] = Field(min_length=1)
    training_config: DAFTrainingConfig | None = None
    sweep_config: DAFSweepConfig | None = None
    evaluation_config: DAFComparisonConfig | None = None
    comparison_config: DAFComparisonConfig | None = None
    deployment_config: DAFDeploymentConfig | None = None
    stop_on_failure: bool = Field(True, description="Start no further stage after a failure.")
    parallel_stages: bool = Field(False, description="Run stages at the same time that do not need each other.")
    notify_on_completion: bool | str = Field(
        False, description="A command, or a URL that gets the result as JSON; true: the one in $DAF_NOTIFY."
    )

    @model_validator(mode="before")
    @classmethod
    def _sections_complete_each_other(cls, values: Any) -> Any:
        """A sweep after training searches over that training, and takes its name and policy from the file."""
        if not isinstance(values, Mapping) or not isinstance(values.get("sweep_config"), Mapping):
            return _with_training_names(values)
        values = _with_training_names(values)
        given = values.get("training_config")
        training = given.given_data() if isinstance(given, ConfigModel) else given
        sweep: dict[str, Any] = {"name": values.get("name"), **values["sweep_config"]}
        if isinstance(training, Mapping):
            if "policy" in training:
                sweep.setdefault("policy_class_path", training["policy"])
            if "search_space" not in sweep:
                sweep["search_space"] = DEFAULT_SPACE
                inherited = {name: value for name, value in training.items() if name not in ("policy", "mission")}
                sweep.setdefault("training", inherited)
        return {**values, "sweep_config": sweep}

    @model_validator(mode="after")
    def _stages_fit(self) -> "DAFPipelineConfig":
        names = [stage if isinstance(stage, str) else stage.title for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two stages are named "{name}"; names must differ')
        for section in get_args(Section):
            given = getattr(self, f"{section}_config") is not None
            if not given and section in self.stages and section not in ("evaluation", "comparison"):
                raise ValueError(f'the stage "{section}" needs a section {section}_config')
            if given and section not in self.stages:
                raise ValueError(f'{section}_config is given, but "{section}" is not among the stages {names}')
        return self


OPERATION_CONFIGS: dict[str, type[ConfigModel]] = {
    "training": DAFTrainingConfig,
    "sweep": DAFSweepConfig,
    "comparison": DAFComparisonConfig,
    "deployment": DAFDeploymentConfig,
    "tournament": DAFTournamentConfig,
    "variant": DAFVariantConfig,
    "pipeline": DAFPipelineConfig,
}
"""Every operation's class by its `kind`, which is also the name of its section."""
