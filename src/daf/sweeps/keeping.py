"""What a finished sweep keeps: its best trials, their checkpoints, and notes for the reader."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.config.sweep import DAFSweepConfig
from daf.storage.containment import inside
from daf.storage.hashing import canonical_json
from daf.sweeps._scale_words import scale_note
from daf.sweeps._trial import TRIALS
from daf.sweeps.held_out_words import machine_failed
from daf.sweeps.result import SweepResult, SweepTrialResult


def candidates(result: SweepResult, most: int) -> list[SweepTrialResult]:
    """The `most` best complete trials with distinct configurations."""
    found: dict[bytes, SweepTrialResult] = {}
    for trial in result.top_trials(len(result.trials)):
        if len(found) == most:
            break
        found.setdefault(canonical_json(dict(trial.hyperparameters)), trial)
    return list(found.values())


def notes_of(result: SweepResult, config: DAFSweepConfig, flat: Sequence[str] = ()) -> list[str]:
    """Notes on a finished sweep. flat: missions on which all episodes of the default have the same value."""
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
    if scale := scale_note(config.normalise, len(config.missions), flat):
        notes.append(scale)
    held = result.held_out
    if held is not None:
        notes += [entry["sentence"] for entry in held["trials"] if entry.get("sentence")]
        notes += _without_result(held)
        if config.training is not None:
            notes.append(
                "Each configuration was trained once; how much another training of it would differ is not in these "
                "intervals."
            )
    return notes


def _without_result(held: Mapping[str, Any]) -> list[str]:
    """The trials without a result on held-out seeds, with the reason."""
    notes = []
    default = held["default"]
    if default is None:
        notes.append(f"The default configuration has no result: {held['default_failed']}")
    elif default["error"] is not None:
        notes.append(
            "The default configuration has no result on held-out seeds, so no trial is compared with it: "
            f"{default['error']}"
        )
    notes += [
        f"Trial {entry['trial']} has no result on held-out seeds: {entry['error']}"
        for entry in held["trials"]
        if entry.get("error") is not None
    ]
    if machine_failed(held):
        notes.append("The machine was at fault on held-out seeds: the same command again plays what is missing.")
    return notes


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
    ranked = SweepResult(directions=(way,), trials=[results[n] for n in sorted(results)])
    kept = {trial.checkpoint for trial in [*candidates(ranked, keep), *ranked.top_trials(keep)]} if keep else set()
    front = SweepResult(directions=tuple(o.direction for o in config.objectives or ()) or (way,), trials=ranked.trials)
    if keep and len(front.directions) > 1:
        kept |= {trial.checkpoint for trial in front.pareto_trials()}
    if held_out is not None:
        kept |= {results[n].checkpoint for n in (held_out["winner"], *machine_failed(held_out)) if n in results}
    for trial in ranked.finished:
        if trial.checkpoint is not None and trial.checkpoint not in kept:
            shutil.rmtree(inside(run_dir, TRIALS, f"{trial.trial_id:04d}", "checkpoints"), ignore_errors=True)
