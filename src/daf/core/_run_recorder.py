"""What a training run writes and shows as it trains: metrics, evaluations, sampled logs, and progress on a console.

Everything recorded after the checkpoint that a run resumes from is removed first, so that the files become those of an
uninterrupted run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daf.config.training import DAFTrainingConfig
from daf.core._learner import Learner
from daf.core._system_metrics import MemoryWatch, SystemMetrics
from daf.core._training_logs import TrainingLogs
from daf.core.tracking import TrackedRun, trackers
from daf.core.training_progress import ShowsProgress

MEMORY_LIMIT = 0.95
"""The fraction of the machine's memory above which a run saves and stops."""


class RunRecorder:
    """The records of the run in `run_dir`.

    Raises `UsageError` for trackers that can't be used. progress: shown in addition. status: passed to the trackers
    when recording ends; "failed" until the caller sets it.
    """

    def __init__(self, run_dir: Path, config: DAFTrainingConfig, device: str, progress: ShowsProgress) -> None:
        self._run_dir, self._device, self.progress = run_dir, device, progress
        self._trackers = trackers(config.trackers, run_dir, config.tracker_options)
        self.status = "failed"

    @property
    def lost_trackers(self) -> dict[str, str]:
        """Why each tracker was dropped, by name."""
        return dict(self._trackers.lost)

    @contextmanager
    def recording(
        self, facts: TrackedRun, resumed_at: int | None, memory_is_short: Callable[[], None]
    ) -> Iterator[None]:
        """Record during this block, after step `resumed_at` (None: a new run).

        memory_is_short: called once when memory use exceeds `MEMORY_LIMIT`. Raises `DAFError` if a tracker can't start,
        `StorageError`.
        """
        self.status = "failed"
        self._trackers.start(facts, resumed_at)
        try:
            self._logs = TrainingLogs(self._run_dir, resumed_at)
            self._system = SystemMetrics(self._device)
            self._watch = MemoryWatch(MEMORY_LIMIT, "a checkpoint is saved and training stops", memory_is_short)
            with self.progress:
                yield
        finally:
            self._trackers.close(self.status)

    def update(self, learner: Learner, values: Mapping[str, float]) -> dict[str, float]:
        """Record an update of `learner` with its metrics; returns them with those of the machine."""
        metrics = {**values, **self._system.read()}
        self._logs.add(learner.records)
        learner.records.clear()
        self._trackers.log(learner.steps, {"update": learner.updates, **metrics})
        self.progress.update(learner.steps, metrics)
        self._watch.check()
        return metrics

    def sync(self, steps: int, *, final: bool) -> None:
        """Before a checkpoint at `steps`: write what a run that resumes from it will not record again."""
        self._trackers.sync()
        self._logs.flush(steps, final=final)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Record an evaluation, as in evaluations.jsonl."""
        self._trackers.evaluation(step, record)
        self.progress.evaluation(record)

    def evaluated(self, step: int) -> bool:
        """Whether the evaluation at `step` is recorded."""
        return self._trackers.evaluated(step)
