"""Deletion of the checkpoints of trials that are not among the best."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daf.config.sweep import DAFSweepConfig
from daf.storage.containment import inside
from daf.sweeps._trial import TRIALS
from daf.sweeps.held_out_summary import machine_failed
from daf.sweeps.result import SweepResult
from daf.sweeps.training_seeds_summary import winner_over_seeds
from daf.sweeps.trial_result import SweepTrialResult, best_configurations, ranked


def prune(
    run_dir: Path,
    config: DAFSweepConfig,
    results: Mapping[int, SweepTrialResult],
    *,
    keep: int,
    held_out: Mapping[str, Any] | None = None,
) -> None:
    """Delete the checkpoints of complete trials that are not among the best; stopped and failed trials keep theirs.

    held_out: the record. Its winner keeps its checkpoint, as do the trials that are still to be played on held-out
    seeds.
    """
    if config.training is None:
        return
    way = config.objectives[0].direction if config.objectives else config.optimize_direction
    best = ranked(results.values(), way)
    kept = {t.checkpoint for t in [*best_configurations(best, way, keep), *best[:keep]]} if keep else set()
    directions = tuple(objective.direction for objective in config.objectives or ())
    if keep and len(directions) > 1:
        kept |= {trial.checkpoint for trial in SweepResult(directions=directions, trials=best).pareto_trials()}
    if held_out is not None:
        winners = (held_out["winner"], winner_over_seeds(held_out))
        kept |= {results[n].checkpoint for n in (*winners, *machine_failed(held_out)) if n in results}
    for trial in best:
        if trial.checkpoint is not None and trial.checkpoint not in kept:
            own = inside(run_dir, TRIALS, f"{trial.trial_id:04d}")
            for folder in (own, *own.parent.glob(f"{own.name}-seed-*")):
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
