"""`DAFAdaptiveConfig`: the configuration of an experiment."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from daf.compute.skypilot import Machines, TaskSettings
from daf.config.base import ConfigModel, PathField
from daf.config.hyperparameters import HYPERPARAMETERS, find
from daf.config.sweep import Choices, DAFParameterRange
from daf.config.training import ALIASES, DAFTrainingConfig, Name, Scalar, Seed
from daf.core.curriculum.config import DAFCurriculumConfig
from daf.errors import ConfigError, unknown
from daf.game.missions import without_rewards

Parameter = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[DAFParameterRange, Tag("range")],
    Discriminator(lambda value: "choices" if isinstance(value, list) else "range"),
]
"""A list of choices, or a range."""
NETWORK = "network."
"""The prefix of the arguments of the policy's class."""
ExperimentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class HalvingSettings(ConfigModel):
    """Successive halving: all runs train for a short time, and the better part continues."""

    kind: ClassVar[str] = "halving"

    min_timesteps: int = Field(ge=1, description="Agent steps until the first cut.")
    reduction_factor: int = Field(3, ge=2, le=64, description="One of this many continues, to as many times the steps.")


class PopulationSettings(ConfigModel):
    """Population-based training: the worst runs continue from checkpoints of the best, with changed settings."""

    kind: ClassVar[str] = "population"

    interval: int = Field(ge=1, description="Agent steps between evaluations, after which the worst are replaced.")
    fraction: float = Field(0.25, gt=0, le=0.5, description="Part that is replaced, and part that is copied.")
    perturb: float = Field(0.2, gt=0, lt=1, description="Numbers are multiplied by 1 - this or 1 + this.")
    resample_probability: float = Field(0.25, ge=0, le=1, description="Part of the settings that is drawn again.")


class EvaluationSettings(ConfigModel):
    """How trained policies are scored: the same episodes for every run."""

    kind: ClassVar[str] = "evaluation"

    missions: list[Name] | None = Field(None, min_length=1, description="None: those trained on.")
    episodes: int = Field(20, ge=1, description="Per mission.")
    seed: Seed = Field(500_000_000, description="Of the first episode; the default is apart from training's seeds.")
    max_steps: int | None = Field(None, ge=1, description="Step limit for missions that name none.")
    jobs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"


class SkyPilotSettings(ConfigModel):
    """Machines on which SkyPilot runs the jobs of an experiment, one each, and the storage that they share with it."""

    kind: ClassVar[str] = "skypilot"

    outputs: str = Field(description="URL of the storage, such as s3://bucket/folder.")
    mount: PathField = Field(description="Where that storage is mounted on this machine; --output-dir must be in it.")
    infra: str | None = Field(None, description="Cloud, region or Kubernetes context, as SkyPilot has it; None: any.")
    accelerators: str | None = Field(None, description="GPUs of each machine, such as A100:1.")
    cpus: str | None = Field(None, description='Of each machine: "8", or "8+" for at least 8.')
    memory: str | None = Field(None, description='GB of each machine: "32", or "32+".')
    disk_size: int | None = Field(None, ge=1, description="GB of each machine.")
    spot: bool = Field(False, description="Machines that may be taken away; the job then resumes on another one.")
    env: dict[str, str] = Field(default_factory=dict, description="Variables for the jobs.")
    secrets: list[str] = Field(default_factory=list, description="Names of variables whose values are passed on.")
    project: PathField | None = Field(None, description="Directory with the uv.lock to install; None looks for one.")

    def task_settings(self) -> TaskSettings:
        """What the tasks of the jobs have in common. Raises `UsageError`."""
        machines = Machines(self.infra, self.accelerators, self.cpus, self.memory, self.disk_size, self.spot)
        return TaskSettings(
            self.outputs,
            machines=machines,
            variables=self.env,
            secrets=tuple(self.secrets),
            project=self.project,
        )


