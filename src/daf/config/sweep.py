"""`DAFSweepConfig`: a search over hyperparameters, as YAML or JSON.

Errors that the numbers alone show are reported here (min above max, log of 0, a condition on a name that is not
searched); the sweep checks whether a name is a hyperparameter, an argument of the policy or an option of the mission.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from daf.config.base import ConfigModel, device_name
from daf.config.hyperparameters import find
from daf.config.training import ALIASES, DAFTrainingConfig, Name, Scalar, Seed
from daf.errors import unknown

Strategy = Literal["grid", "random", "qmc", "bayesian", "tpe", "gp", "cmaes", "nsga2", "protein"]
Direction = Literal["maximize", "minimize"]
Aggregate = Literal["mean", "iqm", "quantile"]
SEVERAL_OBJECTIVES = ("grid", "random", "qmc", "bayesian", "tpe", "gp", "nsga2")
"""Strategies that can search for several objectives at once; the first three propose without looking at results."""
UNCONDITIONAL = ("protein",)
"""Strategies that need every name in every trial."""
IN_GENERATIONS = ("cmaes", "nsga2")
"""Strategies that use `population_size`."""

When = dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)]]
"""Values of other names under which a parameter is searched: `optimizer: adam`, or a list of values."""


class DAFParameterRange(ConfigModel):
    """A hyperparameter's range in a search space: numbers from `min` to `max`, both included.

    `int: true` is the same as `type: int`.
    """

    type: Literal["float", "int"] = "float"
    min: float
    max: float
    log: bool = Field(False, description="Uniform in the logarithm.")
    step: float | None = Field(None, gt=0, description="Only min, min + step, min + 2·step, …")
    prior: float | None = Field(None, description="A good guess: part of the first trial, if it is searched there.")
    when: When | None = Field(None, description="Searched only where other names have these values.")

    @model_validator(mode="before")
    @classmethod
    def _int_is_a_type(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "int" not in values:
            return values
        given = dict(values)
        whole = given.pop("int")
        if not isinstance(whole, bool):
            raise ValueError(f"int must be true or false, got {whole!r}")
        if given.setdefault("type", "int" if whole else "float") != ("int" if whole else "float"):
            raise ValueError(f"int: {str(whole).lower()} contradicts type: {given['type']}")
        return given

    @model_validator(mode="after")
    def _ordered(self) -> "DAFParameterRange":
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.log and self.min <= 0:
            raise ValueError(f"log needs a min above 0, got {self.min:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other")
        if self.type == "int" and not all(v is None or v == int(v) for v in (self.min, self.max, self.step)):
            raise ValueError("type int needs integers for min, max and step")
        if self.prior is not None and not self.min <= self.prior <= self.max:
            raise ValueError(f"prior {self.prior:g} is outside {self.min:g} to {self.max:g}")
        if self.prior is not None and self.type == "int" and self.prior != int(self.prior):
            raise ValueError(f"prior must be an integer, got {self.prior:g}")
        return self


Choices = Annotated[list[Scalar], Field(min_length=1)]


class DAFParameterChoices(ConfigModel):
    """A hyperparameter's choices with a prior or a condition; without these, a plain list is enough."""

    choices: Choices
    prior: Scalar | None = Field(None, description="A good guess: part of the first trial, if it is searched there.")
    when: When | None = Field(None, description="Searched only where other names have these values.")

    @model_validator(mode="after")
    def _prior_is_a_choice(self) -> "DAFParameterChoices":
        if self.prior is not None and not any(same(self.prior, choice) for choice in self.choices):
            raise ValueError(f"prior {self.prior!r} is not among the choices {self.choices}")
        return self


