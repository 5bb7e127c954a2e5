"""One task's mission from its parts, for tasks that are added individually."""

from collections.abc import Mapping
from typing import Any

from daf.core.curriculum._errors import TaskGenerationError
from daf.errors import unknown
from daf.game.missions import NAMED_OPTIONS

FIELDS = ("mission", "cogs", "max_steps", "variants", "rewards")


def mission_of(key: str, config: str | Mapping[str, Any] | None) -> tuple[str, dict[str, str | float]]:
    """The mission string of the task `key`, and its axes. Raises `TaskGenerationError` for an unknown part."""
    if config is None or isinstance(config, str):
        mission = key if config is None else config
        return mission, {"mission": mission}
    wrong = next((name for name in config if name not in FIELDS), None)
    if wrong is not None:
        raise TaskGenerationError(f'task "{key}": {unknown("field", str(wrong), FIELDS)}')
    parts = [str(config.get("mission", key))]
    axes: dict[str, str | float] = {"mission": parts[0]}
    for name in ("cogs", "max_steps"):
        if config.get(name) is not None:
            parts.append(f"{name}={config[name]}")
            axes[name] = float(config[name])
    for name in NAMED_OPTIONS:
        names = config.get(name) or []
        text = names if isinstance(names, str) else "+".join(names)
        if text:
            parts.append(f"{name}={text}")
            axes[name] = text
    return ",".join(parts), axes