class DAFAdaptiveConfig(ConfigModel):
    """An experiment of many training runs under one id."""

    kind: ClassVar[str] = "adaptive"

    experiment_id: ExperimentId = Field(description="The same id resumes the same experiment.")
    training: DAFTrainingConfig | None = Field(
        None, description="What all runs share, including policy and mission(s). None: only feedback is given."
    )
    scheduler: Literal["fixed", "successive_halving", "population"] = "fixed"
    runs: list[dict[str, Scalar]] = Field(default_factory=list, description="Settings of the first runs.")
    search_space: dict[str, Parameter] = Field(default_factory=dict, description="The other runs are drawn from it.")
    num_runs: int | None = Field(None, ge=1, le=10_000, description="At the start; None: those in `runs`.")
    seed: Seed = Field(42, description="Seed of everything that the scheduler draws.")
    halving: HalvingSettings | None = None
    population: PopulationSettings | None = None
    evaluation: EvaluationSettings = Field({}, validate_default=True, description="How runs are scored.")
    initial_checkpoint: PathField | None = Field(None, description="Where the first runs start; its steps count.")

    max_concurrent_jobs: int = Field(1, ge=1, le=1024, description="A job uses all cores that its settings allow.")
    heartbeat_interval: float = Field(2.0, gt=0, le=3600, description="Seconds between checks of jobs and `stop`.")
    heartbeat_timeout: float = Field(900.0, gt=0, description="Seconds without a heartbeat after which a job is stale.")
    retry_on_failure: bool = True
    max_retries: int = Field(2, ge=0, le=1000, description="Per run and phase.")
    retry_delay: float = Field(10.0, ge=0, le=86_400, description="Seconds before the first; doubled each time.")
    max_retry_delay: float = Field(600.0, ge=0, le=86_400)
    stop_grace: float = Field(60.0, ge=0, le=3600, description="Seconds that a stopped job has to save.")

    enable_checkpointing: bool = Field(True, description="False: runs save only where they stop.")
    checkpoint_interval: int | None = Field(None, ge=1, description="Agent steps; None: as `training` has it.")
    enable_curriculum_learning: bool = Field(True, description="Whether feedback may change the curriculum.")
    evidence_window: int = Field(5, ge=3, le=1000, description="Results of a task that a change must rest on, twice.")
    wandb_project: Name | None = Field(None, description="Send every run's metrics to this project.")
    dispatcher: str = Field("local", description="Where jobs run: local, or ray for a cluster.")
    use_skypilot: bool = Field(False, description="Whether jobs run on SkyPilot's machines; see `skypilot`.")
    skypilot: SkyPilotSettings | None = None

    @field_validator("dispatcher")
    @classmethod
    def _dispatcher_is_known(cls, name: str) -> str:
        if name == "skypilot":
            raise ValueError("for jobs on SkyPilot set use_skypilot: true and a section skypilot")
        if name not in ("local", "ray"):
            raise ValueError(f'no dispatcher "{name}"; there are local, on this machine, and ray, on a cluster')
        return name

    @model_validator(mode="after")
    def _fits(self) -> "DAFAdaptiveConfig":
        if self.use_skypilot != (self.skypilot is not None):
            raise ValueError("use_skypilot: true and a section skypilot belong together; one of them is missing")
        if self.use_skypilot and self.dispatcher != "local":
            raise ValueError(f"use_skypilot: true excludes dispatcher: {self.dispatcher}")
        if self.checkpoint_interval is not None and not self.enable_checkpointing:
            raise ValueError("checkpoint_interval has no effect with enable_checkpointing: false")
        if self.training is None:
            if self.runs or self.search_space or self.num_runs is not None or self.scheduler != "fixed":
                raise ValueError("runs need a section `training`")
            return self
        if not self.trained_on or self.training.policy is None:
            raise ValueError("training must name a policy and a mission, which may stand in its curriculum's missions")
        self._check_section("halving", "successive_halving")
        self._check_section("population", "population")
        self._check_counts()
        self._check_population()
        total = self.training.total_timesteps
        if self.halving is not None and self.halving.min_timesteps >= total:
            raise ValueError(f"halving.min_timesteps {self.halving.min_timesteps} is not below total_timesteps {total}")
        if self.population is not None and self.population.interval >= total:
            raise ValueError(f"population.interval {self.population.interval} is not below total_timesteps {total}")
        return self

    def _check_counts(self) -> None:
        listed, wanted = len(self.runs), self.first_runs
        if wanted < listed:
            raise ValueError(f"num_runs {self.num_runs} is below the {listed} entries of runs")
        if self.num_runs is None and not self.runs and self.search_space:
            raise ValueError("search_space needs num_runs, the number of runs")
        if wanted > max(listed, 1) and not self.search_space:
            raise ValueError(
                f"num_runs {self.num_runs} is above the {listed} entries of runs, and without a "
                "search_space the others can't be drawn"
            )
        if self.search_space and wanted == listed and self.scheduler != "population":
            raise ValueError("nothing is drawn from search_space: num_runs is not above the number of runs")
        if self.scheduler != "fixed" and wanted < 2:
            raise ValueError(f"{self.scheduler} needs at least two runs")

    def _check_population(self) -> None:
        """Reject settings that a run cannot have if it branches from another run's checkpoint."""
        if self.scheduler != "population":
            return
        for name in self.search_space:
            if name == "policy" or name.startswith(NETWORK):
                raise ValueError(
                    f"search_space.{name}: a population's runs continue from each other's checkpoints, so their "
                    "networks can't differ. Set it in training or runs"
                )
        for settings in self.runs:
            check_names({*settings, *self.search_space})

    @field_validator("runs")
    @classmethod
    def _settings_are_known(cls, runs: list[dict[str, Scalar]]) -> list[dict[str, Scalar]]:
        for settings in runs:
            check_names(settings)
        return runs

    @field_validator("search_space")
    @classmethod
    def _searched_are_known(cls, space: dict[str, Parameter]) -> dict[str, Parameter]:
        check_names(space)
        for name, parameter in space.items():
            if isinstance(parameter, DAFParameterRange) and (parameter.when or parameter.prior is not None):
                raise ValueError(f"{name}: `when` and `prior` are for sweeps; list such settings in runs")
        return space

    def _check_section(self, section: str, scheduler: str) -> None:
        given = getattr(self, section) is not None
        if given and self.scheduler != scheduler:
            raise ValueError(f"{section} has no effect with scheduler {self.scheduler}")
        if not given and self.scheduler == scheduler:
            raise ValueError(f"scheduler {scheduler} needs a section {section}")

    @property
    def first_runs(self) -> int:
        """The number of runs before the scheduler adds any; one, if the configuration does not specify runs."""
        return max(1, len(self.runs)) if self.num_runs is None else self.num_runs

    @property
    def integrate_with_wandb(self) -> bool:
        """Whether runs send their metrics to W&B."""
        return self.wandb_project is not None

    @property
    def trains(self) -> DAFTrainingConfig:
        """The section `training`. Raises `ConfigError` if there is none."""
        if self.training is None:
            raise ConfigError(
                f"experiment {self.experiment_id} has nothing to train: give a section `training` with mission, policy "
                "and total_timesteps."
            )
        return self.training

    @property
    def evaluated_on(self) -> list[str]:
        """The missions that runs are scored on: by default without the reward variants of training."""
        if self.evaluation.missions is not None:
            return list(self.evaluation.missions)
        return list(dict.fromkeys(without_rewards(mission) for mission in self.trained_on))

    @property
    def trained_on(self) -> list[str]:
        """The missions that `training` names, directly or in its curriculum; wildcards are not expanded."""
        training = self.trains
        if training.missions or training.curriculum is None:
            return training.missions
        return list(DAFCurriculumConfig(**training.curriculum).missions)


