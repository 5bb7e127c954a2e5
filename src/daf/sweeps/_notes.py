"""Notes on a finished sweep for its reader."""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.config.sweep import DAFSweepConfig
from daf.stats.sentences import counted
from daf.sweeps._scale_names import scale_note
from daf.sweeps.held_out_summary import machine_failed
from daf.sweeps.result import SweepResult


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
            f"{len(failed)} of {len(result.trials)} trials failed; {count} of them: {most} They do not count as 0."
        )
    if result.infeasible:
        notes.append(
            f"{len(result.infeasible)} of {counted(len(result.trials), 'trial')} "
            f"{'is' if len(result.infeasible) == 1 else 'are'} infeasible and not ranked; the first, trial "
            f"{result.infeasible[0].trial_id}: {result.infeasible[0].reason}."
        )
    if not result.finished:
        notes.append("No trial is complete, so none is best.")
        return notes
    values = {trial.values for trial in result.finished}
    if len(values) == 1 and len(result.finished) > 1:
        notes.append("All complete trials have the same value, so the search space makes no difference here.")
    if scale := scale_note(config.normalise, len(config.missions), flat):
        notes.append(scale)
    held = result.held_out
    if held is not None:
        notes += [entry["sentence"] for entry in held["trials"] if entry.get("sentence")]
        notes += _without_result(held)
        if (over_seeds := held.get("training_seeds")) is not None:
            notes += over_seeds["sentences"]
        elif config.training is not None:
            notes.append(
                "Each configuration was trained once; these intervals do not include how much another "
                "training run of it would differ. train_seeds: 5 trains each of the best ones five times more."
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
        notes.append("The machine failed during held-out episodes; the same command plays the missing ones.")
    return notes