def _kind_of_parameter(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "list"
    listed = "choices" in value if isinstance(value, Mapping) else isinstance(value, DAFParameterChoices)
    return "choices" if listed else "range"


Parameter = Annotated[
    Annotated[DAFParameterRange, Tag("range")]
    | Annotated[DAFParameterChoices, Tag("choices")]
    | Annotated[Choices, Tag("list")],
    Discriminator(_kind_of_parameter),
]


class DAFObjective(ConfigModel):
    """One of several objectives."""

    metric: Name
    direction: Direction = "maximize"
    aggregate: Aggregate = "mean"
    quantile: float = Field(0.25, ge=0, le=1)

    @model_validator(mode="after")
    def _quantile_is_taken(self) -> "DAFObjective":
        _check_quantile(self)
        return self


class DAFEarlyStopping(ConfigModel):
    """Stops trials that will not be best: by training steps (halving, hyperband) or by evaluation blocks (wilcoxon)."""

    method: Literal["halving", "hyperband", "wilcoxon"]
    min_steps: int | None = Field(None, ge=1, description="First rung, in agent steps; None: total / factor³.")
    factor: int = Field(3, ge=2, le=16, description="One of this many trials at a rung continues; rungs grow by it.")
    p: float = Field(0.1, gt=0, lt=1, description="wilcoxon: the significance level at which a trial is worse.")
    min_blocks: int = Field(6, ge=2, description="wilcoxon: blocks between tests.")

    @model_validator(mode="after")
    def _fields_are_of_the_method(self) -> "DAFEarlyStopping":
        others = ("min_steps", "factor") if self.method == "wilcoxon" else ("p", "min_blocks")
        changed = _changed(self, *others)
        if changed:
            raise ValueError(f"method {self.method} does not take {' and '.join(changed)}; leave that out")
        return self


_OF_ONE_OBJECTIVE = ("objective_metric", "optimize_direction", "aggregate", "quantile")
"""Fields that `objectives` define one by one."""


class DAFSweepConfig(ConfigModel):
    """A search over hyperparameters.

    Without `training` its trials only evaluate, unless the space names hyperparameters of training.
    """

    kind: ClassVar[str] = "sweep"

    name: Name
    description: str = ""
    missions: list[Name] = Field(min_length=1)
    policy_class_path: Name = Field(description="A policy string.")
    search_space: dict[str, Parameter] = Field(min_length=1, description="A list of choices, or a range, per name.")
    strategy: Strategy = "grid"
    num_trials: int = Field(10, ge=1, description="Number of trials; a grid runs all cells by default.")
    episodes_per_trial: int = Field(3, ge=1, description="Per mission; every trial plays the same ones.")
    max_steps_per_episode: int = Field(
        1000, ge=1, description="The limit of missions without one. If it is not given, missions keep their own."
    )
    seed: Seed = 42
    objective_metric: Name = "reward"
    optimize_direction: Direction = "maximize"
    aggregate: Aggregate = Field("mean", description="Over a mission's episodes.")
    quantile: float = Field(0.25, ge=0, le=1, description="The quantile for aggregate: quantile.")
    objectives: Annotated[list[DAFObjective], Field(min_length=1)] | None = Field(
        None, description="Several objectives, instead of objective_metric; the first one decides ties."
    )
    constraints: Annotated[dict[Name, str], Field(min_length=1)] | None = Field(
        None,
        description='Bounds by metric, such as latency_p99_ms: "<= 50"; a trial that violates one is never best.',
    )
    normalise: Literal["auto", "none", "default"] | dict[str, tuple[float, float]] = Field(
        "auto",
        description="How missions are brought to one scale: (low, high) by mission, or relative to the default "
        "configuration; auto: the latter for several missions.",
    )
    checkpoint_best_n: int = Field(3, ge=0, description="Number of best trials whose checkpoints are kept.")
    training: DAFTrainingConfig | None = None
    starting_points: list[dict[str, Scalar]] = Field(
        default_factory=list, description="The first trials; names that a point leaves out are proposed."
    )
    early_stopping: DAFEarlyStopping | None = None
    num_parallel: int = Field(1, ge=1, le=256, description="Parallel trials.")
    lookahead: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Trial n knows trials 0 … n - lookahead; None: num_parallel, or 4 times that.",
    )
    population_size: int | None = Field(None, ge=2, description="cmaes, nsga2: trials per generation.")
    cost: Literal["seconds", "steps"] = Field(
        "seconds", description="The cost that protein trades off against the score."
    )
    max_cost: float | None = Field(None, gt=0, description="protein: proposes no trial with a higher expected cost.")
    max_retries: int = Field(
        2, ge=0, description="Retries of a trial whose machine failed (a dead process, a full disk)."
    )
    trial_timeout: float | None = Field(None, gt=0, description="Seconds; a trial that takes longer fails.")
    held_out_best: int = Field(3, ge=0, description="Number of best trials played again on held-out seeds; 0: none.")
    held_out_episodes: int | None = Field(None, ge=1, description="Per mission; None: those of a trial, at least 20.")
    held_out_seed: Seed | None = Field(None, description="The first one; None: a million from the trials' seeds.")
    train_seeds: int = Field(
        1,
        ge=1,
        le=1000,
        description="Training runs of each of the held_out_best best configurations, with separate seeds if "
        "there are several.",
    )
    race: bool = Field(False, description="Give no more training seeds to a configuration that is behind the best one.")
    significance_level: float = Field(0.05, gt=0, lt=1)
    game: Name = "cogs_vs_clips"
    device: Annotated[Name, BeforeValidator(device_name)] = Field(
        "cpu", description="Device of networks in evaluations."
    )

    @field_validator("normalise")
    @classmethod
    def _low_below_high(cls, value: Any) -> Any:
        for mission, bounds in value.items() if isinstance(value, dict) else ():
            if not bounds[0] < bounds[1]:
                raise ValueError(f"{mission}: low {bounds[0]:g} is not below high {bounds[1]:g}")
        return value

    @field_validator("constraints")
    @classmethod
    def _constraints_are_bounds(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for name, text in (value or {}).items():
            try:
                bound_of(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _pairs_from_files(cls, values: Any) -> Any:
        """Files have lists where the model has pairs."""
        if isinstance(values, Mapping) and isinstance(values.get("normalise"), Mapping):
            pairs = {key: tuple(pair) if isinstance(pair, list) else pair for key, pair in values["normalise"].items()}
            return {**values, "normalise": pairs}
        return values

    @property
    def step_limit(self) -> int | None:
        """The limit of missions without one; None if the configuration gives none, so that they keep theirs."""
        return self.max_steps_per_episode if "max_steps_per_episode" in self.model_fields_set else None

    @model_serializer(mode="wrap")
    def _without_a_limit_that_was_not_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Whether `max_steps` was given: a default value, once written to a file, would be read as given."""
        data: dict[str, Any] = dump(self)
        if self.step_limit is None:
            data.pop("max_steps_per_episode", None)
        for name in _OF_ONE_OBJECTIVE if self.objectives is not None else ():
            data.pop(name, None)
        return data

    @model_validator(mode="after")
    def _grid_is_finite(self) -> "DAFSweepConfig":
        for name, parameter in self.search_space.items():
            ranged = isinstance(parameter, DAFParameterRange) and parameter.type == "float" and parameter.step is None
            if self.strategy == "grid" and ranged:
                raise ValueError(f"search_space.{name}: strategy grid needs a step in a range, or a list of choices")
        return self

    @model_validator(mode="after")
    def _conditions_hold(self) -> "DAFSweepConfig":
        for name, parameter in self.search_space.items():
            for other in condition_of(parameter):
                if other not in self.search_space or other == name:
                    others = [key for key in self.search_space if key != name]
                    raise ValueError(
                        f"search_space.{name}.when: {unknown('other name in the search space', other, others)}".rstrip(
                            "."
                        )
                    )
                if isinstance(self.search_space[other], DAFParameterRange):
                    raise ValueError(f"search_space.{name}.when: {other} is a range; a condition needs choices")
            if condition_of(parameter) and self.strategy in UNCONDITIONAL:
                raise ValueError(f"search_space.{name}.when: strategy {self.strategy} has no conditions")
        ordered_by_conditions(self.search_space)
        return self

    @model_validator(mode="after")
    def _starts_lie_in_the_space(self) -> "DAFSweepConfig":
        guessed = any(prior_of(parameter) is not None for parameter in self.search_space.values())
        if self.strategy == "grid" and (self.starting_points or guessed):
            raise ValueError("strategy grid runs every cell: leave out starting_points and prior")
        for index, point in enumerate(self.starting_points):
            for name, value in point.items():
                where = f"starting_points[{index}]"
                if name not in self.search_space:
                    raise ValueError(
                        f"{where}: {unknown('name in the search space', name, self.search_space)}".rstrip(".")
                    )
                if not allows(self.search_space[name], value):
                    raise ValueError(f"{where}.{name}: {value!r} is not in the search space")
                for other, values in condition_of(self.search_space[name]).items():
                    if other not in point or not any(same(point[other], each) for each in values):
                        said = f"has {point[other]!r}" if other in point else "leaves it out"
                        raise ValueError(
                            f"{where}.{name}: it is searched only where {other} is {' or '.join(map(repr, values))}, "
                            f"and this point {said}; give {other} such a value, or leave {name} out"
                        )
        return self

    @model_validator(mode="after")
    def _everything_counts(self) -> "DAFSweepConfig":
        """Refuse fields without effect."""
        if self.objectives is None:
            _check_quantile(self)
        if self.population_size is not None and self.strategy not in IN_GENERATIONS:
            raise ValueError(
                f"population_size is for strategies {' and '.join(IN_GENERATIONS)}, not {self.strategy}; leave it out"
            )
        if self.max_cost is not None and self.strategy != "protein":
            raise ValueError(f"max_cost is for strategy protein, not {self.strategy}; leave it out")
        if self.race and self.train_seeds == 1:
            raise ValueError("race is for several train_seeds, and train_seeds is 1; raise that, or leave race out")
        if self.train_seeds > 1 and self.held_out_best == 0:
            raise ValueError(
                "train_seeds counts training runs of the best configurations, and held_out_best is 0; raise that, or "
                "leave train_seeds out"
            )
        stopping = self.early_stopping
        if stopping is None:
            return self
        if stopping.method == "wilcoxon" and stopping.min_blocks >= self.episodes_per_trial:
            raise ValueError(
                f"early_stopping: wilcoxon would never run: it tests after every {stopping.min_blocks} episodes "
                f"(min_blocks), but a trial plays {self.episodes_per_trial} (episodes_per_trial). Raise "
                "that above it, or lower min_blocks"
            )
        longest = self._longest_training()
        if stopping.min_steps is not None and longest is not None and stopping.min_steps >= longest:
            raise ValueError(
                f"early_stopping.min_steps must be below total_timesteps {longest}, got {stopping.min_steps}: no trial "
                "would be tested; lower it, or leave it out"
            )
        return self

    def _longest_training(self) -> int | None:
        """The maximum agent steps that a trial trains; None if it does not train."""
        if self.training is None:
            return None
        for name, parameter in self.search_space.items():
            bare = name.removeprefix("training.")
            if ALIASES.get(bare, bare) == "total_timesteps":
                return _highest(parameter)
        return self.training.total_timesteps

    @model_validator(mode="after")
    def _fits_together(self) -> "DAFSweepConfig":
        several = self.objectives is not None and len(self.objectives) > 1
        if self.objectives is not None:
            doubled = set(_OF_ONE_OBJECTIVE) & self.model_fields_set
            if doubled:
                raise ValueError(f"objectives replaces these fields: leave out {', '.join(sorted(doubled))}")
            if len({(o.metric, o.aggregate, o.quantile) for o in self.objectives}) < len(self.objectives):
                raise ValueError("objectives: one occurs twice")
        if several and self.strategy not in SEVERAL_OBJECTIVES:
            raise ValueError(
                f"strategy {self.strategy} takes one objective; for several: {', '.join(SEVERAL_OBJECTIVES)}"
            )
        if several and self.early_stopping is not None:
            raise ValueError("early_stopping needs a single objective; with several, no trial is clearly worse")
        stopping = self.early_stopping
        may_train = self.training is not None or any(
            find(name.removeprefix("training.")) is not None for name in self.search_space
        )
        if stopping is not None and stopping.method != "wilcoxon" and not may_train:
            raise ValueError(
                f"early_stopping {stopping.method} counts training steps, but there is no training section"
            )
        if isinstance(self.normalise, dict) and set(self.normalise) != set(self.missions):
            raise ValueError(f"normalise: needs (low, high) for exactly the missions {', '.join(self.missions)}")
        if self.training is not None and self.training.policy not in (None, self.policy_class_path):
            raise ValueError(
                f"training.policy {self.training.policy} is not policy_class_path {self.policy_class_path}; give one"
            )
        return self


def _check_quantile(objective: "DAFObjective | DAFSweepConfig") -> None:
    if objective.aggregate != "quantile" and _changed(objective, "quantile"):
        raise ValueError(
            f"quantile is for aggregate: quantile, and aggregate is {objective.aggregate}; change that, or leave "
            "quantile out"
        )


def _changed(config: ConfigModel, *names: str) -> list[str]:
    """Which of these fields have another value than by default (a file that DAF wrote names all of them)."""
    return [name for name in names if getattr(config, name) != type(config).model_fields[name].default]


def _highest(parameter: Parameter) -> int | None:
    """The highest number; None without any."""
    if isinstance(parameter, DAFParameterRange):
        return int(parameter.max)
    choices = parameter.choices if isinstance(parameter, DAFParameterChoices) else parameter
    return max((int(choice) for choice in choices if isinstance(choice, int | float)), default=None)


def bound_of(text: str) -> tuple[Literal["<=", ">="], float]:
    """Split a bound such as "<= 50". Raises `ValueError`."""
    sign, rest = text.strip()[:2], text.strip()[2:]
    try:
        bound = float(rest)
    except ValueError:
        bound = math.nan
    if sign not in ("<=", ">=") or not math.isfinite(bound):
        raise ValueError(f'a bound is "<= NUMBER" or ">= NUMBER", got "{text}"')
    return ("<=" if sign == "<=" else ">="), bound


def same(a: Scalar, b: Scalar) -> bool:
    """Whether two values are one choice: 1 and 1.0 are, 1 and true are not."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def condition_of(parameter: Any) -> dict[str, list[Scalar]]:
    """The values of other names under which a parameter is searched; {} for always."""
    when = getattr(parameter, "when", None) or {}
    return {name: list(values) if isinstance(values, list) else [values] for name, values in when.items()}


def prior_of(parameter: Any) -> Scalar | None:
    """A parameter's prior, if it has one."""
    prior: Scalar | None = getattr(parameter, "prior", None)
    return prior


def allows(parameter: Any, value: Scalar) -> bool:
    """Whether the parameter can take `value` (ignoring steps)."""
    if isinstance(parameter, DAFParameterRange):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(float(value)) and parameter.min <= float(value) <= parameter.max
    choices = parameter.choices if isinstance(parameter, DAFParameterChoices) else parameter
    return any(same(value, choice) for choice in choices)


def ordered_by_conditions(space: Mapping[str, Any]) -> list[str]:
    """The names, each after those that its condition refers to. Raises `ValueError` for a cycle."""
    order: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [name for name in waiting if all(other in order for other in condition_of(space[name]))]
        if not ready:
            raise ValueError(f"search_space: the conditions of {', '.join(sorted(waiting))} form a cycle")
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return order
