"""What is kept of a sweep that ends: the best checkpoints, and what a reader must know."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from daf.config.sweep import DAFSweepConfig
from daf.sweeps.held_out import candidates
from daf.sweeps.result import SweepResult, SweepTrialResult


def notes_of(result: SweepResult, config: DAFSweepConfig) -> list[str]:
    """What a reader must know about a sweep that ended."""
    notes = []
    failed = result.failed
    if failed:
        reasons: dict[str, int] = {}
        for trial in failed:
            reasons[trial.reason or "?"] = reasons.get(trial.reason or "?", 0) + 1
        most, count = max(reasons.items(), key=lambda item: item[1])
        notes.append(
            f"{len(failed)} of {len(result.trials)} trials failed; {count} of them: {most} They count nowhere as 0."
        )
    if not result.finished:
        notes.append("No trial is complete, so none is best.")
        return notes
    values = {trial.values for trial in result.finished}
    if len(values) == 1 and len(result.finished) > 1:
        notes.append("Every complete trial has the same value: this search space makes no difference here.")
    held = result.held_out
    if held is not None:
        notes += [entry["sentence"] for entry in held["trials"] if entry.get("sentence")]
        if held["default"] is None:
            notes.append(f"The default configuration has no result: {held['default_failed']}")
        if config.training is not None:
            notes.append(
                "Each configuration was trained once; how much another training of it would differ is not in these "
                "intervals."
            )
    return notes


def prune(run_dir: Path, config: DAFSweepConfig, results: Mapping[int, SweepTrialResult], *, keep: int) -> None:
    """Delete the checkpoints of complete trials that are not among the best; stopped and failed ones keep theirs."""
    if config.training is None:
        return
    way = config.objectives[0].direction if config.objectives else config.optimize_direction
    ranked = SweepResult(directions=(way,), trials=[results[n] for n in sorted(results)])
    kept = {trial.checkpoint for trial in [*candidates(ranked, keep), *ranked.top_trials(keep)]} if keep else set()
    front = SweepResult(directions=tuple(o.direction for o in config.objectives or ()) or (way,), trials=ranked.trials)
    if keep and len(front.directions) > 1:
        kept |= {trial.checkpoint for trial in front.pareto_trials()}
    for trial in ranked.finished:
        if trial.checkpoint is not None and trial.checkpoint not in kept and trial.run_dir is not None:
            shutil.rmtree(Path(trial.run_dir) / "checkpoints", ignore_errors=True)
