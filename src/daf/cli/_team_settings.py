"""What `daf score` and `daf crossplay` share: their options as settings, and the output folder."""

from typing import TYPE_CHECKING, Any

from daf.cli._playing import open_output
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.evaluation import Settings
    from daf.output_manager import OutputManager

_SETTINGS = (
    "episodes", "seed", "jobs", "executor", "game", "engine", "device", "enforce_timeouts", "episode_timeout",
    "max_failures", "max_steps", "cache_dir", "save_replays", "alpha", "resamples", "keep_records",
)  # fmt: skip

FILED: dict[str, Any] = {"policies": None, "resamples": 10_000, "keep_records": True, "title": None}
"""What only a --config file sets, and what holds without one."""


def settings_of(options: dict[str, Any]) -> "tuple[Settings, OutputManager]":
    """Settings and output folder from a command's options, by their parameter names. Raises `UsageError`."""
    from daf.evaluation import Settings
    from daf.game.outcome import SLOW_STEP_MS

    if not 0 < options["alpha"] < 1:
        raise UsageError(f"--alpha {options['alpha']:g} is outside 0 to 1.")
    output, config = open_output(options["output_dir"], verbose=options["verbose"], quiet=options["quiet"])
    values = {name: options[name] for name in _SETTINGS}
    if values["jobs"] == "auto" and "max_parallel_jobs" in config.model_fields_set:
        values["jobs"] = config.parallel_jobs()
    settings = Settings(
        gpu_allowed=config.enable_gpu,
        gpu_memory_fraction=config.gpu_memory_fraction,
        slow_step_ms=options["enforce_timeouts"] or SLOW_STEP_MS,
        use_cache=not options["no_cache"],
        report=not options["no_report"],
        **values,
    )
    return settings, output
