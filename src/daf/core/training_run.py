"""One training run in its run directory: updates, checkpoints, evaluations, metrics, and how the run ends.

However a run ends (Ctrl-C, a crash, a power cut), a run resumed from its last checkpoint finishes with the weights and
metrics of an uninterrupted run. Everything written after that checkpoint is removed first.

Importing this module imports torch.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypedDict

import torch

from daf.compute.executor import job_count
from daf.config.training import DAFTrainingConfig
from daf.core import checkpoints, training_file
from daf.core._distributed_learner import DistributedLearner
from daf.core._episode_tally import EpisodeTally
from daf.core._learner import Learner
from daf.core.curriculum import Curriculum, CurriculumStagnationError
from daf.core.interval_evaluation import VALIDATION_SEED, evaluate_checkpoint
from daf.core.retention import Checkpoint, Retention
from daf.core.sizes import Sizes, share, sizes
from daf.core.system_metrics import MemoryWatch, SystemMetrics
from daf.core.tracking import EVALUATIONS, RunFacts, trackers
from daf.core.training_logs import TrainingLogs
from daf.core.training_progress import TrainingProgress
from daf.errors import (
    CheckpointError,
    ConfigError,
    DamagedFileError,
    DivergenceError,
    ExecutorError,
    PolicyError,
    StorageError,
    TrainingError,
    UsageError,
)  # fmt: skip
from daf.game.device import device_memory
from daf.game.missions import Mission, unshaped
from daf.game.policy import Policy
from daf.game.rollout import Game
from daf.game.trainable import check_alike, check_meanings, check_plays, save_memory, trainable
from daf.game.training_samples import TrainingSampler
from daf.game.weights import fitting
from daf.storage import atomic, journal, reading
from daf.storage.reading import read_object

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

MEMORY_LIMIT = 0.95
"""The fraction of the machine's memory above which a run saves and stops."""

CHANGEABLE = frozenset(
    {
        "experiment_name", "total_timesteps", "num_workers", "device", "threads", "initial_weights",
        "eval_frequency", "eval_episodes", "eval_missions", "eval_replays", "checkpoint_frequency",
        "keep_last_checkpoints", "keep_best_checkpoints", "milestone_frequency", "log_interval", "log_agents",
        "trackers", "tracker_options", "use_distributed",
    }
)  # fmt: skip
"""Settings that may differ when a run is resumed; changing any other setting makes it a different run."""


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
    keys of `EpisodeTally` (episodes, avg_reward, best_reward, completion_rate, task_performance).
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
            "error": self.error,
            "machine": self.machine,
            "lost_trackers": self.lost_trackers,
            "hyperparameters": self.hyperparameters,
            **self.scores,
        }


