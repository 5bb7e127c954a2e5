"""One training run: its policy, missions, learner and run directory, in the state that a checkpoint stores.

However a run ends (Ctrl-C, a crash, a power cut), a run resumed from its last checkpoint finishes with the weights and
metrics of an uninterrupted run. `training_loop.train` trains it.

Importing this module imports torch.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from daf.compute.executor import job_count
from daf.config.training import DAFTrainingConfig
from daf.core import checkpoints
from daf.core._compatibility import KERNELS, require_branchable, require_reachable_total, require_same_run
from daf.core._distributed_learner import GroupLearner, LeadingLearner
from daf.core._learner import Learner
from daf.core._periodic_evaluation import last_evaluation
from daf.core._process_group import ProcessGroup
from daf.core._run_recorder import RunRecorder
from daf.core._teachers import teachers_of
from daf.core.curriculum import Curriculum
from daf.core.learning_verdict import read_learning_verdict
from daf.core.rollout_sizes import RolloutSizes, of_ranks, rollout_sizes
from daf.core.tracking import TrackedRun, trackers
from daf.core.training_progress import ShowsProgress, TrainingProgress
from daf.core.training_result import TrainingResult
from daf.errors import CheckpointError, ConfigError, UsageError
from daf.game import policies
from daf.game.device import device_memory
from daf.game.mission import Mission
from daf.game.missions import unshaped
from daf.game.policy import Policy
from daf.game.rollout import Game
from daf.game.trainable import check_alike, check_meanings, check_plays, save_memory, trainable
from daf.game.training_samples import TrainingSampler
from daf.stats.sentences import counted
from daf.storage import atomic

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)


class TrainingRun:
    """See the module. The constructor checks everything that does not need the run directory; `open` checks the rest.

    resolve: maps mission strings to missions. cache_dir: cache of episode records. branch_from: the checkpoint that a
    new run starts from. ranks: the number of ranks that learn together; group: these ranks, for a run in one of them;
    on_machine: the number of ranks that share this machine. resumes_from: the last intact checkpoint in the run
    directory, None for a new run.
    last_metrics, evaluation: of the last update and of the last evaluation. recorder: see `open`.
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
        ranks: int = 1,
        group: ProcessGroup | None = None,
        on_machine: int = 1,
        runs: Path | None = None,
        elsewhere: bool = False,
    ) -> None:
        """runs: the output directory that holds the `run:ID` of a teacher. elsewhere: whether other processes train the
        run, as is always so with several ranks outside of their group. Raises `UsageError` and its subclasses,
        `CheckpointError`.
        """
        self.ranks, self._group, self._on_machine = ranks, group, on_machine
        self.elsewhere = group is None and (ranks > 1 or elsewhere)
        self.config, self.policy, self.curriculum = config, policy, curriculum
        self._added: dict[str, Mission] = {}
        self._resolve: Callable[[str], Mission] = lambda name: (
            self._added[name] if name in self._added else resolve(name)
        )
        self.cache_dir, self.runs, self.device, self._console = cache_dir, runs, device, console
        self.gpu_memory_fraction = gpu_memory_fraction
        self.opened = False
        self.missions = [resolve(task.mission) for task in curriculum.tasks()]
        check_alike(self.missions)
        trackers(config.trackers, Path(), config.tracker_options)  # called for the errors that it raises
        if config.precision == "bfloat16" and not device.startswith("cuda"):
            raise ConfigError(f"precision bfloat16 requires a CUDA device; this run uses {device}.")
        # Where only ranks train, the network is needed for the checks alone, and the GPU's memory for the ranks.
        place = "cpu" if self.elsewhere else device
        self.trainable = trainable(policy, Game(self.missions[0].config), device=place, seed=config.seed)
        save_memory(self.trainable.policy, config)
        self.sizes = self._sizes_for(config)
        self.teachers = teachers_of(
            config, self.missions, lambda name: policies.resolve(name, cache=cache_dir / "bundles", runs=runs), device
        )
        self.evaluated_on = self._missions_to_evaluate(resolve)
        if config.initial_weights is not None:
            checkpoints.load_weights(config.initial_weights, self.trainable)
        self.branch_from = branch_from
        if branch_from is not None and branch_from.exists():
            checkpoints.verify(branch_from)
            require_branchable(branch_from, config, policy, self.trainable.network)
        self.resumes_from: Path | None = None
        self._learner: Learner | None = None
        self.last_metrics: dict[str, float] = {}
        self.evaluation: dict[str, Any] | None = None
        self._failed = False

    def _sizes_for(self, config: DAFTrainingConfig) -> RolloutSizes:
        configured = rollout_sizes(
            config,
            agents=self.missions[0].num_agents,
            tokens=self.trainable.interface.observation_space.shape[0],
            cores=job_count("auto"),
            device_memory=device_memory(self.device),
        )
        return of_ranks(configured, config, self.ranks)

    def _missions_to_evaluate(self, resolve: Callable[[str], Mission]) -> list[Mission]:
        """The configured missions, else those trained on without reward shaping; each mission once."""
        if self.config.eval_missions is None:
            chosen = [unshaped(mission) for mission in self.missions]
        else:
            chosen = [resolve(name) for name in self.config.eval_missions]
        distinct = list({mission.config_hash: mission for mission in chosen}.values())
        check_plays(self.missions[0], distinct)
        for warning in check_meanings(self.trainable, self.policy, self.missions[0], [*self.missions[1:], *distinct]):
            logger.warning(warning)
        return distinct

    def resolve(self, name: str) -> Mission:
        """The mission of a task."""
        return self._resolve(name)

    @property
    def title(self) -> str:
        """The policy, its training missions and its teacher."""
        taught = "" if self.teachers is None else f", taught by {self.teachers.name}"
        return f"{self.policy.name} on {self._mission_names}{taught}"

    @property
    def _mission_names(self) -> str:
        return ", ".join(mission.name for mission in self.missions)

    def open(
        self,
        run_dir: Path,
        run_id: str,
        checkpoint_dir: Path | None = None,
        *,
        progress: ShowsProgress | None = None,
    ) -> None:
        """Open the run directory and load its contents. Raises `UsageError`, `CheckpointError`, `StorageError`.

        progress: shows the run instead of the console.
        """
        self.run_dir, self.run_id, self.opened = run_dir, run_id, True
        self.checkpoint_dir = checkpoint_dir or run_dir / checkpoints.FOLDER
        checkpoints.require_space(self.checkpoint_dir, self.trainable.network)
        atomic.sweep(self.checkpoint_dir)
        self.resumes_from = checkpoints.latest(self.checkpoint_dir)
        if self.resumes_from is None and checkpoints.steps(self.checkpoint_dir):
            raise CheckpointError(
                f"every checkpoint in {self.checkpoint_dir} is damaged (see the warnings). Starting again would "
                "overwrite the results of this run: restore a checkpoint, or move the directory away first."
            )
        if self.resumes_from is None and self.branch_from is not None:
            checkpoints.verify(self.branch_from)
        source = self.resumes_from or self.branch_from
        self.progress = progress or TrainingProgress(
            self._console,
            title=self.title,
            total_timesteps=self.config.total_timesteps,
            begun_at=0 if source is None else int(checkpoints.facts(source)["steps"]),
        )
        self.recorder = RunRecorder(run_dir, self.config, self.device, self.progress)
        if self.resumes_from is not None:
            self._require_same_run(self.resumes_from)
            self.last_metrics = dict(checkpoints.facts(self.resumes_from)["metrics"])
            self.evaluation = last_evaluation(run_dir, checkpoints.step_of(self.resumes_from))
            require_reachable_total(run_dir, self.resumes_from, self.config.total_timesteps)
            if self._learner is not None:  # the state in the run directory replaces what was learned without it
                self.restore(self.resumes_from)

    @property
    def start(self) -> str:
        """What the weights are before the first update."""
        trained = self._learner is not None and self._learner.updates > 0
        given = self.config.initial_weights or self.branch_from or self.policy.data_path
        return "the initial weights" if trained or given is not None else "untrained"

    @property
    def learner(self) -> Learner:
        """The learner; its processes start on first access. Raises `UsageError` for a run that others train."""
        if self._learner is None:
            if self.elsewhere:
                raise UsageError(
                    f"only `train` starts the {counted(self.ranks, 'rank')} that train in other processes; to train "
                    "step by step, set workers_per_node to 1 and use no cluster."
                )
            self._learner = self._new_learner()
            self._load_start(self._learner)
        return self._learner

    @property
    def started(self) -> bool:
        """Whether this process has a learner."""
        return self._learner is not None

    def _new_learner(self) -> Learner:
        config = self.config
        sampler = None
        if config.log_agents:
            sampler = TrainingSampler(
                environments=self.sizes.environments,
                agents_each=self.missions[0].num_agents,
                agents=config.log_agents,
                interval=config.log_interval,
            )
        parts = (self.trainable, self.curriculum, self._resolve)
        if self._group is None:
            return Learner(config, self.sizes, *parts, sampler=sampler, teachers=self.teachers)
        kind = GroupLearner if self._group.rank else LeadingLearner
        return kind(
            config,
            self.sizes,
            *parts,
            group=self._group,
            sampler=sampler,
            on_machine=self._on_machine,
            teachers=self.teachers,
        )

    def _load_start(self, learner: Learner) -> None:
        """Load the checkpoint that the run resumes or branches from, if any."""
        source = self.resumes_from or self.branch_from
        if source is None:
            return
        checkpoints.load_weights(source, self.trainable)
        state = _state_of(source)
        if source is self.resumes_from:
            learner.restore(state)
        else:
            same = checkpoints.facts(source)["config"]["optimizer"] == self.config.optimizer
            learner.inherit(state if same else {**state, "optimizer": None})

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
            "teachers": [] if self.teachers is None else [policy.identity for policy in self.teachers.policies],
            "parameters": {name: list(p.shape) for name, p in self.trainable.network.named_parameters()},
            "threads": self.sizes.threads,
            "ranks": self.ranks,
            "device": self.device,
            "torch": str(torch.__version__),
            "kernels": KERNELS,
            "metrics": _finite(self.last_metrics),
            "saved_at": time.time(),
        }
        return checkpoints.save(folder, learner.steps, self.trainable, self.policy, learner.state(), facts)

    def restore(self, source: Path) -> None:
        """Resume from a checkpoint of a compatible run. Raises `CheckpointError`."""
        checkpoints.verify(source)
        self._require_same_run(source)
        learner = self.learner  # created first: it may load a checkpoint itself
        checkpoints.load_weights(source, self.trainable)
        learner.restore(_state_of(source))

    def _require_same_run(self, source: Path) -> None:
        teachers = () if self.teachers is None else self.teachers.policies
        require_same_run(source, self.config, self.policy, self.missions, self.trainable.network, teachers)

    def add_mission(self, name: str, mission: Mission) -> None:
        """Make the mission resolvable by `name`, even if it was passed as an object."""
        self._added[name] = mission

    def reconfigure(self, **fields: Any) -> None:
        """Change settings from the next update on. Raises `ConfigError`; `UsageError` for a run that others train."""
        if self.elsewhere or self.ranks > 1:
            raise UsageError(
                "the settings of a run in other processes can't be changed; start another run with --branch-from."
            )
        changed = self.config.replace(**fields)
        self.sizes = self._sizes_for(changed)
        self.config = changed
        self.learner.config, self.learner.sizes = changed, self.sizes

    def find_checkpoint(self) -> None:
        """Resume from the last checkpoint that is in the run directory now.

        Raises `UsageError` if there is none and training failed before: the state in memory is lost.
        """
        self.resumes_from = checkpoints.latest(self.checkpoint_dir)
        if self._failed and self.resumes_from is None:
            raise UsageError(f"{self.run_dir} failed before its first checkpoint: create a new trainer to start again.")

    def discard_learner(self) -> None:
        """After a failure, the state in memory may be mid-update: continue from the last checkpoint, if at all."""
        self._learner, self._failed = None, True
        self.resumes_from = checkpoints.latest(self.checkpoint_dir)

    def close(self) -> None:
        """End the environment processes."""
        if self._learner is not None:
            self._learner.close()

    def tracked_facts(self) -> TrackedRun:
        """The description of the run for trackers."""
        config = self.config
        return TrackedRun(
            self.run_id, self._mission_names, self.policy.name, config.seed, config.total_timesteps, config.to_data()
        )

    def described(self) -> dict[str, Any]:
        """The description of the run in training.json, next to its result."""
        return {"mission": self._mission_names, "policy": self.policy.name, "seed": self.config.seed}

    def result(self, status: str, error: Exception | None) -> TrainingResult:
        """The state of the run as the result of a training that ended with `status`."""
        learner = self._learner
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
            metrics=_finite(self.last_metrics),
            evaluation=self.evaluation,
            wall_seconds=learner.seconds if learner is not None else 0.0,
            error=None if error is None else {"type": type(error).__name__, "message": str(error)},
            machine=bool(getattr(error, "machine", False)),
            lost_trackers=self.recorder.lost_trackers,
            hyperparameters=self.config.to_data(),
            scores={} if learner is None else learner.scores.results(),
            learned=read_learning_verdict(self.run_dir).to_data(),
            ranks=self.ranks,
        )


def _state_of(source: Path) -> dict[str, Any]:
    """The learner's state in a checkpoint. Raises `CheckpointError`."""
    state = checkpoints.load_state(source)
    if "ranks" in state:
        raise CheckpointError(
            f"{source} was saved by several processes of an earlier version of DAF, whose states can't be joined. "
            f"Start a new run with its weights: --initial-weights {source}."
        )
    return state


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that JSON can hold."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
