"""Whether a saved curriculum belongs to this one."""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.core.curriculum.config import DAFCurriculumConfig
from daf.core.curriculum.interface import Task
from daf.errors import ConfigError

SAVED_BY = 1
"""The version of the state format."""

FIXED = ("sampler", "window", "fast_rate", "slow_rate")
"""Settings that the saved numbers depend on; others may change from one run to the next."""


def check_same(state: Mapping[str, Any], config: DAFCurriculumConfig, seed: int, tasks: Sequence[Task]) -> list[Task]:
    """The saved tasks. Raises `ConfigError` with the differences."""
    missing = sorted({"saved_by", "seed", "config", "tasks", "history", "roster", "sampler"} - set(state))
    if missing:
        raise ConfigError(f"this is not a saved curriculum: {', '.join(missing)} missing.")
    if state["saved_by"] != SAVED_BY:
        raise ConfigError(f"the curriculum was saved in format {state['saved_by']}; this DAF reads {SAVED_BY}.")
    mine = config.to_data() | {"sampler": config.chosen_sampler.to_data()}
    saved = DAFCurriculumConfig.model_validate(state["config"])
    theirs = saved.to_data() | {"sampler": saved.chosen_sampler.to_data()}
    differing = [f"{name} {theirs[name]} saved, {mine[name]} here" for name in FIXED if mine[name] != theirs[name]]
    if seed != state["seed"]:
        differing.append(f"seed {state['seed']} saved, {seed} here")
    found = [Task(**task) for task in state["tasks"]]
    for own, other in zip(tasks, found, strict=False):
        if (own.key, own.mission) != (other.key, other.mission):
            differing.append(f'task {own.index} "{other.key}" saved, "{own.key}" here')
            break
    if len(found) < len(tasks):
        differing.append(f"{len(found)} tasks saved, {len(tasks)} here")
    if differing:
        raise ConfigError(f"the saved state belongs to another curriculum: {'; '.join(differing)}.")
    return found
