"""Settings drawn from a search space, and settings changed within it; each draw uses a separate generator."""

import math
from collections.abc import Mapping

import numpy as np

from daf.config.hyperparameters import Hyperparameter, resolve
from daf.config.sweep import DAFParameterRange
from daf.config.training import Scalar
from daf.core.adaptive.config import NETWORK, DAFAdaptiveConfig, Parameter
from daf.core.adaptive.schedulers.interface import Settings


def first_settings(config: DAFAdaptiveConfig) -> list[Settings]:
    """The runs that an experiment starts with: those listed, then those drawn from (seed, number)."""
    drawn = [
        {
            name: sample(parameter, np.random.default_rng([config.seed, 0, index, place]))
            for place, (name, parameter) in enumerate(sorted(config.search_space.items()))
        }
        for index in range(len(config.runs), config.first_runs)
    ]
    return [*config.runs, *drawn]


def sample(parameter: Parameter, draw: np.random.Generator) -> Scalar:
    """One value, uniform over the choices or the range (or its logarithm, if so configured)."""
    if isinstance(parameter, list):
        return parameter[int(draw.integers(len(parameter)))]
    if parameter.log:
        low, high = math.log(parameter.min), math.log(parameter.max)
        return within(parameter, math.exp(low + (high - low) * draw.random()))
    if parameter.step is not None:
        steps = math.floor((parameter.max - parameter.min) / parameter.step + 1e-9)
        return within(parameter, parameter.min + parameter.step * int(draw.integers(steps + 1)))
    if parameter.type == "int":
        return int(draw.integers(int(parameter.min), int(parameter.max) + 1))
    return within(parameter, parameter.min + (parameter.max - parameter.min) * draw.random())


def within(parameter: DAFParameterRange, value: float) -> int | float:
    """The allowed value closest to `value`."""
    if parameter.step is not None:
        steps = math.floor((parameter.max - parameter.min) / parameter.step + 1e-9)
        value = parameter.min + parameter.step * min(steps, max(0, round((value - parameter.min) / parameter.step)))
    bounded = min(parameter.max, max(parameter.min, value))
    return round(bounded) if parameter.type == "int" else float(bounded)


def perturbed(
    settings: Settings, space: Mapping[str, Parameter], draw: np.random.Generator, *, factor: float, anew: float
) -> dict[str, Scalar]:
    """`settings` with each name of `space` resampled with probability `anew`, else changed to a value nearby.

    Numbers are multiplied by 1 ± factor and kept in their range; integers move by at least 1, and 0 is resampled, since
    multiplying never moves it. For choices, a neighbour in the list is taken. Without a space, every number in
    `settings` is multiplied and kept in the bounds of its hyperparameter. The seed, the policy and its network stay.
    """
    changed = dict(settings)
    for name in sorted(space or settings):
        if name in ("seed", "policy") or name.startswith(NETWORK):
            continue
        parameter = space.get(name)
        up, again = bool(draw.integers(2)), draw.random() < anew
        scale = 1 + factor if up else 1 - factor
        value = changed.get(name)
        if parameter is None:
            if isinstance(value, int | float) and not isinstance(value, bool):
                changed[name] = _near(resolve(name), value, scale)
        elif again or value is None:
            changed[name] = sample(parameter, draw)
        elif isinstance(parameter, list):
            place = parameter.index(value) + (1 if up else -1) if value in parameter else 0
            changed[name] = parameter[min(len(parameter) - 1, max(0, place))]
        elif isinstance(value, int | float):
            near = within(parameter, value * scale)
            if near == value and parameter.type == "int":  # the number is too small for the factor
                near = within(parameter, value + (1 if up else -1) * (parameter.step or 1))
            changed[name] = near if near != 0 or value != 0 else sample(parameter, draw)
    return changed


def _near(setting: Hyperparameter, value: float, scale: float) -> int | float:
    """`value` times `scale` within the setting's bounds; half the way to a bound that is not allowed itself."""
    near = value * scale
    if setting.kind == "int":
        near = round(near) if round(near) != value else value + (1 if scale > 1 else -1)
    if setting.low is not None and (near < setting.low or (setting.open_low and near == setting.low)):
        near = (value + setting.low) / 2 if setting.open_low else setting.low
    if setting.high is not None and (near > setting.high or (setting.open_high and near == setting.high)):
        near = (value + setting.high) / 2 if setting.open_high else setting.high
    return int(near) if setting.kind == "int" else near
