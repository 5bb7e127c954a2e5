"""Settings drawn from a search space, and settings changed within it; each draw uses a separate generator."""

from collections.abc import Mapping

import numpy as np

from daf.config.hyperparameters import Hyperparameter, resolve
from daf.config.training import Scalar
from daf.core.adaptive.config import NETWORK, DAFAdaptiveConfig, Parameter
from daf.core.adaptive.schedulers.interface import Settings
from daf.core.search.space import dimension_of


def first_settings(config: DAFAdaptiveConfig) -> list[Settings]:
    """The runs that an experiment starts with: those listed, then those drawn from (seed, number)."""
    space = [dimension_of(name, parameter) for name, parameter in sorted(config.search_space.items())]
    drawn = [
        {d.name: d.sample(np.random.default_rng([config.seed, 0, index, place])) for place, d in enumerate(space)}
        for index in range(len(config.runs), config.first_runs)
    ]
    return [*config.runs, *drawn]


def perturbed(
    settings: Settings, space: Mapping[str, Parameter], draw: np.random.Generator, *, factor: float, resample: float
) -> dict[str, Scalar]:
    """`settings` with each name of `space` drawn again with probability `resample`, else changed to a value nearby.

    Without a space, every number in `settings` is multiplied by 1 ± `factor` and kept in the bounds of its
    hyperparameter. The seed, the policy and its network stay.
    """
    changed = dict(settings)
    for name in sorted(space or settings):
        if name in ("seed", "policy") or name.startswith(NETWORK):
            continue
        up, again = bool(draw.integers(2)), draw.random() < resample
        value = changed.get(name)
        if name in space:
            dimension = dimension_of(name, space[name])
            if again or value is None:
                changed[name] = dimension.sample(draw)
            else:
                changed[name] = dimension.neighbour(value, up=up, factor=factor, generator=draw)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            changed[name] = _near(resolve(name), value, 1 + factor if up else 1 - factor)
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