def check_names(names: Iterable[str]) -> None:
    """Raise `ValueError` if one of `names` is not a setting of a single run, or two name the same setting."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        check_setting(name)
        canonical = ALIASES.get(name, name)
        if canonical in seen:
            raise ValueError(f"{seen[canonical]} and {name} are two names of one setting; give one of them")
        seen[canonical] = name


def check_setting(name: str) -> None:
    """Raise `ValueError` if `name` is not a setting of a single run."""
    if name == "policy" or name.startswith(NETWORK):
        return
    found = find(name)
    if found is None:
        hint = "Arguments of the policy's class are written network.NAME."
        raise ValueError(unknown("setting", name, [*HYPERPARAMETERS, *ALIASES, "policy"], hint=hint).rstrip("."))
    if found.name == "total_timesteps":
        raise ValueError(f"{name} is the scheduler's. Set it in the section training")


HOW_NOT_WHAT = (
    "max_concurrent_jobs", "heartbeat_interval", "heartbeat_timeout", "retry_on_failure", "max_retries", "retry_delay",
    "max_retry_delay", "stop_grace", "evidence_window", "eval_baselines",
)  # fmt: skip
"""Fields that may change when an experiment is resumed: they affect how it is run, not its results."""


def _is_new_default(name: str, value: Any) -> bool:
    """Whether a training setting has the default that experiments had before the setting existed."""
    field = DAFTrainingConfig.model_fields.get(name)
    return field is not None and value == field.get_default(call_default_factory=True)


def differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Differences between two configurations of one experiment outside `HOW_NOT_WHAT`, as "name: was → is"."""
    names = [name for name in sorted(set(earlier) | set(now)) if name not in HOW_NOT_WHAT]
    names = [name for name in names if name in earlier or not _is_new_default(name, now[name])]
    found = []
    for name in names:
        was, is_now = earlier.get(name), now.get(name)
        if isinstance(was, dict) and isinstance(is_now, dict):
            found += [f"{name}.{difference}" for difference in differences(was, is_now)]
        elif was != is_now:
            found.append(f"{name}: {was!r} → {is_now!r}")
    return found
