"""Pipelines of a usual form, as Python functions. Each is a `DAFPipelineConfig` that `daf pipeline run` could run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config import DAFDeploymentConfig, DAFPipelineConfig, DAFSweepConfig, DAFTrainingConfig
from daf.config.base import ConfigModel
from daf.errors import ConfigError
from daf.orchestrators.result import PipelineResult
from daf.orchestrators.run import run_pipeline
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console


def daf_run_pipeline(
    config: DAFPipelineConfig | Mapping[str, Any] | str | Path,
    *,
    from_stage: str | None = None,
    only: str | None = None,
    executor: str | None = None,
    dry_run: bool = False,
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> PipelineResult:
    """Run a pipeline: a configuration, its fields, or its YAML or JSON file. The arguments are those of `run_pipeline`.

    Raises `ConfigError` before the first stage runs, `UsageError`, `StorageError`; `Interrupted` after Ctrl-C.
    """
    from daf.output_manager import OutputManager

    chosen = pipeline_config(config)
    result = run_pipeline(
        chosen, output=OutputManager(output_dir), from_stage=from_stage, only=only, executor=executor, dry_run=dry_run
    )
    show(console, f"Pipeline {result.pipeline_name}", result)
    return result


def pipeline_config(config: DAFPipelineConfig | Mapping[str, Any] | str | Path) -> DAFPipelineConfig:
    """The configuration that is given, also as fields or as a file. Raises `ConfigError`, `StorageError`."""
    if isinstance(config, DAFPipelineConfig):
        return config
    if isinstance(config, Mapping):
        return DAFPipelineConfig(**config)
    path = Path(config).expanduser()
    if not path.is_file():
        raise ConfigError(f"{path}: no such file.")
    return DAFPipelineConfig.from_yaml(path)


def daf_run_training_pipeline(
    training: DAFTrainingConfig | Mapping[str, Any],
    *,
    missions: Sequence[str] = (),
    episodes: int = 20,
    baselines: Sequence[str] = ("random",),
    package: bool = False,
    name: str = "training",
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> PipelineResult:
    """Train a policy, then compare it with `baselines` on `missions` (default: those of the training).

    package: also write its bundle. Raises as `daf_run_pipeline`.
    """
    content = _fields(training)
    where = list(missions) or DAFTrainingConfig(**content).missions
    if not where:
        raise ConfigError("the training names no mission to compare on; give missions=[…].")
    trained = "${stages.train.policy}"
    stages: list[dict[str, Any]] = [
        {"use": "train", "config": content},
        {"use": "compare", "options": {"policy": [trained, *baselines], "mission": where, "episodes": episodes}},
    ]
    if package:
        stages.append({"use": "package", "options": {"policy": trained, "results": "${stages.compare.run_id}"}})
    return daf_run_pipeline({"name": name, "stages": stages}, output_dir=output_dir, console=console)


def daf_run_sweep_pipeline(
    sweep: DAFSweepConfig | Mapping[str, Any],
    *,
    episodes: int = 20,
    baselines: Sequence[str] = ("random",),
    name: str = "sweep",
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> PipelineResult:
    """Run a sweep, then compare the policy of its best trial with `baselines` on the sweep's missions.

    Raises as `daf_run_pipeline`.
    """
    content = _fields(sweep)
    options = {
        "policy": ["${stages.sweep.best}", *baselines],
        "mission": list(DAFSweepConfig(**content).missions),
        "episodes": episodes,
    }
    stages = [{"use": "sweep", "config": content}, {"use": "compare", "options": options}]
    return daf_run_pipeline({"name": name, "stages": stages}, output_dir=output_dir, console=console)


def daf_run_comparison_pipeline(
    policies: Sequence[str],
    missions: Sequence[str],
    *,
    episodes_per_mission: int = 20,
    deployment: DAFDeploymentConfig | Mapping[str, Any] | None = None,
    name: str = "comparison",
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> PipelineResult:
    """Compare policies, and analyze how the best of them fails. deployment: then package and deploy as it says.

    Raises as `daf_run_pipeline`.
    """
    best = "${stages.compare.best}"
    stages: list[dict[str, Any]] = [
        {
            "use": "compare",
            "options": {"policy": list(policies), "mission": list(missions), "episodes": episodes_per_mission},
        },
        {
            "use": "analyze policy",
            "name": "analyze",
            "options": {"policy": best, "mission": list(missions), "episodes": episodes_per_mission},
        },
    ]
    if deployment is not None:
        stages.append({"use": "deploy", "config": _fields(deployment), "needs": ["compare"]})
    return daf_run_pipeline({"name": name, "stages": stages}, output_dir=output_dir, console=console)


def daf_run_benchmark_pipeline(
    policies: Sequence[str],
    missions: Sequence[str],
    episodes_per_mission: int = 20,
    *,
    pool: Sequence[str] = ("random",),
    name: str = "benchmark",
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> PipelineResult:
    """Compare policies, and compute each one's value over replacement in teams with `pool`, on the same missions.

    With one policy, it is compared with `pool`. Raises as `daf_run_pipeline`.
    """
    contenders = list(dict.fromkeys([*policies, *(pool if len(policies) == 1 else ())]))
    shared = {"mission": list(missions), "episodes": episodes_per_mission}
    stages: list[dict[str, Any]] = [{"use": "compare", "options": {"policy": contenders, **shared}}]
    for number, policy in enumerate(policies, 1):
        others = [other for other in pool if other != policy]
        if others:
            options = {"candidate": policy, "pool": others, **shared}
            stages.append({"use": "score", "name": f"score-{number}", "options": options})
    return daf_run_pipeline({"name": name, "stages": stages}, output_dir=output_dir, console=console)


def _fields(config: ConfigModel | Mapping[str, Any]) -> dict[str, Any]:
    return config.given_data() if isinstance(config, ConfigModel) else dict(config)
