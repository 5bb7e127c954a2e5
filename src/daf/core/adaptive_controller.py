"""`DAFAdaptiveController`: an experiment of many training runs under one id, and feedback that changes a curriculum.

The experiment's journal is the only source of truth. After Ctrl-C, a crash or a power cut, `start_experiment` resumes
from it without losing or repeating a run; a second controller for the same experiment is refused. Changes made by the
feedback methods, and the numbers that they are based on, are recorded in the same journal.

Not guaranteed: two machines that control one experiment on a shared file system without `flock`.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from daf.core.adaptive import finishing, targets
from daf.core.adaptive.commands import Commands, DafCommands
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.dispatching import runner_for
from daf.core.adaptive.errors import AdaptiveControllerError, ExperimentSettingsError, TrainingEnvironmentError
from daf.core.adaptive.feedback import Adjustable, Adjustment
from daf.core.adaptive.hooks import Hooks
from daf.core.adaptive.record import Record, controlled, read, request_stop
from daf.core.adaptive.recorded_feedback import OPERATION, RecordedFeedback
from daf.core.adaptive.running import Running
from daf.core.adaptive.schedulers import Scheduler, Wanted, scheduler_of
from daf.core.adaptive.state import Experiment, Run
from daf.core.adaptive.status import ExperimentStatus, find, not_started
from daf.core.jobs.interface import JobRunner
from daf.errors import DAFError, Interrupted, UsageError

if TYPE_CHECKING:
    from daf.core.rl_trainer import DAFRlTrainer
    from daf.output_manager import OutputManager

__all__ = [
    "AdaptiveControllerError",
    "DAFAdaptiveConfig",
    "DAFAdaptiveController",
    "ExperimentStatus",
    "Hooks",
    "TrainingEnvironmentError",
]


class Trains(Protocol):
    """The methods of a trainer that `run_with_environment` needs; `DAFRlTrainer` has them."""

    def train_on_task(self, task_id: str, env: Any, episodes: int) -> Mapping[str, Any]:
        """Train for `episodes` episodes of a task; the results contain the mean return."""


class DAFAdaptiveController(RecordedFeedback):
    """Controls one experiment.

    output: where its run directory is created. scheduler, dispatcher, commands: replacements for those of `config` and
    DAF's defaults. hooks: called once per milestone. curriculum_manager: what the feedback methods change. on_change:
    called with the experiment after each commit.

    Nothing is written before the experiment starts or the first feedback arrives. Use as a context manager, or `close`.
    """

    def __init__(
        self,
        config: DAFAdaptiveConfig,
        *,
        output: "OutputManager | None" = None,
        scheduler: Scheduler | None = None,
        dispatcher: JobRunner | None = None,
        commands: Callable[[DAFAdaptiveConfig, Path], Commands] | None = None,
        hooks: Hooks | None = None,
        curriculum_manager: Adjustable | None = None,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> None:
        super().__init__(config, output=output, curriculum_manager=curriculum_manager)
        self._scheduler = scheduler
        self._dispatcher = dispatcher or runner_for(config)
        self._commands = commands or functools.partial(
            DafCommands, keep_checkpoints=self._output.max_checkpoints_to_keep
        )
        self._hooks = hooks or Hooks()
        self._on_change = on_change
        self._running: Running | None = None

    def start_experiment(self, *, retry_failed: bool = False) -> ExperimentStatus:
        """Run or resume the experiment; returns when it is done, failed or stopped.

        retry_failed: make new attempts at runs that failed permanently; refused if a scheduler has acted on their
        failure. Raises `AdaptiveControllerError` on any failure, for instance if it is a different experiment or
        another controller holds it, and for invalid settings (then it is a `UsageError` too). Raises `Interrupted`
        after Ctrl-C, when all jobs have saved and ended.
        """
        try:
            return self._start(retry_failed)
        except (AdaptiveControllerError, Interrupted):
            raise
        except UsageError as error:
            raise ExperimentSettingsError(str(error)) from error
        except DAFError as error:
            raise AdaptiveControllerError(str(error)) from error

    def _start(self, retry_failed: bool) -> ExperimentStatus:
        scheduler = self._scheduler or scheduler_of(self.config)
        self._check_first_runs(scheduler)
        record = self._opened()
        self._resume(record, retry_failed)
        folder = record.folder
        self._running = Running(
            record,
            self.config,
            scheduler,
            self._dispatcher,
            self._commands(self.config, folder),
            self._hooks,
            self._on_change,
        )
        try:
            try:
                experiment = self._running.run()
            except KeyboardInterrupt:
                if self._running.signalled:  # a second signal: stop immediately
                    raise
                experiment = self._running.stop("Ctrl-C")
                raise Interrupted(self._how_to_resume()) from None
            if self._running.signalled and experiment.status == "stopped":
                raise Interrupted(self._how_to_resume())
            status = self.get_experiment_status()
            finishing.write(status)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | Interrupted)
            if not isinstance(error, Interrupted):
                self._running.abandon()
            self._output.log_operation_complete(OPERATION, "interrupted" if stopped else "failed", error=error)
            raise
        else:
            ends = {"done": "completed", "failed": "failed", "stopped": "interrupted"}
            self._output.log_operation_complete(
                OPERATION, ends[status.status], {"counts": status.counts}, error=status.experiment.reason
            )
        finally:
            self._running = None
            self._close_record()
        return status

    def stop_experiment(self, reason: str = "stop_experiment") -> None:
        """Stop after the current step: jobs save and end, and the experiment can be resumed later.

        Can be called from a hook, another thread, or another process's controller of the same experiment. Raises
        `AdaptiveControllerError` if nothing is running.
        """
        if self._running is not None:
            self._running.ask_to_stop(reason)
            return
        status = self.get_experiment_status()
        if not status.controlled:
            raise AdaptiveControllerError(f"experiment {self.config.experiment_id} is not running: {status.status}.")
        request_stop(status.run_dir, reason)

    def get_experiment_status(self) -> ExperimentStatus:
        """The committed state; before the experiment starts, the status is "not started" without a run directory."""
        if self._record is not None and self._record.started:
            folder = self._record.folder
            return ExperimentStatus(self._output.session_id, folder, self._record.experiment, True)
        found = find(self.config.experiment_id, self._output.base_dir)
        experiment = None if found is None else read(found.path)
        if found is None or experiment is None:
            return not_started(self.config, self._output.base_dir)
        return ExperimentStatus(found.run_id, found.path, experiment, controlled(found.path))

    def load_checkpoint(self, checkpoint: str | Path) -> Path:
        """Branch the experiment's first runs from this checkpoint (a directory that training wrote), and return it.

        If the experiment started with this checkpoint and is not done, the same call resumes it. Raises
        `AdaptiveControllerError` if the path is not a checkpoint, or the experiment is done or started without it.
        """
        folder = Path(checkpoint).expanduser().absolute()
        missing = [name for name in ("weights.safetensors", "state.json") if not (folder / name).is_file()]
        if missing:
            raise AdaptiveControllerError(
                f"{folder} is not a checkpoint: {' and '.join(missing)} missing. Pass a directory such as "
                "RUN/checkpoints/final."
            )
        chosen = self.config.replace(initial_checkpoint=folder)
        committed = self._committed()
        had = None if committed is None else committed.config.get("initial_checkpoint")
        if committed is not None and (committed.status == "done" or had != chosen.to_data()["initial_checkpoint"]):
            ended = " and is done" if committed.status == "done" else ""
            raise AdaptiveControllerError(
                f"experiment {self.config.experiment_id} started {f'from {had}' if had else 'without a checkpoint'}"
                f"{ended}; choose another experiment_id to start from {folder}."
            )
        self.config = chosen
        return folder

    def run_with_environment(
        self,
        environment: Any,
        trainer: Trains | None = None,
        *,
        task_id: str | None = None,
        rounds: int = 1,
        episodes: int = 10,
    ) -> list[Adjustment]:
        """Train on an environment for some rounds, feeding back each round's result; returns the resulting changes.

        environment: has `reset` and `step`, or is a mission string or config if the trainer accepts these. trainer:
        `DAFRlTrainer`, or an object with its `train_on_task`; results that a trainer already reports to this controller
        are not counted twice. None: one built from the configuration's section `training`, for this call. Raises
        `TrainingEnvironmentError` if the environment is invalid or fails, `AdaptiveControllerError` without a trainer.
        """
        lacking = [name for name in ("reset", "step") if not callable(getattr(environment, name, None))]
        if lacking and not (isinstance(environment, str | Path | tuple) or hasattr(environment, "game")):
            raise TrainingEnvironmentError(
                f"{type(environment).__name__} has no method {' and no method '.join(lacking)}; an environment needs "
                "both."
            )
        if rounds < 1 or episodes < 1:
            raise UsageError(f"rounds and episodes must be 1 or more, got {rounds} and {episodes}.")
        if task_id is not None:
            self.set_current_task(task_id)
        if trainer is None:
            with contextlib.closing(self._own_trainer()) as own:
                return self.run_with_environment(environment, own, rounds=rounds, episodes=episodes)
        before = len(self._feedback.made)
        for number in range(1, rounds + 1):
            task, taken = self._feedback.task or "environment", self._feedback.taken
            try:
                results = trainer.train_on_task(task, environment, episodes)
            except DAFError:
                raise
            except Exception as error:
                raise TrainingEnvironmentError(
                    f"round {number} of {rounds} on {task} failed in {type(environment).__name__}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            if self._feedback.taken == taken:
                self.update_from_training_results(results)
        return self._feedback.made[before:]

    def _own_trainer(self) -> "DAFRlTrainer":
        """A trainer built from the section `training`, with the environment in place of its missions and curriculum."""
        if self.config.training is None:
            raise AdaptiveControllerError(
                f"experiment {self.config.experiment_id} has no section `training`: add one, or pass a trainer "
                "to run_with_environment."
            )
        from daf.core.rl_trainer import DAFRlTrainer

        return DAFRlTrainer(self.config.training.replace(mission=None, curriculum=None), output=self._output)

    def _resume(self, record: Record, retry_failed: bool) -> None:
        experiment = record.experiment
        failed = [run for run in experiment.runs.values() if run.over and run.status != "done"]
        decided = any(run.scores or run.parent for run in experiment.runs.values())
        if retry_failed and failed and decided and self.config.scheduler != "fixed":
            raise AdaptiveControllerError(
                f"the scheduler {self.config.scheduler} has already acted on the failure of "
                f"{', '.join(run.name for run in failed)}. Only the runs of a fixed list get new attempts."
            )
        again = retry_failed and bool(failed)
        started = experiment.runs or experiment.status != "running"
        if started and (experiment.status in ("running", "stopped") or again):
            record.add("resumed", config=self.config.to_data())
        if again:
            for run in failed:
                record.add("revived", run=run.name)

    def _check_first_runs(self, scheduler: Scheduler) -> None:
        """Reject invalid settings before a directory is created."""
        commands = self._commands(self.config, self._output.base_dir)
        checkpoint, committed = self.config.initial_checkpoint, self._committed()
        resumed = committed is not None and bool(committed.runs)
        started_at = 0 if checkpoint is None or resumed else targets.steps_of(checkpoint)
        for wanted in scheduler.wanted({}):
            commands.check(_as_run(wanted))
            targets.check([wanted.target], started_at=started_at, update=1)

    def _committed(self) -> Experiment | None:
        """The committed experiment; None before it has started."""
        if self._record is not None:
            return self._record.experiment
        found = find(self.config.experiment_id, self._output.base_dir)
        return None if found is None else read(found.path)

    def _how_to_resume(self) -> str:
        status = self.get_experiment_status()
        done = sum(run.over for run in status.experiment.runs.values())
        return (
            f"stopped after {done} of {len(status.experiment.runs)} runs; the others have saved their state. The same "
            "command resumes them."
        )


def _as_run(wanted: Wanted) -> Run:
    return Run(wanted.run, wanted.settings, wanted.target, wanted.why, wanted.parent)
