"""Sweeps whose search space names training hyperparameters but that have no training section.

Their trials train with the defaults of that section, and the sweep notes it. If `batch_size` is searched, sequences are
as long as all of its values allow, because the default length would rule out the smaller ones.
"""

import math
from typing import Any

from daf.config.hyperparameters import find
from daf.config.sweep import DAFParameterChoices, DAFParameterRange, DAFSweepConfig
from daf.config.training import DAFTrainingConfig, Scalar
from daf.game.missions import OPTIONS
from daf.game.policy_arguments import Arguments


def with_training(config: DAFSweepConfig, taken: Arguments) -> DAFSweepConfig:
    """Return `config` with the training section that its search space implies. taken: the policy's arguments."""
    if config.training is not None or not any(_is_trained(name, taken) for name in config.search_space):
        return config
    return config.replace(training=DAFTrainingConfig(**_sequences(config)))


def training_note(config: DAFSweepConfig) -> str | None:
    """Note for the reader on trials that train with defaults; None if the section sets anything itself."""
    training = config.training
    if training is None or training.model_fields_set - {"bptt_horizon"}:
        return None
    named = [name for name in config.search_space if find(name.removeprefix("training.")) is not None]
    steps = [] if "total_timesteps" in _canonical(named) else [f"{training.total_timesteps:,} agent steps"]
    sequences = [] if training.bptt_horizon is None else [f"sequences of {training.bptt_horizon} steps"]
    return (
        f"Every trial trains with the training section's defaults{_with(steps + sequences)}, because the search space "
        f"names {', '.join(named) or 'nothing that only evaluates'} and the file sets nothing else. A section "
        "`training:` changes that, for example training: {total_timesteps: 100000}."
    )


def _with(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _is_trained(name: str, taken: Arguments) -> bool:
    place, dot, _ = name.partition(".")
    if dot and place in ("training", "network"):
        return True
    return not dot and find(name) is not None and name not in taken.whole and name not in OPTIONS


def _canonical(names: list[str]) -> set[str]:
    found = (find(name.removeprefix("training.")) for name in names)
    return {hyperparameter.name for hyperparameter in found if hyperparameter is not None}


def _sequences(config: DAFSweepConfig) -> dict[str, Any]:
    """The `bptt_horizon` that divides every searched batch size; empty if the default does, or if it is searched."""
    names = list(config.search_space)
    if _canonical(names) & {"n_steps", "bptt_horizon"} or "batch_size" not in _canonical(names):
        return {}
    default = DAFTrainingConfig().n_steps
    (name,) = [each for each in names if _canonical([each]) == {"batch_size"}]
    parameter = config.search_space[name]
    if isinstance(parameter, DAFParameterRange):
        values: list[Scalar] = [parameter.min, parameter.step or 1, parameter.max]
    else:
        values = list(parameter.choices if isinstance(parameter, DAFParameterChoices) else parameter)
    numbers = [int(value) for value in values if isinstance(value, int | float) and value >= 1]
    horizon = math.gcd(default, *numbers)
    return {} if horizon == default else {"bptt_horizon": horizon}
