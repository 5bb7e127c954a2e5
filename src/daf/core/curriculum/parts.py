"""One task's mission from its parts, for tasks that are added one by one."""

from collections.abc import Mapping
from typing import Any

from daf.core.curriculum.errors import TaskGenerationError
from daf.errors import unknown

FIELDS = ("mission", "cogs", "max_steps", "variants")


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
    variants = config.get("variants") or []
    text = variants if isinstance(variants, str) else "+".join(variants)
    if text:
        parts.append(f"variants={text}")
        axes["variants"] = text
    return ",".join(parts), axes
