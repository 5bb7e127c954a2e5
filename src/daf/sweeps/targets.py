"""The component that each name of a search space configures: training, the network, the policy or the mission.

A bare name is looked up in the table of hyperparameters (if the sweep trains), among the arguments of the policy's
class, and among the options of missions. An unknown name is rejected with the closest match. A name that exists in two
places needs a prefix: `training.gamma`, `network.hidden_size`, `policy.temperature`, `mission.cogs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Literal

from daf.config.hyperparameters import HYPERPARAMETERS, checked, find
from daf.config.sweep import DAFSweepConfig
from daf.config.training import ALIASES, DAFTrainingConfig, Scalar
from daf.core.search.space import Configuration, Dimension
from daf.errors import ConfigError, DAFError, MissionError, PolicyError, unknown
from daf.game.missions import NAMED_OPTIONS, OPTIONS, options_of, resolve, without_rewards
from daf.game.policy_arguments import Arguments, arguments_of
from daf.game.policy_strings import untyped, with_arguments

Place = Literal["training", "network", "policy", "mission"]
PLACES: tuple[Place, ...] = ("training", "network", "policy", "mission")
NO_VARIANT = "none"
"""The choice of `variants` and `rewards` that means none."""
_TOGETHER = (
    "n_steps",
    "bptt_horizon",
    "batch_size",
    "vtrace_rho_clip",
    "vtrace_c_clip",
    "reward_scale",
    "normalize_rewards",
)
"""Hyperparameters that must be compatible with each other."""
_MOST_TOGETHER = 5_000
_REWARDS_NEED_TRAINING = (
    "search_space.rewards changes the reward, so scores of trials that only evaluate could not be compared. It is "
    "for training: add training: {…}; trials are then scored without it."
)


@dataclass(frozen=True)
class Target:
    """The component of a name and its name there. whole: it takes integers."""

    place: Place
    name: str
    whole: bool = False


@dataclass(frozen=True)
class AssignedSettings:
    """A configuration, assigned to its components. training: None if the trial only evaluates."""

    policy: str
    missions: tuple[str, ...]
    training: DAFTrainingConfig | None


def targets_of(config: DAFSweepConfig, *, cache: Path, runs: Path | None) -> dict[str, Target]:
    """The target of every name in the search space. Raises `ConfigError`, and `PolicyError` for the policy itself."""
    taken = arguments_of(config.policy_class_path, cache=cache, runs=runs)
    own: Place = "network" if config.training is not None else "policy"
    found: dict[str, Target] = {}
    for name in config.search_space:
        target = _target(name, config, taken, own)
        for other, there in found.items():
            if (there.place, there.name) == (target.place, target.name):
                raise ConfigError(f"search_space: {other} and {name} are two names of the same parameter.")
        found[name] = target
    return found


def check_bounds(dimension: Dimension, target: Target, config: DAFSweepConfig) -> None:
    """Raise `ConfigError` if values of a name are out of its bounds."""
    extremes = dimension.choices or (dimension.number(dimension.low), dimension.number(dimension.high))
    for value in extremes:
        where = f"search_space.{dimension.name}"
        if target.place == "training":
            try:
                checked(target.name, value)
            except DAFError as error:
                raise ConfigError(f"{where}: {error}") from error
        elif target.place == "mission" and target.name not in NAMED_OPTIONS and not (_whole(value) and int(value) >= 1):
            raise ConfigError(f"{where}: {target.name} must be an integer above 0, got {value!r}.")
        elif target.place == "mission":
            held = [mission for mission in config.missions if target.name in options_of(mission)]
            if held:
                raise ConfigError(f"{where}: the mission {held[0]} already sets {target.name}; remove it there.")
            for mission in config.missions if value != NO_VARIANT else ():
                try:
                    resolve(f"{mission},{target.name}={untyped(value)}", game=config.game)
                except MissionError as error:
                    raise ConfigError(f"{where}: {error}") from error
        else:
            try:
                untyped(value)
            except PolicyError as error:
                raise ConfigError(f"{where}: {error}") from error


def check_together(dimensions: Sequence[Dimension], targets: Mapping[str, Target], config: DAFSweepConfig) -> None:
    """Raise `ConfigError` if values that can be drawn together make no valid training configuration."""
    if config.training is None:
        return
    names = {d.name: targets[d.name].name for d in dimensions if targets[d.name].place == "training"}
    chosen = [d for d in dimensions if names.get(d.name) in _TOGETHER and not d.when]
    values = (
        [d.low, d.high] if d.count is None else [d.nth(index) for index in range(min(d.count, _MOST_TOGETHER))]
        for d in chosen
    )
    for drawn in islice(product(*values), _MOST_TOGETHER) if chosen else ():
        together = dict(zip((dimension.name for dimension in chosen), drawn, strict=True))
        try:
            config.training.replace(**{names[name]: value for name, value in together.items()})
        except ConfigError as error:
            drawn_values = " with ".join(f"{name} {value}" for name, value in together.items())
            raise ConfigError(
                f"search_space: a trial may draw {drawn_values}, with which it can't train ({error}). Leave out "
                "values, or give a range a step, so that all combinations are valid."
            ) from error


def setting_of(config: DAFSweepConfig, targets: Mapping[str, Target], values: Configuration) -> AssignedSettings:
    """Assign `values` to their components; `{}` gives the default configuration. Raises `ConfigError`."""
    by_place: dict[Place, dict[str, Scalar]] = {place: {} for place in PLACES}
    for name, value in values.items():
        target = targets[name]
        by_place[target.place][target.name] = value
    policy = with_arguments(config.policy_class_path, by_place["policy"])
    options = [
        f"{name}={untyped(value)}"
        for name, value in by_place["mission"].items()
        if not (name in NAMED_OPTIONS and value == NO_VARIANT)
    ]
    shaped = tuple(",".join([mission, *options]) for mission in config.missions)
    missions = tuple(map(without_rewards, shaped)) if "rewards" in by_place["mission"] else shaped
    if config.training is None:
        return AssignedSettings(policy, missions, None)
    base = config.training
    training = base.replace(
        eval_baselines=base.eval_baselines and "eval_baselines" in base.model_fields_set,  # trials are compared instead
        **by_place["training"],
        network={**base.network, **by_place["network"]},
        policy=config.policy_class_path,
        mission=_trained_on(base, shaped, bool(options), config),
    )
    return AssignedSettings(policy, missions, training)


def _trained_on(base: DAFTrainingConfig, missions: tuple[str, ...], changed: bool, config: DAFSweepConfig) -> object:
    """Missions to train on: those of the training section, else those of the evaluation."""
    if base.mission is None:
        return missions[0] if len(missions) == 1 else list(missions)
    if changed and base.missions != list(config.missions):
        raise ConfigError(
            "search_space: mission options change the missions that are played; leave out training.mission, so that "
            "training follows them."
        )
    return (missions[0] if len(missions) == 1 else list(missions)) if changed else base.mission


def _target(name: str, config: DAFSweepConfig, taken: Arguments, own: Place) -> Target:
    place, dot, rest = name.partition(".")
    if dot and place in PLACES:
        return _placed(name, place, rest, config, taken, own)
    places: dict[Place, Target] = {}
    hyper = find(name)
    if hyper is not None and config.training is not None:
        places["training"] = Target("training", hyper.name, hyper.kind == "int")
    if name in taken.whole:
        places[own] = Target(own, name, taken.whole[name])
    if name in OPTIONS and (name != "rewards" or config.training is not None):
        places["mission"] = Target("mission", name, name not in NAMED_OPTIONS)
    if len(places) > 1:
        ways = " or ".join(f"{place}.{target.name}" for place, target in places.items())
        raise ConfigError(f"search_space.{name} may be {' and '.join(places)}: write {ways}.")
    if places:
        return next(iter(places.values()))
    if name == "rewards":
        raise ConfigError(_REWARDS_NEED_TRAINING)
    if hyper is not None:
        raise ConfigError(
            f"search_space.{name} is a hyperparameter of training, and this sweep has no training section: "
            f"{config.policy_class_path} has no network that it could train by default, so that its trials only "
            "evaluate. Name a policy with a network."
        )
    known = [*taken.whole, *OPTIONS, *([*HYPERPARAMETERS, *ALIASES] if config.training is not None else [])]
    hint = (
        f"{config.policy_class_path} takes any argument: write {own}.{name} to pass it."
        if taken.open_ended
        else f"Looked for among {'hyperparameters of training, ' if config.training is not None else ''}arguments of "
        f"{config.policy_class_path} and options of missions."
    )
    raise ConfigError(f"search_space: {unknown('hyperparameter', name, known, hint=hint)}")


def _placed(name: str, place: str, rest: str, config: DAFSweepConfig, taken: Arguments, own: Place) -> Target:
    """The target of a name with a prefix."""
    if place in ("training", "network") and config.training is None:
        raise ConfigError(f"search_space.{name}: this sweep has no training section, so its trials only evaluate.")
    if place == "training":
        hyper = find(rest)
        if hyper is None:
            raise ConfigError(f"search_space.{name}: {unknown('hyperparameter', rest, [*HYPERPARAMETERS, *ALIASES])}")
        return Target("training", hyper.name, hyper.kind == "int")
    if place == "mission":
        if rest not in OPTIONS:
            raise ConfigError(f"search_space.{name}: {unknown('mission option', rest, OPTIONS)}")
        if rest == "rewards" and config.training is None:
            raise ConfigError(_REWARDS_NEED_TRAINING)
        return Target("mission", rest, rest not in NAMED_OPTIONS)
    if rest not in taken.whole and not taken.open_ended:
        kind = f"argument of {config.policy_class_path}"
        raise ConfigError(f"search_space.{name}: {unknown(kind, rest, taken.whole)}")
    return Target(own, rest, taken.whole.get(rest, False))


def _whole(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
