"""Evaluation of a run's checkpoints during training: when one is due, and where its results go."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from daf.config.training import DAFTrainingConfig
from daf.core.interval_evaluation import VALIDATION_SEED, evaluate_checkpoint
from daf.core.recorded_training import BASELINE, START, TEACHER
from daf.core.tracking import EVALUATIONS
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender
from daf.errors import DamagedFileError, StorageError
from daf.game import policies
from daf.game.mission import Mission
from daf.storage import atomic, journal
from daf.storage.reading import read_object

if TYPE_CHECKING:
    from daf.core._teachers import Teachers

logger = logging.getLogger(__name__)
_RESULT = "evaluation.json"


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, after]."""
    return before // every < after // every


def due(config: DAFTrainingConfig, step: int, rollout: int) -> bool:
    """Whether the settings ask for an evaluation after the update that ended at `step`; the last one is evaluated too.

    rollout: agent steps per update.
    """
    if config.eval_frequency is None:
        return False
    return crossed(step - rollout, step, config.eval_frequency) or step >= config.total_timesteps


def evaluate(
    checkpoint: Path,
    missions: Sequence[Mission],
    config: DAFTrainingConfig,
    *,
    step: int,
    update: int,
    run_dir: Path,
    cache_dir: Path,
    device: str,
    gpu_memory_fraction: float,
    start: str | None = None,
    teachers: "Teachers | None" = None,
) -> dict[str, Any]:
    """Evaluate `checkpoint`; returns the record for evaluations.jsonl, also stored in the checkpoint if it has a mean.

    The stored record ranks checkpoints (`score_of`). Replays go into `run_dir`. start: what the weights are, if
    training has not changed them yet; the record then has this name, and the scores of `BASELINE` and of the teachers
    on the same episodes.
    """
    others = {}
    if start is not None:
        baseline = policies.resolve(BASELINE, cache=EpisodeCache(cache_dir).bundles)
        others = {BASELINE: Contender(BASELINE, (baseline,))}
        if teachers is not None:
            others[TEACHER] = Contender(TEACHER, teachers.policies, teachers.counts)
    found = evaluate_checkpoint(
        checkpoint,
        missions,
        episodes=config.eval_episodes,
        cache_dir=cache_dir,
        seed=VALIDATION_SEED,
        replays=config.eval_replays,
        replay_dir=run_dir / "replays" / checkpoint.name,
        device=device,
        gpu_memory_fraction=gpu_memory_fraction,
        others=others,
    )
    record = {"step": step, "update": update, **found.to_data(run_dir)}
    if start is not None:
        record[START] = start
    if TEACHER in record and teachers is not None:
        record[TEACHER]["name"] = teachers.name
    if found.overall.mean is not None:
        atomic.write_json(checkpoint / _RESULT, record)
    return record


class _Evaluated(TypedDict):
    """The fields that are read from a line of `evaluations.jsonl`."""

    step: int


def last_evaluation(run_dir: Path, step: int) -> dict[str, Any] | None:
    """The run's last evaluation at or before `step`, None if there is none."""
    records = [record for record in journal.read(run_dir / EVALUATIONS, _Evaluated) if record["step"] <= step]
    return records[-1] if records else None


class _Scored(TypedDict):
    """The fields that are read from the evaluation stored in a checkpoint."""

    mean: float


def score_of(checkpoint: Path) -> float | None:
    """The mean return of the checkpoint's evaluation; None if there is none or it cannot be read."""
    try:
        found = read_object(checkpoint / _RESULT, _Scored)
    except (DamagedFileError, StorageError) as error:
        logger.warning("%s The checkpoint is treated as not evaluated.", error)
        return None
    return None if found is None else found["mean"]