class TrainingRun:
    """See the module. The constructor checks everything that does not need the run directory; `open` checks the rest.

    resolve: maps mission strings to missions. cache_dir: cache of episode records. branch_from: the checkpoint that a
    new run starts from.
    """

    def __init__(
        self,
        config: DAFTrainingConfig,
        policy: Policy,
        curriculum: Curriculum,
        resolve: Callable[[str], Mission],
        *,
        cache_dir: Path,
        device: str,
        gpu_memory_fraction: float = 1.0,
        branch_from: Path | None = None,
        console: Console | None = None,
    ) -> None:
        """Raises `UsageError` and its subclasses, `CheckpointError`."""
        self.config, self.policy, self.curriculum = config, policy, curriculum
        self._known: dict[str, Mission] = {}
        self._resolve = lambda name: self._known[name] if name in self._known else resolve(name)
        self._cache, self.device, self._console = cache_dir, device, console
        self.gpu_memory_fraction = gpu_memory_fraction
        self.opened = False
        self.missions = [resolve(task.mission) for task in curriculum.tasks()]
        check_alike(self.missions)
        trackers(config.trackers, Path(), config.tracker_options)  # called for the errors that it raises
        if config.precision == "bfloat16" and not device.startswith("cuda"):
            raise ConfigError(f"precision bfloat16 needs a CUDA device, and this run computes on {device}.")
        self.trainable = trainable(policy, Game(self.missions[0].config), device=device, seed=config.seed)
        save_memory(self.trainable.policy, config)
        self.cores = job_count("auto")
        self.sizes: Sizes = sizes(
            config,
            agents=self.missions[0].num_agents,
            tokens=self.trainable.interface.observation_space.shape[0],
            cores=self.cores,
            device_memory=device_memory(device),
        )
        share(self.sizes, config.workers_per_node)  # called for the errors that it raises
        evaluated = [unshaped(mission) for mission in self.missions]
        if config.eval_missions is not None:
            evaluated = [resolve(name) for name in config.eval_missions]
        self.evaluated_on = list({mission.config_hash: mission for mission in evaluated}.values())
        check_plays(self.missions[0], self.evaluated_on)
        others = [*self.missions[1:], *self.evaluated_on]
        for warning in check_meanings(self.trainable, policy, self.missions[0], others):
            logger.warning(warning)
        self._retention = Retention(
            config.keep_last_checkpoints, config.keep_best_checkpoints, config.milestone_frequency
        )
        if config.initial_weights is not None:
            checkpoints.load_weights(config.initial_weights, self.trainable)
        self._branch = branch_from
        if branch_from is not None and branch_from.exists():
            checkpoints.verify(branch_from)
            self._check_fits(branch_from, branching=True)
        self._from: Path | None = None
        self._learner: Learner | None = None
        self._last_metrics: dict[str, float] = {}
        self._evaluation: dict[str, Any] | None = None
        self._stopping: str | None = None
        self._ended = "failed"
        self._broken = False

    @property
    def title(self) -> str:
        """The policy and its training missions."""
        return f"{self.policy.name} on {', '.join(mission.name for mission in self.missions)}"

    def open(self, run_dir: Path, run_id: str, checkpoint_dir: Path | None = None) -> None:
        """Open the run directory and load its contents. Raises `UsageError`, `CheckpointError`, `StorageError`."""
        self.run_dir, self.run_id, self.opened = run_dir, run_id, True
        self.checkpoint_dir = checkpoint_dir or run_dir / checkpoints.FOLDER
        checkpoints.require_space(self.checkpoint_dir, self.trainable.network)
        self._trackers = trackers(self.config.trackers, run_dir, self.config.tracker_options)
        atomic.sweep(self.checkpoint_dir)
        self._from = checkpoints.latest(self.checkpoint_dir)
        if self._from is None and checkpoints.steps(self.checkpoint_dir):
            raise CheckpointError(
                f"every checkpoint in {self.checkpoint_dir} is damaged (the warnings say how). Training would begin "
                "anew and overwrite what the run has written: move the folder away for that, or bring one back."
            )
        if self._from is None and self._branch is not None:
            checkpoints.verify(self._branch)
        source = self._from or self._branch
        self._progress = TrainingProgress(
            self._console,
            title=self.title,
            total_timesteps=self.config.total_timesteps,
            begun_at=0 if source is None else int(checkpoints.facts(source)["steps"]),
        )
        if self._from is not None:
            self._check_fits(self._from, branching=False)
            self._last_metrics = dict(checkpoints.facts(self._from)["metrics"])
            self._evaluation = last_evaluation(run_dir, checkpoints.step_of(self._from))
            self._check_length(self._from)
            if self._learner is not None:  # the state in the run directory replaces what was learned without it
                self.restore(self._from)

    @property
    def learner(self) -> Learner:
        """The learner; its processes start on first access."""
        if self._learner is None:
            config = self.config
            sampler = None
            if config.log_agents:
                sampler = TrainingSampler(
                    environments=self.sizes.environments // config.workers_per_node,
                    agents_each=self.missions[0].num_agents,
                    agents=config.log_agents,
                    interval=config.log_interval,
                )
            parts = (self.trainable, self.curriculum, self._resolve)
            if config.workers_per_node > 1:
                self._learner = DistributedLearner(
                    config, self.sizes, *parts, policy=self.policy, missions=self.missions, sampler=sampler
                )
            else:
                self._learner = Learner(config, self.sizes, *parts, sampler=sampler)
            source = self._from or self._branch
            if source is not None:
                checkpoints.load_weights(source, self.trainable)
                state = checkpoints.load_state(source)
                if source is self._from:
                    self._learner.restore(state)
                else:
                    same = checkpoints.facts(source)["config"]["optimizer"] == config.optimizer
                    self._learner.inherit(state if same else {**state, "optimizer": None})
        return self._learner

    def checkpoint(self, folder: Path) -> Path:
        """Write a checkpoint of the current state into `folder`, and return its path. Raises `StorageError`."""
        learner = self.learner
        facts = {
            "steps": learner.steps,
            "updates": learner.updates,
            "config": self.config.to_data(),
            "policy": self.policy.class_path,
            "arguments": self.policy.kwargs,
            "missions": {mission.name: mission.config_hash for mission in self.missions},
            "parameters": {name: list(p.shape) for name, p in self.trainable.network.named_parameters()},
            "threads": self.sizes.threads,
            "device": self.device,
            "torch": str(torch.__version__),
            "metrics": {k: v for k, v in self._last_metrics.items() if v == v and abs(v) != float("inf")},
            "saved_at": time.time(),
        }
        return checkpoints.save(folder, learner.steps, self.trainable, self.policy, learner.state(), facts)

    def restore(self, source: Path) -> None:
        """Resume from a checkpoint of a compatible run. Raises `CheckpointError`."""
        checkpoints.verify(source)
        self._check_fits(source, branching=False)
        learner = self.learner  # created first: it may load a checkpoint itself
        checkpoints.load_weights(source, self.trainable)
        learner.restore(checkpoints.load_state(source))

    def know(self, name: str, mission: Mission) -> None:
        """Make the mission resolvable by `name`, even if it was passed as an object."""
        self._known[name] = mission

    def run(
        self,
        *,
        stop_at: int | None = None,
        on_update: Callable[[Progress], None] | None = None,
        on_evaluation: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> TrainingResult:
        """Train until total_timesteps, `stop_at` or Ctrl-C. A failure is reported as the result's status and error.

        Raises `StorageError` if results can't be written.
        """
        threads = torch.get_num_threads()
        self._stopping = None
        self._from = checkpoints.latest(self.checkpoint_dir)  # a second run in the same directory resumes from it
        if self._broken and self._from is None:
            raise UsageError(f"{self.run_dir} failed before its first checkpoint: make a new trainer to begin anew.")
        (self.run_dir / training_file.FILE).unlink(missing_ok=True)  # it is out of date now
        try:
            with self._interrupts(), self._following(on_evaluation):
                self._ended = "failed"
                status, error = self._train(stop_at, on_update)
                self._ended = status
        finally:
            self.close()
            torch.set_num_threads(threads)
        learner = self._learner
        if status == "failed":  # the state in memory may be mid-update: the next run resumes from a checkpoint
            self._learner, self._broken = None, True
            self._from = checkpoints.latest(self.checkpoint_dir)
        result = self._result(status, error, learner)
        atomic.write_json(self.run_dir / training_file.FILE, self._described(result))
        return result

    def close(self) -> None:
        """End the environment processes."""
        if self._learner is not None:
            self._learner.close()

    @contextmanager
    def _following(self, on_evaluation: Callable[[Mapping[str, Any]], None] | None) -> Iterator[None]:
        """Keep trackers, logs and progress open during training, cut back to the step that it resumes from."""
        resumed_at = None if self._from is None else checkpoints.step_of(self._from)
        config = self.config
        facts = RunFacts(
            self.run_id,
            ", ".join(mission.name for mission in self.missions),
            self.policy.name,
            config.seed,
            config.total_timesteps,
            config.to_data(),
        )
        self._trackers.start(facts, resumed_at)
        self._logs = TrainingLogs(self.run_dir, resumed_at)
        self._system = SystemMetrics(self.device)
        self._watch = MemoryWatch(MEMORY_LIMIT, "a checkpoint is saved and training stops", self._stop_for_memory)
        self._on_evaluation = on_evaluation
        try:
            with self._progress:
                yield
        finally:
            self._trackers.close(self._ended)

    def _train(self, stop_at: int | None, on_update: Callable[[Progress], None] | None) -> tuple[str, Exception | None]:
        config, learner = self.config, None
        end = min(config.total_timesteps, stop_at or config.total_timesteps)
        try:
            learner = self.learner
            self._note_threads()
            saved = checkpoints.step_of(self._from) if self._from is not None else -1
            if self._from is None and self._branch is not None:
                saved = learner.steps
                self._save(learner)  # so that the run can be resumed without the run that it branched from
            if self._from is not None and self._due(saved, learner):
                self._evaluate(checkpoints.steps(self.checkpoint_dir)[saved], saved, learner.updates)
            rollout = self.sizes.steps(config.n_steps)
            if config.total_timesteps < rollout and not learner.steps:
                self._progress.say(
                    f"One rollout is {rollout:,} agent steps, so many are trained, not {config.total_timesteps:,}; "
                    "fewer environments (--envs) or n_steps make it smaller."
                )
            while learner.steps < end and self._stopping is None:
                before = learner.steps
                values = learner.update()
                self._last_metrics = {**values, **self._system.read()}
                self._logs.add(learner.records)
                learner.records.clear()
                self._trackers.log(learner.steps, {"update": learner.updates, **self._last_metrics})
                self._progress.update(learner.steps, self._last_metrics)
                self._watch.check()
                if on_update is not None:
                    try:
                        on_update(Progress(learner.steps, learner.updates, config.total_timesteps, self._last_metrics))
                    except StopTraining:
                        self._stopping = self._stopping or "stopped"
                over = learner.steps >= config.total_timesteps
                evaluating = self._due(learner.steps, learner)
                if over or evaluating or _crossed(before, learner.steps, config.checkpoint_frequency):
                    saved = learner.steps
                    folder = self._save(learner, final=over)
                    if evaluating and self._stopping is None:
                        self._evaluate(folder, saved, learner.updates)
                    self._forget()
            if saved != learner.steps and learner.updates:
                self._save(learner)
                self._forget()
        except (
            TrainingError, ExecutorError, CurriculumStagnationError, PolicyError, MemoryError, RuntimeError,
        ) as error:  # fmt: skip
            logger.exception("training failed")
            return "failed", self._told(error, learner)
        if learner.steps >= config.total_timesteps and not (self._stopping and self._due(learner.steps, learner)):
            checkpoints.publish_final(checkpoints.steps(self.checkpoint_dir)[learner.steps])
            return "done", None
        return self._stopping or "stopped", None

    def _due(self, step: int, learner: Learner) -> bool:
        """Whether the checkpoint at `step` is due for evaluation and has not been evaluated."""
        frequency = self.config.eval_frequency
        if frequency is None or self._trackers.evaluated(step):
            return False
        before = step - self.sizes.steps(self.config.n_steps)
        return _crossed(before, step, frequency) or step >= self.config.total_timesteps

    def _save(self, learner: Learner, *, final: bool = False) -> Path:
        self._trackers.sync()
        self._logs.flush(learner.steps, final=final)
        return self.checkpoint(self.checkpoint_dir)

    def _evaluate(self, folder: Path, step: int, update: int) -> None:
        config = self.config
        found = evaluate_checkpoint(
            folder,
            self.evaluated_on,
            episodes=config.eval_episodes,
            cache_dir=self._cache,
            seed=VALIDATION_SEED,
            replays=config.eval_replays,
            replay_dir=self.run_dir / "replays" / folder.name,
            device=self.device,
            gpu_memory_fraction=self.gpu_memory_fraction,
        )
        self._evaluation = {"step": step, "update": update, **found.to_data(self.run_dir)}
        if found.overall.mean is not None:
            atomic.write_json(folder / "evaluation.json", self._evaluation)
        self._trackers.evaluation(step, self._evaluation)
        self._progress.evaluation(self._evaluation)
        if self._on_evaluation is not None:
            self._on_evaluation(self._evaluation)

    def _forget(self) -> None:
        """Delete checkpoints that the retention policy does not keep."""
        there = [
            Checkpoint(path, step, _score_of(path)) for step, path in checkpoints.steps(self.checkpoint_dir).items()
        ]
        for checkpoint in self._retention.to_delete(there):
            atomic.remove(checkpoint.folder)

    def _check_fits(self, source: Path, *, branching: bool) -> None:
        """Raise `CheckpointError`, with the differences, if the checkpoint belongs to a different run."""
        facts = checkpoints.facts(source)
        differences = []
        shapes = {name: list(p.shape) for name, p in self.trainable.network.named_parameters()}
        if facts["policy"] != self.policy.class_path:
            differences.append(f"policy {facts['policy']} → {self.policy.class_path}")
        elif (saved := fitting(facts["parameters"], shapes)) != shapes:
            names = [n for n in {**shapes, **saved} if shapes.get(n) != saved.get(n)]
            shown = ", ".join(f"{n} {saved.get(n)} → {shapes.get(n)}" for n in sorted(names)[:3])
            differences.append(f"network parameters: {shown}")
        if not branching:
            if facts["arguments"] != self.policy.kwargs:
                differences.append(f"the policy's arguments {facts['arguments']} → {self.policy.kwargs}")
            mine = {mission.name: mission.config_hash for mission in self.missions}
            if list(facts["missions"].values()) != list(mine.values()):
                differences.append(f"missions {', '.join(facts['missions'])} → {', '.join(mine)} (or their content)")
            new = self.config.to_data()
            old = {
                **type(self.config)().to_data(),
                **facts["config"],
            }  # a field added later had its default then
            differences += [
                f"{name} {old.get(name)!r} → {new[name]!r}"
                for name in new
                if name not in CHANGEABLE | {"mission", "policy", "network"} and old.get(name) != new[name]
            ]
        elif facts["steps"] >= self.config.total_timesteps:
            raise ConfigError(
                f"{source} has {facts['steps']:,} agent steps behind it, and total_timesteps is "
                f"{self.config.total_timesteps:,}: give --steps more, for nothing would be trained."
            )
        if differences:
            hint = (
                "Take a checkpoint of this network."
                if branching
                else "Go on with the same settings (--resume takes them from the run), or begin another run with "
                f"--branch-from {source}."
            )
            raise CheckpointError(f"the checkpoint {source} is of another run: {'; '.join(differences)}. {hint}")

    def _check_length(self, source: Path) -> None:
        """Raise `UsageError` if the new total is below the number of steps already trained."""
        done, planned = checkpoints.step_of(source), checkpoints.facts(source)["config"]["total_timesteps"]
        if self.config.total_timesteps < done and self.config.total_timesteps != planned:
            raise UsageError(
                f"{self.run_dir} has {done:,} agent steps of {planned:,} behind it, so it can't end at "
                f"{self.config.total_timesteps:,}: give --steps more, or leave it out."
            )

    def _note_threads(self) -> None:
        """Warn if results may differ in their last bits from those of an uninterrupted run."""
        if self._from is None:
            return
        facts = checkpoints.facts(self._from)
        now = {"threads": self.sizes.threads, "device": self.device, "torch": str(torch.__version__)}
        before = {"threads": facts["threads"], "device": facts["device"], "torch": facts["torch"]}
        changed = [f"{name} {before[name]} → {value}" for name, value in now.items() if before[name] != value]
        if changed:
            text = f"going on with another {', '.join(changed)}: results may differ in their last bits."
            logger.warning("%s", text)
            self._progress.say(text)

    def _told(self, error: BaseException, learner: Learner | None) -> Exception:
        """The error, with the update at which it happened and the last good checkpoint."""
        machine = isinstance(error, MemoryError | torch.OutOfMemoryError | ExecutorError) or getattr(
            error, "machine", False
        )
        at = "" if learner is None else f" at update {learner.updates + 1}, after {learner.steps:,} agent steps"
        good = checkpoints.latest(self.checkpoint_dir)
        kept = "No checkpoint was saved before." if good is None else f"The last good checkpoint is {good}."
        hint = ""
        if isinstance(error, DivergenceError):
            hint = " Try a lower learning_rate, or a lower max_grad_norm."
        elif isinstance(error, MemoryError | torch.OutOfMemoryError):
            hint = " Try fewer environments (--envs), a smaller max_minibatch_size, or memory_budget_mb."
        text = str(error).strip() or type(error).__name__
        kind = type(error) if isinstance(error, TrainingError) else TrainingError
        return kind(f"training failed{at}: {text.rstrip('.')}. {kept}{hint}", machine=machine)

    def _result(self, status: str, error: Exception | None, learner: Learner | None) -> TrainingResult:
        trained = learner is not None and learner.updates > 0
        final = checkpoints.latest(self.checkpoint_dir) if trained else None
        if status == "done":
            final = self.checkpoint_dir / checkpoints.FINAL
        return TrainingResult(
            status=status,
            run_dir=self.run_dir,
            run_id=self.run_id,
            steps=learner.steps if learner is not None else 0,
            updates=learner.updates if learner is not None else 0,
            total_timesteps=self.config.total_timesteps,
            final_checkpoint=final,
            metrics={k: v for k, v in self._last_metrics.items() if v == v and abs(v) != float("inf")},
            evaluation=self._evaluation,
            wall_seconds=learner.seconds if learner is not None else 0.0,
            error=None if error is None else {"type": type(error).__name__, "message": str(error)},
            machine=bool(getattr(error, "machine", False)),
            lost_trackers=dict(self._trackers.lost),
            hyperparameters=self.config.to_data(),
            scores={} if learner is None else learner.tally.results(),
        )

    def _described(self, result: TrainingResult) -> dict[str, Any]:
        return {
            **result.to_data(),
            "mission": ", ".join(mission.name for mission in self.missions),
            "policy": self.policy.name,
            "seed": self.config.seed,
        }

    def _stop_for_memory(self) -> None:
        self._stopping = "stopped"

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """On Ctrl-C, finish the update and save the run; a second Ctrl-C ends it immediately."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_signal: int, _frame: FrameType | None) -> None:
            if self._stopping == "interrupted":
                raise KeyboardInterrupt
            self._stopping = "interrupted"
            self._progress.say("Stopping after this update; Ctrl-C again ends at once.")

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


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


def finished(
    run_dir: Path, run_id: str, config: DAFTrainingConfig, stop_at: int | None = None
) -> TrainingResult | None:
    """The result of a run with nothing left to do, read from its run directory; None if training is not finished.

    The run is done, or was stopped at or after `stop_at`, and its last checkpoint is intact.
    """
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
    tally = EpisodeTally()
    try:
        checkpoints.verify(final)
        tally.restore(checkpoints.load_state(final).get("tally"))
    except CheckpointError as error:
        logger.warning("%s Training resumes from the last checkpoint that is whole.", error)
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
        scores=tally.results(),
    )


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every < after // every


class _Evaluated(TypedDict):
    """The fields that are read from a line of `evaluations.jsonl`."""

    step: int


def last_evaluation(run_dir: Path, step: int) -> dict[str, Any] | None:
    """The run's last evaluation at or before `step`, None if there is none."""
    records = [record for record in journal.read(run_dir / EVALUATIONS, _Evaluated) if record["step"] <= step]
    return records[-1] if records else None


def _score_of(checkpoint: Path) -> float | None:
    """The mean return of the checkpoint's evaluation; None if there is none or it cannot be read."""
    try:
        found = read_object(checkpoint / "evaluation.json", _Scored)
    except (DamagedFileError, StorageError) as error:
        logger.warning("%s The checkpoint counts as not evaluated.", error)
        return None
    return None if found is None else found["mean"]


class _Scored(TypedDict):
    """The fields that are read from a checkpoint's `evaluation.json`."""

    mean: float
