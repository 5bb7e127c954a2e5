"""Feedback that changes a curriculum, recorded in the journal of an experiment.

The experiment is found by its id, or created by the first feedback; until then nothing is written. A trainer uses this
part of `DAFAdaptiveController`, which adds the training runs.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from daf.core.adaptive.config import DAFAdaptiveConfig, differences
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.feedback import SUPPORT, Adjustable, Adjustment, Feedback
from daf.core.adaptive.record import Record, beginning
from daf.core.adaptive.status import TITLE, find
from daf.core.curriculum.interface import Task
from daf.errors import UsageError
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import OutputManager, RunInfo

logger = logging.getLogger(__name__)
OPERATION = "training"


class RecordedFeedback:
    """Feedback to a curriculum, as part of the experiment that `config` describes; see `DAFAdaptiveController`."""

    def __init__(
        self,
        config: DAFAdaptiveConfig,
        *,
        output: "OutputManager | None" = None,
        curriculum_manager: Adjustable | None = None,
    ) -> None:
        from daf.output_manager import OutputManager

        self.config = config
        self._output = output or OutputManager()
        self._record: Record | None = None
        self._feedback = Feedback(
            curriculum_manager,
            window=config.evidence_window,
            enabled=config.enable_curriculum_learning,
            note=self._note_adjustment,
        )

    def update_from_training_results(self, results: Mapping[str, Any]) -> Adjustment | None:
        """Add a training result: its mean return ("score", "episode/return", …), and its task if it names one.

        Returns the change to the curriculum that the evidence called for, None if it called for none.
        """
        return self._feedback.take(results, "the return in training")

    def update_from_evaluation(self, results: Mapping[str, Any]) -> Adjustment | None:
        """As `update_from_training_results`, for an evaluation."""
        return self._feedback.take(results, "the evaluated return")

    def use_curriculum(self, curriculum_manager: Adjustable) -> None:
        """Let feedback change this curriculum, unless the controller already has one."""
        if not self._feedback.follows:
            self._feedback.follow(curriculum_manager)

    def set_current_task(self, task_id: str | Task) -> None:
        """Attribute results that name no task to this one. Raises `UsageError` if the curriculum has no such task."""
        self._feedback.choose(task_id.key if isinstance(task_id, Task) else task_id)

    def increase_task_difficulty(self, why: str = "asked for") -> str | None:
        """Switch from the current task to the easiest task that is harder; returns its key.

        Returns None, with the reason in the log and the journal, if there is no harder task or no current one.
        """
        return self._feedback.harder(why).task

    def increase_curriculum_difficulty(self, why: str = "asked for") -> Adjustment:
        """Ask the curriculum for harder tasks."""
        return self._feedback.adjust("increase_curriculum_difficulty", ("harder",), why)

    def decrease_curriculum_difficulty(self, why: str = "asked for") -> Adjustment:
        """Ask the curriculum for easier tasks."""
        return self._feedback.adjust("decrease_curriculum_difficulty", ("easier",), why)

    def provide_curriculum_support(self, why: str = "asked for") -> Adjustment:
        """Ask the curriculum to recover as its evidence suggests, else with easier tasks, else by exploring again."""
        return self._feedback.adjust("provide_curriculum_support", SUPPORT, why)

    def close(self) -> None:
        """Release the experiment so that another controller can take it."""
        if self._record is not None:
            self._output.log_operation_complete(OPERATION)
            self._close_record()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> Record:
        """The experiment's journal, held by this controller; found by its id, or created."""
        if self._record is not None:
            return self._record
        with beginning(self._output.base_dir):
            found = find(self.config.experiment_id, self._output.base_dir)
            record = None if found is None else self._reopened(found)
            if record is None:
                record = Record(self._start_operation())
                record.begin(self.config.experiment_id, self.config.to_data())
        self._record = record
        return record

    def _reopened(self, found: "RunInfo") -> Record | None:
        """The journal of an existing experiment; None if a new one may replace it.

        That is the case if the configuration differs and the experiment failed before any run trained; it is left as it
        is.
        """
        record = Record(found.path)
        try:
            experiment = record.experiment
            changed = differences(dict(experiment.config), self.config.to_data())
            if changed and experiment.status == "failed" and not any(run.steps for run in experiment.runs.values()):
                record.close()
                return None
            if changed:
                raise AdaptiveControllerError(
                    f"experiment {self.config.experiment_id} in {found.path} was started with another configuration: "
                    f"{'; '.join(changed[:8])}. Choose another experiment_id for the new one."
                )
            self._output.resume(found.run_id, OPERATION, take_over=True)  # this controller holds the controller's lock
            self._start_operation()
        except BaseException:
            record.close()
            raise
        return record

    def _start_operation(self) -> Path:
        title = TITLE.format(experiment_id=self.config.experiment_id, scheduler=self.config.scheduler)
        details = {"experiment_id": self.config.experiment_id}
        config = self.config.to_data()
        try:
            return self._output.log_operation_start(OPERATION, details, title=title, config=config)
        except UsageError:  # already running: the session belongs to the trainer whose results this controller receives
            self._output = self._output.another_session()
            return self._output.log_operation_start(OPERATION, details, title=title, config=config)

    def _note_adjustment(self, adjustment: Adjustment) -> None:
        level = logging.INFO if adjustment.changed else logging.WARNING
        logger.log(level, "curriculum: %s (%s): %s", adjustment.what, adjustment.why, adjustment.reason)
        self._opened().add("adjusted", **jsonable(asdict(adjustment)))

    def _close_record(self) -> None:
        if self._record is not None:
            self._record.close()
            self._record = None
