"""The outcome of a training run, its progress on the way, and the outcome that an earlier call left behind.

Importing this module does not import torch.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from daf.config.training import DAFTrainingConfig
from daf.core import training_file
from daf.core._episode_scores import EpisodeScores
from daf.core.learning_verdict import read_learning_verdict
from daf.errors import CheckpointError, DamagedFileError
from daf.storage import reading

logger = logging.getLogger(__name__)


class StopTraining(Exception):
    """Raised by a callback to stop training with a checkpoint, as with `stop_at`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a callback receives after every update. metrics: as in metrics.jsonl."""

    steps: int
    updates: int
    total_timesteps: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingResult(Mapping[str, Any]):
    """The state of a run; also a mapping of `to_data` and `scores`, and accepted wherever a run directory is.

    status: done, stopped (by `stop_at` or a callback), interrupted (Ctrl-C), failed.
    final_checkpoint: the last checkpoint, with trained weights; None if no update finished. metrics: of the last
    update. evaluation: the last one, as in evaluations.jsonl. error: type and message, if the run failed; machine:
    whether retrying may help. lost_trackers: why each tracker was dropped, by name. scores: of the episodes, with the
    keys of `EpisodeScores` (episodes, avg_reward, best_reward, completion_rate, task_performance). learned: whether the
    policy is better than before training and than `random`, as `LearningVerdict.to_data`.
    """

    status: str
    run_dir: Path
    run_id: str
    steps: int
    updates: int
    total_timesteps: int
    final_checkpoint: Path | None
    metrics: dict[str, float]
    evaluation: dict[str, Any] | None
    wall_seconds: float
    error: dict[str, str] | None = None
    machine: bool = False
    lost_trackers: dict[str, str] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    ranks: int = 1

    def __fspath__(self) -> str:
        return str(self.run_dir)

    def __getitem__(self, name: str) -> Any:
        return self._by_name()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def _by_name(self) -> dict[str, Any]:
        mean = None if self.evaluation is None else self.evaluation["mean"]
        places = {"run_id": self.run_id, "run_dir": str(self.run_dir)}
        return {**places, **self.to_data(), "mean_reward": mean}

    @property
    def report(self) -> Path | None:
        """The report in the run directory, if there is one."""
        from daf.render.pages.files import HTML

        path = self.run_dir / HTML
        return path if path.is_file() else None

    @property
    def ending(self) -> str:
        """The status for execution logs, in which a run stopped on purpose is completed."""
        return "completed" if self.status in ("done", "stopped") else self.status

    def to_data(self) -> dict[str, Any]:
        """As in training.json; paths inside the run directory are relative to it."""
        final = self.final_checkpoint
        if final is not None and final.is_relative_to(self.run_dir):
            final = final.relative_to(self.run_dir)
        return {
            "status": self.status,
            "steps": self.steps,
            "updates": self.updates,
            "total_timesteps": self.total_timesteps,
            "final_checkpoint": None if final is None else str(final),
            "wall_seconds": self.wall_seconds,
            "metrics": self.metrics,
            "evaluation": self.evaluation,
            "learned": self.learned,
            "error": self.error,
            "machine": self.machine,
            "ranks": self.ranks,
            "lost_trackers": self.lost_trackers,
            "hyperparameters": self.hyperparameters,
            **self.scores,
        }


class _Stored(TypedDict):
    """The stored form of `TrainingResult.to_data`."""

    status: str
    steps: int
    updates: int
    total_timesteps: int
    final_checkpoint: str | None
    wall_seconds: float
    metrics: dict[str, float]
    evaluation: dict[str, Any] | None
    lost_trackers: dict[str, str]
    hyperparameters: dict[str, Any]
    ranks: NotRequired[int]


def finished_result(
    run_dir: Path, run_id: str, config: DAFTrainingConfig, stop_at: int | None = None
) -> TrainingResult | None:
    """The result of a run with nothing left to do, read from its run directory; None if training is not finished.

    The run is done, or was stopped at or after `stop_at`, and its last checkpoint is intact. Imports torch.
    """
    from daf.core import checkpoints

    try:
        stored = reading.read_json(run_dir / training_file.FILE, _Stored, limit=training_file.MOST_BYTES)
    except DamagedFileError as error:
        logger.warning("%s Training resumes from the last checkpoint.", error)
        return None
    if stored is None or stored["total_timesteps"] != config.total_timesteps or stored["final_checkpoint"] is None:
        return None
    final = run_dir / stored["final_checkpoint"]  # stays absolute if it is: checkpoint_dir may be elsewhere
    stopped = stored["status"] == "stopped" and stop_at is not None and stored["steps"] >= stop_at
    if not (stored["status"] == "done" or stopped):
        return None
    scores = EpisodeScores()
    try:
        checkpoints.verify(final)
        scores.restore(checkpoints.load_state(final).get("tally"))
    except CheckpointError as error:
        logger.warning("%s Training resumes from the last intact checkpoint.", error)
        return None
    return TrainingResult(
        status=stored["status"],
        run_dir=run_dir,
        run_id=run_id,
        steps=stored["steps"],
        updates=stored["updates"],
        total_timesteps=stored["total_timesteps"],
        final_checkpoint=final,
        metrics=stored["metrics"],
        evaluation=stored["evaluation"],
        wall_seconds=stored["wall_seconds"],
        lost_trackers=stored["lost_trackers"],
        hyperparameters=stored["hyperparameters"],
        scores=scores.results(),
        learned=read_learning_verdict(run_dir).to_data(),
        ranks=stored.get("ranks", 1),
    )
