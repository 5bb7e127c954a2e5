"""The episodes behind a trial's value: which they are, their recordings, and the command that plays them.

Recordings of the best trials lie in `replays/trial_NNNN` of the sweep's directory. Everything is found from the trial's
result and these files; an episode without a recording has none here, and `evaluate_command` records it.

Not available for trials of older sweeps, whose results do not name their missions and episodes.
"""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.config.sweep import DAFSweepConfig
from daf.episodes.cache import link_or_copy
from daf.episodes.metrics_values import value
from daf.episodes.record import EpisodeRecord
from daf.playing.run import is_recording_of, recording_name
from daf.render.replays.players import player_of, recordings
from daf.storage.containment import inside
from daf.sweeps._trial import TrialRunner
from daf.sweeps.playing import Episodes, TrialFailed, TrialPlayer
from daf.sweeps.trial_result import SweepTrialResult

logger = logging.getLogger(__name__)

REPLAYS = "replays"


@dataclass(frozen=True)
class TrialEpisode:
    """mission: as named in the sweep's file. seed: None if the sweep's file has none. value: the first objective.

    replay, player: relative to the sweep's directory, None where there is none.
    """

    mission: str
    index: int
    seed: int | None
    value: float | None
    replay: str | None = None
    player: str | None = None


def trial_episodes(
    trial: SweepTrialResult, run_dir: Path, config: Mapping[str, Any], recorded: Sequence[str] | None = None
) -> list[TrialEpisode]:
    """The episodes of `trial` in the order of missions and seeds. config: of the sweep. recorded: its `recordings`."""
    own = f"{REPLAYS}/{folder_name(trial)}/"
    files = [name for name in (recordings(run_dir) if recorded is None else recorded) if name.startswith(own)]
    first = config.get("seed", DAFSweepConfig.model_fields["seed"].default) if config else None
    found = []
    for mission, entry in trial.mission_results.items():
        keys = entry.get("keys") or ()
        for index, score in enumerate(entry.get("values") or ()):
            key = keys[index] if index < len(keys) else None
            replay = None if key is None else next((name for name in files if is_recording_of(name, key)), None)
            seed = first + index if isinstance(first, int) else None
            found.append(TrialEpisode(mission, index, seed, score, replay, player_of(run_dir, replay)))
    return found


def evaluate_command(trial: SweepTrialResult, config: Mapping[str, Any]) -> str | None:
    """The command that plays the trial's episodes, from the cache where they are there, and records all of them.

    None if the result does not name its missions, or if its checkpoint was deleted.
    """
    entries = list(trial.mission_results.values())
    if trial.policy is None or not entries or any("mission" not in entry for entry in entries):
        return None
    if trial.checkpoint is not None and not Path(trial.checkpoint).exists():
        return None
    fields = DAFSweepConfig.model_fields
    words = ["daf", "evaluate", "-p", trial.policy]
    for entry in entries:
        words += ["-m", str(entry["mission"])]
    words += [
        "-e",
        str(max(entry["n"] for entry in entries)),
        "--seed",
        str(config.get("seed", fields["seed"].default)),
    ]
    for name in ("game", "device"):
        if config.get(name, fields[name].default) != fields[name].default:
            words += [f"--{name}", str(config[name])]
    return shlex.join([*words, "--save-replays", "all"])


def folder_name(trial: SweepTrialResult) -> str:
    """The name of the directory of the trial's recordings."""
    return f"trial_{trial.trial_id:04d}"


def record_best(trials: Sequence[SweepTrialResult], runner: TrialRunner, player: TrialPlayer) -> None:
    """Record episodes of `trials`, as `save_replays` of the player's settings asks for.

    A trial whose episodes cannot be played any more is left out, with a warning. Raises `StorageError`.
    """
    which = player.settings.save_replays
    for trial in trials if which != "none" else ():
        if trial.checkpoint is not None and not Path(trial.checkpoint).exists():
            logger.warning("no recording of trial %d: its checkpoint was deleted", trial.trial_id)
            continue
        setting = runner.setting(dict(trial.hyperparameters))
        try:
            played = player.play(trial.policy or setting.policy, setting.missions, 0, runner.config.episodes_per_trial)
            wanted = _wanted(played, runner, everything=which == "all")
            paths = player.record([record for record, _ in wanted])
        except TrialFailed as error:
            logger.warning("no recording of trial %d: %s", trial.trial_id, error)
            continue
        for record, index in wanted:
            if record.spec.key in paths:
                target = inside(runner.run_dir, REPLAYS, folder_name(trial), recording_name(record, index))
                link_or_copy(paths[record.spec.key], target)


def _wanted(played: Episodes, runner: TrialRunner, *, everything: bool) -> list[tuple[EpisodeRecord, int]]:
    """The episodes to record, with their indices: all, or on each mission the best by the first objective's metric."""
    numbered = [[(record, index) for index, record in enumerate(records)] for records in played.values()]
    if everything:
        return [one for of_mission in numbered for one in of_mission]
    objective = runner.objectives[0]
    better = max if objective.direction == "maximize" else min
    return [better(of_mission, key=lambda one: value(one[0], objective.metric)) for of_mission in numbered]
