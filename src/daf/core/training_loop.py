"""The training loop: update, record, and save or evaluate when it is time, until the end, a stop or a failure.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from daf.core import checkpoints, training_file
from daf.core._compatibility import numerical_differences, weak_scaling_differences
from daf.core._failure_message import training_failure
from daf.core._learner import Learner
from daf.core._periodic_evaluation import crossed, due, evaluate, score_of
from daf.core._process_group import LostPeerError
from daf.core._stop_request import StopRequest
from daf.core.curriculum import CurriculumStagnationError
from daf.core.retention import Checkpoint, Retention
from daf.core.training_result import Progress, StopTraining, TrainingResult
from daf.core.training_run import TrainingRun
from daf.errors import ExecutorError, PolicyError, TrainingError
from daf.storage import atomic

logger = logging.getLogger(__name__)
OnUpdate = Callable[[Progress], None]
OnEvaluation = Callable[[Mapping[str, Any]], None]


def train(
    run: TrainingRun,
    *,
    stop_at: int | None = None,
    on_update: OnUpdate | None = None,
    on_evaluation: OnEvaluation | None = None,
    stop: StopRequest | None = None,
) -> TrainingResult:
    """Train an opened run until total_timesteps, `stop_at` or Ctrl-C; writes `training.json`.

    on_update: called after every update; may raise `StopTraining`. on_evaluation: called with every record of
    evaluations.jsonl. stop: asked by the caller, who then handles Ctrl-C too. A failure is reported as the result's
    status and error. Raises `StorageError` if results can't be written.
    """
    threads = torch.get_num_threads()
    run.find_checkpoint()  # a second call for the same directory resumes from what the first saved
    (run.run_dir / training_file.FILE).unlink(missing_ok=True)  # it is out of date now
    loop, recorder = _Loop(run, on_update, on_evaluation, stop or StopRequest()), run.recorder
    try:
        with (
            contextlib.nullcontext() if stop is not None else loop.stop.on_signals(recorder.progress.say),
            recorder.recording(run.tracked_facts(), loop.saved_at, loop.stop.stop),
        ):
            status, error = loop.run(stop_at)
            recorder.status = status
    finally:
        run.close()
        torch.set_num_threads(threads)
    result = run.result(status, error)
    if status == "failed":
        run.discard_learner()
    atomic.write_json(run.run_dir / training_file.FILE, {**result.to_data(), **run.described()})
    return result


class _Loop:
    """One call of `train`. saved_at: the step of the last checkpoint, None if there is none."""

    def __init__(
        self, run: TrainingRun, on_update: OnUpdate | None, on_evaluation: OnEvaluation | None, stop: StopRequest
    ) -> None:
        self._run, self._config, self._recorder = run, run.config, run.recorder
        self._on_update, self._on_evaluation = on_update, on_evaluation
        self._rollout = run.sizes.steps(run.config.n_steps)
        self._retention = Retention(
            run.config.keep_last_checkpoints, run.config.keep_best_checkpoints, run.config.milestone_frequency
        )
        self.stop = stop
        self.saved_at = None if run.resumes_from is None else checkpoints.step_of(run.resumes_from)

    def run(self, stop_at: int | None) -> tuple[str, Exception | None]:
        """Train until the end or a stop; returns the status, and the error of a failure."""
        learner, total = None, self._config.total_timesteps
        try:
            learner = self._run.learner
            self._warn_about_last_bits()
            self._complete_start(learner)
            self._describe_teacher()
            self._warn_about_rollout(learner)
            while learner.steps < min(total, stop_at or total) and self.stop.status is None:
                self._update(learner)
            if learner.updates and learner.steps != self.saved_at:
                self._save(learner)
                self._delete_old_checkpoints()
        except LostPeerError as error:  # expected when a rank is lost: its traceback would explain nothing
            return "failed", training_failure(error, learner, self._run.checkpoint_dir)
        except (
            TrainingError, ExecutorError, CurriculumStagnationError, PolicyError, MemoryError, RuntimeError,
        ) as error:  # fmt: skip
            logger.exception("training failed")
            return "failed", training_failure(error, learner, self._run.checkpoint_dir)
        unevaluated = self.stop.status is not None and self._due(learner.steps)
        if learner.steps >= total and not unevaluated:
            checkpoints.publish_final(checkpoints.steps(self._run.checkpoint_dir)[learner.steps])
            return "done", None
        return self.stop.status or "stopped", None

    def _complete_start(self, learner: Learner) -> None:
        """Evaluate the start of a new run and save that of a branch.

        Evaluate the checkpoint that a run resumes from if the run was stopped before it could.
        """
        run = self._run
        if run.resumes_from is None and self._config.eval_baselines and self._config.eval_frequency is not None:
            self._evaluate_start(learner)
        if run.resumes_from is None and run.branch_from is not None:
            self._save(learner)  # so that the run can be resumed without the run that it branched from
        elif self.saved_at is not None and self._due(self.saved_at):
            self._evaluate(checkpoints.steps(run.checkpoint_dir)[self.saved_at], self.saved_at, learner.updates)

    def _update(self, learner: Learner) -> None:
        """Make one update and record it; then save and evaluate if it is time."""
        before = learner.steps
        metrics = self._run.last_metrics = self._recorder.update(learner, learner.update())
        if learner.interrupted:
            self.stop.interrupt()
        if self._on_update is not None:
            try:
                self._on_update(Progress(learner.steps, learner.updates, self._config.total_timesteps, metrics))
            except StopTraining:
                self.stop.stop()
        over = learner.steps >= self._config.total_timesteps
        evaluating = self._due(learner.steps)
        if over or evaluating or crossed(before, learner.steps, self._config.checkpoint_frequency):
            checkpoint = self._save(learner, final=over)
            if evaluating and self.stop.status is None:
                self._evaluate(checkpoint, learner.steps, learner.updates)
            self._delete_old_checkpoints()

    def _due(self, step: int) -> bool:
        """Whether the checkpoint at `step` is due for evaluation and has not been evaluated."""
        return due(self._config, step, self._rollout) and not self._recorder.evaluated(step)

    def _save(self, learner: Learner, *, final: bool = False) -> Path:
        self._recorder.sync(learner.steps, final=final)  # before the checkpoint: see `RunRecorder.sync`
        checkpoint = self._run.checkpoint(self._run.checkpoint_dir)
        self.saved_at = learner.steps
        return checkpoint

    def _evaluate_start(self, learner: Learner) -> None:
        """Evaluate the weights that the run starts from, the baseline and the teacher.

        Their checkpoint is temporary, because a run without updates has nothing to resume.
        """
        with tempfile.TemporaryDirectory(prefix="daf-start-") as folder:
            checkpoint = self._run.checkpoint(Path(folder))
            self._evaluate(checkpoint, learner.steps, learner.updates, start=self._run.start)

    def _evaluate(self, checkpoint: Path, step: int, update: int, *, start: str | None = None) -> None:
        record = self._run.evaluation = evaluate(
            checkpoint,
            self._run.evaluated_on,
            self._config,
            step=step,
            update=update,
            run_dir=self._run.run_dir,
            cache_dir=self._run.cache_dir,
            device=self._run.device,
            gpu_memory_fraction=self._run.gpu_memory_fraction,
            start=start,
            teachers=self._run.teachers,
        )
        self._recorder.evaluation(step, record)
        if self._on_evaluation is not None:
            self._on_evaluation(record)

    def _delete_old_checkpoints(self) -> None:
        """Delete checkpoints that the retention policy does not keep."""
        found = checkpoints.steps(self._run.checkpoint_dir).items()
        for old in self._retention.to_delete([Checkpoint(path, step, score_of(path)) for step, path in found]):
            atomic.remove(old.folder)

    def _warn_about_last_bits(self) -> None:
        """Warn if results may differ from those of an uninterrupted run."""
        run, source = self._run, self._run.resumes_from
        if source is None:
            return
        rescaled = weak_scaling_differences(source, self._config, run.sizes, run.ranks)
        if rescaled:
            self._warn(f"with weak scaling, the number of ranks changes the run: {', '.join(rescaled)}.")
        changed = numerical_differences(source, run.sizes, run.device, run.ranks)
        if changed:
            self._warn(f"resuming with {', '.join(changed)}: results may differ in their last bits.")

    def _warn(self, text: str) -> None:
        logger.warning("%s", text)
        self._recorder.progress.say(text)

    def _describe_teacher(self) -> None:
        """Print who teaches, which states it labels, and where it leads."""
        teachers, config = self._run.teachers, self._config
        if teachers is None:
            return
        final = config.teacher_led if config.teacher_led_final is None else config.teacher_led_final
        phase = "" if config.imitate_steps is None else f" for {config.imitate_steps:,} agent steps, before PPO"
        self._recorder.progress.say(
            f"Imitating {teachers.name}{phase}. It leads {100 * config.teacher_led:g} % of the environments at first, "
            f"{100 * final:g} % at the end, and labels {teachers.labelled(config)} of the other states."
        )

    def _warn_about_rollout(self, learner: Learner) -> None:
        """Report that more is trained than asked for, if one rollout is longer, because a rollout is never cut."""
        if self._config.total_timesteps < self._rollout and not learner.steps:
            self._recorder.progress.say(
                f"One rollout is {self._rollout:,} agent steps, so {self._rollout:,} are trained instead of "
                f"{self._config.total_timesteps:,}; fewer environments (--envs) or a smaller n_steps make it smaller."
            )
