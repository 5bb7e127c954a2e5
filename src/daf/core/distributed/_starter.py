"""What the process that started a run does while ranks train it: show the run, call callbacks, record a lost end.

Importing this module imports torch.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daf.core import checkpoints, training_file
from daf.core.distributed._links import Decision, Ended, Evaluated, Hello, Logged, Message, Said, Updated
from daf.core.distributed.job import Job
from daf.core.learning_verdict import read_learning_verdict
from daf.core.training_result import StopTraining, TrainingResult
from daf.storage import atomic

if TYPE_CHECKING:
    from daf.core.training_loop import OnEvaluation, OnUpdate
    from daf.core.training_progress import TrainingProgress
    from daf.core.training_run import TrainingRun
    from daf.errors import TrainingError


class Follower:
    """Follows the messages of rank 0. ended: its last message, None until then."""

    def __init__(
        self,
        job: Job,
        progress: TrainingProgress,
        on_update: OnUpdate | None = None,
        on_evaluation: OnEvaluation | None = None,
    ) -> None:
        self._job, self._progress = job, progress
        self._on_update, self._on_evaluation = on_update, on_evaluation
        self._leader: object = None
        self.ended: Ended | None = None

    def handle(self, message: Message, sender: object) -> Decision | None:
        """Show a message of `sender`, one start of rank 0; returns the answer to `Updated`."""
        match message:
            case Updated():
                if sender != self._leader:
                    self._progress.restart(message.progress.steps)
                    self._leader = sender
                return self._updated(message)
            case Evaluated():
                self._progress.evaluation(message.record)
                if self._on_evaluation is not None:
                    self._on_evaluation(message.record)
            case Said():
                self._progress.say(message.text)
            case Logged():
                logging.getLogger(message.record.name).handle(message.record)
            case Ended():
                self.ended = message
            case Hello():
                pass
        return None

    def result(self) -> TrainingResult | None:
        """The run's result; None if rank 0 was lost before it could report one. Raises what ended rank 0."""
        if self.ended is None:
            return None
        if self.ended.error is not None:
            raise self.ended.error
        return self.ended.result

    def _updated(self, message: Updated) -> Decision:
        """Show an update and call the callback, which may stop the run or change its curriculum."""
        progress, curriculum = message.progress, self._job.curriculum
        self._progress.update(progress.steps, progress.metrics)
        if message.curriculum is not None:
            curriculum.load_state_dict(message.curriculum)
        before = None if message.curriculum is None else pickle.dumps(curriculum.state_dict())
        stop = False
        if self._on_update is not None:
            try:
                self._on_update(progress)
            except StopTraining:
                stop = True
        after = None if before is None else curriculum.state_dict()
        changed = after is not None and pickle.dumps(after) != before
        return Decision(stop, after if changed else None)


def job_of(run: TrainingRun, *, gpu_allowed: bool, stop_at: int | None, curriculum_followed: bool = False) -> Job:
    """What the ranks of an opened run need."""
    return Job(
        config=run.config,
        policy=run.policy,
        missions=run.missions,
        curriculum=run.curriculum,
        run_dir=run.run_dir,
        run_id=run.run_id,
        checkpoint_dir=run.checkpoint_dir,
        cache_dir=run.cache_dir,
        runs=run.runs,
        branch_from=run.branch_from,
        stop_at=stop_at,
        gpu_allowed=gpu_allowed,
        gpu_memory_fraction=run.gpu_memory_fraction,
        curriculum_followed=curriculum_followed,
    )


def record_lost_end(run: TrainingRun, status: str, error: TrainingError) -> TrainingResult:
    """Write the result of a run whose rank 0 could not record it: that of the last checkpoint."""
    last = checkpoints.latest(run.checkpoint_dir)
    facts: Mapping[str, Any] = {} if last is None else checkpoints.facts(last)
    kept = "No checkpoint has been saved." if last is None else f"The last good checkpoint is {last}."
    result = TrainingResult(
        status=status,
        run_dir=run.run_dir,
        run_id=run.run_id,
        steps=int(facts.get("steps", 0)),
        updates=int(facts.get("updates", 0)),
        total_timesteps=run.config.total_timesteps,
        final_checkpoint=last,
        metrics={name: value for name, value in facts.get("metrics", {}).items() if math.isfinite(value)},
        evaluation=run.evaluation,
        wall_seconds=float(facts.get("metrics", {}).get("clock/seconds", 0.0)),
        error={"type": type(error).__name__, "message": f"{error} {kept}"} if status == "failed" else None,
        machine=error.machine,
        hyperparameters=run.config.to_data(),
        learned=read_learning_verdict(run.run_dir).to_data(),
        ranks=int(facts.get("ranks", run.ranks)),
    )
    atomic.write_json(run.run_dir / training_file.FILE, {**result.to_data(), **run.described()})
    return result
