"""The configuration of a run: its `experiment_config.json`, or the `training_config.yaml` of a training run.

A part of a sweep or an experiment has only the second. If a run has both, they hold the same settings, the second
without the section's name around them, so that runs and parts can be compared.
"""

from pathlib import Path
from typing import Any

from daf.dashboard._json_files import JsonFiles
from daf.dashboard._signatures import signature
from daf.errors import DAFError
from daf.output_manager.layout import EXPERIMENT_CONFIG

TRAINING_CONFIG = "training_config.yaml"


def asked(folder: Path, files: JsonFiles) -> Any:
    """The configuration as the run's page shows it; None if there is none to read."""
    config = files.read(folder / EXPERIMENT_CONFIG)
    return training_config(folder) if config is None else config


def comparable(folder: Path, files: JsonFiles) -> Any:
    """The configuration under names that are the same in every kind of training run."""
    config = training_config(folder)
    return files.read(folder / EXPERIMENT_CONFIG) if config is None else config


def total_steps(folder: Path, files: JsonFiles) -> int | None:
    """`total_timesteps` of the configuration, wherever it appears."""
    return _find_total(asked(folder, files), 0)


def training_config(folder: Path) -> dict[str, Any] | None:
    """The content of `training_config.yaml`; None if it is missing or cannot be read."""
    from daf.storage.yaml_strict import load_yaml

    path = folder / TRAINING_CONFIG
    if signature(path) is None:
        return None
    try:
        value = load_yaml(path)
    except DAFError:  # written by others, and shown if it can be read
        return None
    return value if isinstance(value, dict) else None


def _find_total(value: Any, depth: int) -> int | None:
    if not isinstance(value, dict) or depth > 4:
        return None
    found = value.get("total_timesteps")
    if isinstance(found, dict):
        found = found.get("value")
    if isinstance(found, int):
        return found
    inner = (_find_total(part, depth + 1) for part in value.values())
    return next((total for total in inner if total is not None), None)
