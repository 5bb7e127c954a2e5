"""Python API of sweeps: the functions behind `daf.sweeps`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config import memory
from daf.config.sweep import DAFSweepConfig, Strategy
from daf.config.training import Scalar
from daf.core.search.space import space_of
from daf.errors import UsageError
from daf.playing.settings import DEFAULT_GPU_MEMORY_FRACTION
from daf.storage.console_tables import show
from daf.sweeps.held_out_summary import held_out_of
from daf.sweeps.operation import launch
from daf.sweeps.result import SweepResult
from daf.sweeps.strategies import Proposer
from daf.sweeps.training_seeds_summary import winner_over_seeds

if TYPE_CHECKING:
    from rich.console import Console

    from daf.output_manager import OutputManager


def daf_launch_sweep(
    config: DAFSweepConfig | str | os.PathLike[str],
    *,
    output_manager: "OutputManager | None" = None,
    jobs: int | str = "auto",
    executor: str = "local",
    cluster: ClusterOptions = THIS_MACHINE,
    use_cache: bool = True,
    gpu_allowed: bool = True,
    gpu_memory_fraction: float = DEFAULT_GPU_MEMORY_FRACTION,
    new: bool = False,
    save_replays: str = "best",
    console: "Console | None" = None,
) -> SweepResult:
    """Run the sweep that `config` (or the file at that path) describes; the same call again continues it.

    Every trial plays the same episodes. gpu_allowed: whether the configured device may be a GPU. gpu_memory_fraction:
    share of the GPU memory for each process that plays episodes. new: start over. save_replays: which episodes of the
    best trials to record ("none", "best" of each mission, "all"). Failed trials are in the result with their reasons.
    """
    from daf.output_manager import OutputManager

    chosen = config if isinstance(config, DAFSweepConfig) else config_from_file(Path(config))
    result = launch(
        chosen,
        output=output_manager or OutputManager(),
        jobs=jobs,
        executor=executor,
        cluster=cluster,
        use_cache=use_cache,
        gpu_allowed=gpu_allowed,
        gpu_memory_fraction=gpu_memory_fraction,
        new=new,
        save_replays=save_replays,
    )
    result.print_summary(console)
    return result


def config_from_file(path: Path) -> DAFSweepConfig:
    """The sweep that a YAML or JSON file describes. Raises `ConfigError`, `StorageError`."""
    return DAFSweepConfig.from_json(path) if path.suffix == ".json" else DAFSweepConfig.from_yaml(path)


class BestConfig(dict[str, Scalar]):
    """The best hyperparameters by name, equal to `.hyperparameters`.

    trial: the number of the trial. value: its objective. held_out: its objective on held-out seeds. default: objective
    of the default configuration there. The last two are None if held-out episodes were not played.
    """

    trial: int
    value: float
    held_out: float | None
    default: float | None

    @property
    def hyperparameters(self) -> dict[str, Scalar]:
        return dict(self)


def daf_sweep_best_config(result: SweepResult, *, console: "Console | None" = None) -> BestConfig:
    """The hyperparameters to use: of the trial that won over training seeds, else on held-out seeds, else in the sweep.

    Raises `DataError` if no trial is complete.
    """
    best = result.get_best_trial()
    over_seeds = winner_over_seeds(result.held_out)
    winner = over_seeds if over_seeds is not None else (result.held_out or {}).get("winner")
    if winner is not None:
        best = next(trial for trial in result.trials if trial.trial_id == winner)
    found = BestConfig(best.hyperparameters)
    found.trial, found.value = best.trial_id, best.values[0]
    there = held_out_of(result.held_out, best.trial_id)
    default = (result.held_out or {}).get("default")
    found.held_out = None if there is None else there["value"]
    found.default = None if default is None else default["value"]
    show(console, f"Trial {found.trial} of {result.name}: {result.objectives[0]} {found.value:.4g}", dict(found))
    return found


def daf_sweep_status(path: str | os.PathLike[str], *, console: "Console | None" = None) -> dict[str, Any]:
    """Progress of the sweep in a run directory: status, counts by trial status, planned, the best so far (or None)."""
    result = SweepResult.load(Path(path))
    best = result.top_trials(1)
    status = {
        "run_id": result.run_id,
        "run_dir": str(result.run_dir),
        "name": result.name,
        "status": result.status,
        "strategy": result.strategy,
        "planned": result.planned,
        "trials": result.counts(),
        "best": best[0].to_data() if best else None,
    }
    shown = {"best trial": best[0].trial_id, "value": best[0].primary_metric} if best else {}
    show(console, f"Sweep {result.name}", status | shown, without=("name", "best"))
    return status


def daf_grid_search(search_space: Mapping[str, Any], *, console: "Console | None" = None) -> list[dict[str, Scalar]]:
    """Every configuration of a space as in `DAFSweepConfig.search_space`, the last name changing fastest."""
    config = _space_config(search_space, "grid")
    space = space_of(config.search_space)
    Proposer(config, space, ["maximize"])
    cells = list(space.cells())
    show(console, f"Grid of {len(cells)} configurations", cells)
    return cells


def daf_random_search(
    space: Mapping[str, Any], num_samples: int, seed: int = 42, *, console: "Console | None" = None
) -> list[dict[str, Scalar]]:
    """`num_samples` random configurations of a space; the same for the same seed."""
    if num_samples < 1:
        raise UsageError(f"num_samples {num_samples} is below 1.")
    memory.require(
        num_samples * (256 + 64 * len(space)),
        what=f"num_samples {num_samples:,} of a space of {len(space)} names",
        way_out="Choose fewer samples.",
    )
    config = _space_config(space, "random", num_trials=num_samples, seed=seed)
    proposer = Proposer(config, space_of(config.search_space), ["maximize"])
    samples = [dict(proposer.next(number, []).hyperparameters) for number in range(num_samples)]
    show(console, f"{num_samples} random configurations", samples)
    return samples


def _space_config(search_space: Mapping[str, Any], strategy: Strategy, **fields: Any) -> DAFSweepConfig:
    return DAFSweepConfig(
        name="space",
        missions=["arena"],
        policy_class_path="noop",
        search_space=dict(search_space),
        strategy=strategy,
        **fields,
    )
