"""How episodes are played, and how their scores are read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.base import device_name
from daf.errors import DataError
from daf.game import missions as game_missions
from daf.game.outcome import SLOW_STEP_MS, SeriesRequest
from daf.storage import remote

DEFAULT_GPU_MEMORY_FRACTION = 0.8
"""The same as in `DAFConfig`."""
SAVE_REPLAYS = ("none", "best", "all")


@dataclass(frozen=True)
class Settings:
    """How episodes are played; see `daf evaluate --help` for each setting."""

    episodes: int = 20
    seed: int = 42
    jobs: int | str = "auto"
    executor: str = "local"
    cluster: ClusterOptions = THIS_MACHINE
    """For the executor "ray"."""
    game: str = game_missions.DEFAULT_GAME
    engine: str = "auto"
    device: str = "cpu"
    """A `torch.device` is accepted and stored by its name."""
    gpu_allowed: bool = True
    gpu_memory_fraction: float = DEFAULT_GPU_MEMORY_FRACTION
    enforce_timeouts: int | None = None
    slow_step_ms: float = SLOW_STEP_MS
    episode_timeout: float | None = None
    max_failures: int | None = None
    max_steps: int | None = None
    use_cache: bool = True
    cache_dir: Path | None = None
    """Text and URLs are accepted and stored as a path."""
    save_replays: str = "none"
    series: SeriesRequest | None = None
    alpha: float = 0.05
    resamples: int = 10_000
    margin: float | None = None
    report: bool = True
    keep_records: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", device_name(self.device))
        if self.cache_dir is not None:
            object.__setattr__(self, "cache_dir", remote.local(self.cache_dir))


def settings_from(data: Mapping[str, Any]) -> Settings:
    """Restore settings from the output of `settings_data` after a JSON round trip. Raises `DataError`."""
    try:
        settings = msgspec.convert(dict(data), Settings, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise DataError(f"the settings that the run was played with are damaged: {error}.") from error
    # msgspec makes 250 the 250.0 of a float field; a rebuilt report must show what the first one showed.
    whole: dict[str, Any] = {name: value for name, value in data.items() if type(value) is int}
    return replace(settings, **whole)


def _path(kind: type, value: Any) -> Path:
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    raise ValueError(f"Expected a path, got {type(value).__name__}")


def settings_data(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for files."""
    data = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {name: remote.shown(value) if isinstance(value, Path) else value for name, value in data.items()}
