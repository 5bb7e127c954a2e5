"""`DAFRlTrainer`: the trainer behind `daf train`, for use from Python.

`train` does what `daf train` does: a run directory with checkpoints, metrics and evaluations, resumable bit for bit.
The other methods work on the same learner without a run directory; `save_training_state` saves their result.

Importing this module imports torch.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from daf.config.base import SectionField
from daf.config.training import DAFTrainingConfig
from daf.core import checkpoints
from daf.core._episode_scores import EpisodeScores
from daf.core._single_task import SingleTask
from daf.core._training_speed import Reached, TrainingSpeed
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.recorded_feedback import RecordedFeedback
from daf.core.curriculum import Curriculum, DAFCurriculumConfig, Task
from daf.core.distributed.launch import Launch
from daf.core.interval_evaluation import evaluate_checkpoint
from daf.core.recorded_training import START
from daf.core.stored_settings import write_settings
from daf.core.training_loop import train
from daf.core.training_result import Progress, StopTraining, TrainingResult
from daf.core.training_run import TrainingRun
from daf.core.training_setup import Places, add_as_task, combined, names_tasks, policy_of, set_up
from daf.errors import ConfigError, UsageError
from daf.game import missions
from daf.game.mission import Mission
from daf.game.missions import unshaped
from daf.game.training_environment import mission_of
from daf.output_manager import OutputManager, get_output_manager
from daf.storage import remote

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["DAFRlConfig", "DAFRlTrainer", "Progress", "StopTraining", "TrainingResult"]

OPERATION = "training"


class DAFRlConfig(DAFTrainingConfig):
    """`DAFTrainingConfig`, and how the trainer works with a controller and a curriculum."""

    kind: ClassVar[str] = "rl"

    integrate_with_adaptive: bool = Field(default=True, description="Report every result to a controller.")
    adaptive_config: SectionField = Field(
        default=None, description="Settings (`DAFAdaptiveConfig`) of a controller to create if none is given."
    )
    curriculum_config: SectionField = Field(default=None, description="Alias of `curriculum`; give only one of them.")


class Controller(Protocol):
    """Receives a trainer's results; `DAFAdaptiveController` is one."""

    def update_from_training_results(self, results: Mapping[str, Any]) -> Any: ...

    def update_from_evaluation(self, results: Mapping[str, Any]) -> Any: ...


class DAFRlTrainer:
    """Trains one policy with PPO.

    config: settings. policy: a policy string, path or PolicySpec. training_env: a mission string, config or environment
    to train on, by default `config.mission`. adaptive_controller: receives every update's return and every evaluation;
    one without a curriculum also gets this trainer's. curriculum_manager: chooses the task of each episode; one without
    tasks gets the mission as its task. output: where run directories are created; cache_dir: cache of episode records,
    by default in the output directory; console: for progress. launch: the machines on which `workers_per_node` ranks
    each learn together, by default this one, or the Ray cluster whose workers they are. With several ranks, and on a
    cluster, only `train` trains.

    If nothing names a mission, the first `train_on_task` does; until then no other method can train.
    """

    def __init__(
        self,
        config: DAFTrainingConfig | None = None,
        policy: Any = None,
        training_env: Any = None,
        adaptive_controller: Controller | None = None,
        curriculum_manager: Curriculum | None = None,
        *,
        branch_from: str | Path | None = None,
        gpu_allowed: bool = True,
        gpu_memory_fraction: float = 1.0,
        output: OutputManager | None = None,
        cache_dir: str | Path | None = None,
        console: "Console | None" = None,
        launch: Launch | None = None,
    ) -> None:
        """Raises `UsageError` and its subclasses (`ConfigError`, `MissionError`, `PolicyError`), `CheckpointError`."""
        environment = None if training_env is None else mission_of(training_env)
        if environment is not None and curriculum_manager is not None:
            environment = add_as_task(environment, curriculum_manager, game=(config or DAFTrainingConfig()).game)
        self._output = output or get_output_manager()
        chosen = _with_curriculum(
            combined(config, mission=environment, policy=policy).keeping(self._output.max_checkpoints_to_keep),
            curriculum_manager,
        )
        cache = remote.local(cache_dir) if cache_dir is not None else remote.below(self._output.base_dir, "cache")
        self._places = Places(cache, cache / "bundles", self._output.base_dir)
        self._config = chosen
        self._launch, self._gpu_allowed = launch or Launch(), gpu_allowed
        if self._launch.cluster is not None:
            from daf.core.distributed.ray_training import reach

            reach(self._launch.cluster, chosen, gpu_allowed=gpu_allowed)
        self._set_up = partial(
            set_up,
            chosen,
            self._places,
            policy=policy,
            curriculum=curriculum_manager,
            branch_from=None if branch_from is None else Path(branch_from).expanduser(),
            gpu_allowed=gpu_allowed,
            gpu_memory_fraction=gpu_memory_fraction,
            console=console,
            ranks=chosen.workers_per_node * self._launch.most,
            elsewhere=self._launch.cluster is not None,
        )
        self._training: TrainingRun | None = None
        self._by_task = environment is None and not chosen.missions and not names_tasks(chosen, curriculum_manager)
        if self._by_task:
            policy_of(chosen, self._places, policy)  # called for the errors that it raises
        else:
            self._training = self._set_up(mission=environment)
        self._given = (environment, policy)
        self._controller = adaptive_controller
        if adaptive_controller is None and isinstance(chosen, DAFRlConfig) and chosen.adaptive_config is not None:
            self._controller = RecordedFeedback(
                DAFAdaptiveConfig(**chosen.adaptive_config),
                output=self._output,
                curriculum_manager=None if self._training is None else self._training.curriculum,
            )
        if isinstance(chosen, DAFRlConfig) and not chosen.integrate_with_adaptive:
            self._controller = None
        use_curriculum = getattr(self._controller, "use_curriculum", None)
        if use_curriculum is not None and curriculum_manager is not None:
            use_curriculum(curriculum_manager)
        self._follows = curriculum_manager is not None or use_curriculum is not None
        self._metrics: dict[str, float] = {}
        self._speed = TrainingSpeed()
        self._reached = Reached()

    @property
    def training(self) -> TrainingRun:
        """The run of this trainer. Raises `UsageError` if no mission is known yet."""
        if self._training is None:
            raise UsageError(
                "no mission to train on is given. Give training_env, `mission` or `curriculum` in the configuration, a "
                "curriculum with tasks, or call train_on_task first. `daf missions` lists all missions."
            )
        return self._training

    @property
    def config(self) -> DAFTrainingConfig:
        """The current settings."""
        return self._config if self._training is None else self._training.config

    def train(
        self,
        on_training_complete: Callable[[TrainingResult], None] | None = None,
        on_evaluation_complete: Callable[[Mapping[str, Any]], None] | None = None,
        *,
        on_update: Callable[[Progress], None] | None = None,
        stop_at: int | None = None,
        run_dir: str | Path | None = None,
        run_id: str | None = None,
    ) -> TrainingResult:
        """Train until total_timesteps, in a run directory; a failure or Ctrl-C is reported as the result's status.

        on_evaluation_complete: called with each evaluation, as in evaluations.jsonl, with `mean_reward`. on_update:
        called after every update; it may raise `StopTraining`. stop_at: agent steps to stop after. run_dir: used
        instead of a new directory of the output manager; if it holds a checkpoint, training resumes from it.
        """
        training = self.training

        def updated(progress: Progress) -> None:
            self._reached = Reached(progress.steps, progress.updates, progress.metrics["clock/seconds"])
            self._note(progress.metrics)
            if on_update is not None:
                on_update(progress)

        def evaluated(record: Mapping[str, Any]) -> None:
            if self._controller is not None and record["mean"] is not None and START not in record:
                self._controller.update_from_evaluation({"score": record["mean"], **record})
            if on_evaluation_complete is not None:
                on_evaluation_complete({**record, "mean_reward": record["mean"]})

        def run() -> TrainingResult:
            write_settings(training, *self._given)
            if not training.elsewhere:
                self._speed.start(training.learner)
                return train(training, stop_at=stop_at, on_update=updated, on_evaluation=evaluated)
            if self._launch.cluster is not None:
                from daf.core.distributed.ray_training import train_on_ray as train_in_ranks
            else:
                from daf.core.distributed.training import train_in_ranks
            training.find_checkpoint()
            self._reached = Reached.at(training.resumes_from or training.branch_from)
            self._speed.start(self._reached)
            found = train_in_ranks(
                training,
                self._launch,
                gpu_allowed=self._gpu_allowed,
                stop_at=stop_at,
                on_update=updated,
                on_evaluation=evaluated,
                curriculum_followed=self._follows,
            )
            self._reached = Reached(found.steps, found.updates, found.wall_seconds, found.scores)
            return found

        if run_dir is not None:
            run_dir = Path(run_dir).expanduser()
            if not training.opened:
                training.open(run_dir, run_id or run_dir.name)
            result = run()
        else:
            settled = {"training": self.config.to_data()}
            with self._output.operation(OPERATION, title=f"train {training.title}", config=settled) as folder:
                training.open(folder, self._output.session_id)
                result = run()
                message = (result.error or {}).get("message")
                self._output.log_operation_complete(OPERATION, result.ending, {"steps": result.steps}, error=message)
        if on_training_complete is not None:
            on_training_complete(result)
        return result

    def train_episodes(self, n: int) -> dict[str, Any]:
        """Train until `n` more episodes have ended, or total_timesteps.

        Returns their mean return per agent ("score"), their scores with the keys of `EpisodeScores` ("episodes",
        "avg_reward", …), and the last metrics. Raises `UsageError` if no episode could end.
        """
        if n < 1:
            raise UsageError(f"train_episodes: n must be 1 or more, got {n}.")
        self._speed.start(self.training.learner)
        scores = EpisodeScores(recent=None, per_task=None)
        while scores.episodes < n and self.training.learner.steps < self.config.total_timesteps:
            values = self.training.learner.update()
            self.training.learner.records.clear()  # samples for a run's logs, which are not written here
            scores.add(self.training.learner.latest)
            self._note(values)
        if not scores.episodes:
            raise UsageError(
                f"all {self.config.total_timesteps:,} total_timesteps are trained and the schedules have ended; create "
                "a trainer with a larger total_timesteps."
            )
        found = scores.results()
        return {"score": found["avg_reward"], **found, "steps": self.training.learner.steps, **self._metrics}

    def train_on_task(self, task_id: str | Task, env: Any, episodes: int) -> dict[str, Any]:
        """Train on another mission until `episodes` of its episodes have ended; then episodes are drawn as before.

        task_id: a name, or a curriculum's task. env: a mission string, config or environment with the same agents,
        observations and actions. Returns the results of `train_episodes`, with the task's name. Raises `ConfigError` if
        env does not match.
        """
        name = task_id.key if isinstance(task_id, Task) else task_id
        (mission,) = missions.resolve(mission_of(env), game=self.config.game)
        if self._by_task:
            self._add_task_mission(mission)
        with SingleTask(self.training, name, mission):
            return {"task": name, **self.train_episodes(episodes)}

    def evaluate_policy(self, episodes: int | None = None) -> dict[str, Any]:
        """Evaluate the current policy on the fixed seeds; the record as in evaluations.jsonl, with `mean_reward`.

        A trainer without a configured mission evaluates on all missions that it was trained on.
        """
        with tempfile.TemporaryDirectory(prefix="daf-evaluation-") as folder:
            saved = self.save_training_state(folder)
            record = evaluate_checkpoint(
                saved,
                self.training.evaluated_on,
                episodes=episodes or self.config.eval_episodes,
                cache_dir=self._places.cache,
                device=self.training.device,
                gpu_memory_fraction=self.training.gpu_memory_fraction,
            )
        data = {"step": self.training.learner.steps, **record.to_data(Path()), "mean_reward": record.overall.mean}
        if self._controller is not None and record.overall.mean is not None:
            self._controller.update_from_evaluation({"score": record.overall.mean, **data})
        return data

    def get_training_metrics(self) -> dict[str, float]:
        """The last update's metrics, with the names of metrics.jsonl; empty before the first."""
        return dict(self._metrics)

    def get_training_summary(self) -> dict[str, Any]:
        """The state of training in numbers."""
        training = self._training
        reached = self._now
        return {
            "experiment_name": self.config.experiment_name,
            "policy": self.config.policy if training is None else training.policy.name,
            "missions": [] if training is None else [mission.name for mission in training.missions],
            "steps": reached.steps,
            "updates": reached.updates,
            "total_timesteps": self.config.total_timesteps,
            **reached.scores,
            "seconds": reached.seconds,
            "timesteps_per_second": self.get_timesteps_per_second(),
            "episodes_per_second": self.get_episodes_per_second(),
            "update_frequency": self.get_update_frequency(),
            "gradient_norm": self.get_gradient_norm(),
            "metrics": self.get_training_metrics(),
        }

    def get_episodes_per_second(self) -> float | None:
        """Episodes that this trainer finished, per second of its updates; None before the first update."""
        return self._speed.episodes_per_second(self._now)

    def get_timesteps_per_second(self) -> float | None:
        """Agent steps per second of this trainer's updates; None before the first."""
        return self._speed.steps_per_second(self._now)

    def get_update_frequency(self) -> float | None:
        """Updates per second; None before the first."""
        return self._speed.updates_per_second(self._now)

    def get_gradient_norm(self) -> float | None:
        """The mean gradient norm of the last update, before clipping; None before the first."""
        return self._metrics.get("gradient/norm")

    def increase_batch_size(self, factor: int = 2) -> int:
        """Multiply the agent steps per gradient step by `factor`; returns the new number.

        Raises `ConfigError` if it does not divide the rollout.
        """
        training = self.training
        larger = training.sizes.batch * training.sizes.horizon * factor
        self._configure(batch_size=larger)
        return larger

    def enable_gradient_clipping(self, max_norm: float = 0.5) -> None:
        """Clip gradients to this norm, starting with the next update. Raises `ConfigError`."""
        self._configure(max_grad_norm=max_norm)

    def save_training_state(self, path: str | Path) -> Path:
        """Write a checkpoint of the current state into the directory `path`, and return the checkpoint's path."""
        return self.training.checkpoint(Path(path))

    def load_training_state(self, path: str | Path) -> None:
        """Resume from a checkpoint of the same network, mission and configuration. Raises `CheckpointError`."""
        source = Path(path)
        if not (source / checkpoints.FACTS).is_file():
            found = checkpoints.latest(source)
            source = source if found is None else found
        self.training.restore(source)
        self._speed.start(self.training.learner)

    def close(self) -> None:
        """End the environment processes."""
        if self._training is not None:
            self._training.close()

    def _add_task_mission(self, mission: Mission) -> None:
        """Add a task's mission to a trainer without a configured one: it trains on the first and evaluates on all."""
        if self._training is None:
            self._training = self._set_up(mission=mission)
            self._given = (mission, self._given[1])
        evaluated, plain = self._training.evaluated_on, unshaped(mission)
        if self.config.eval_missions is None and plain.config_hash not in {each.config_hash for each in evaluated}:
            evaluated.append(plain)

    @property
    def _now(self) -> Reached:
        """What training has reached, in this process or in the ranks."""
        training = self._training
        if training is None or training.elsewhere:
            return self._reached
        learner = training.learner
        return Reached(learner.steps, learner.updates, learner.seconds, learner.scores.results())

    def _note(self, values: Mapping[str, float]) -> None:
        self._metrics = dict(values)
        count = values.get("episode/count", 0.0)
        self._speed.add(count)
        if self._controller is not None and count:
            self._controller.update_from_training_results(
                {"score": values["episode/return"], "episodes": count, **values}
            )

    def _configure(self, **fields: Any) -> None:
        """Change settings from the next update on; later checkpoints contain them."""
        self.training.reconfigure(**fields)
        if self.training.opened:
            write_settings(self.training, *self._given)


def _with_curriculum(config: DAFTrainingConfig, curriculum: Curriculum | None) -> DAFTrainingConfig:
    """`config` with `curriculum_config` as `curriculum`, omitted if the object `curriculum` has the same settings."""
    if not isinstance(config, DAFRlConfig) or config.curriculum_config is None:
        return config
    if config.curriculum is not None:
        raise ConfigError("curriculum and curriculum_config are two names of one setting; give only one of them.")
    if getattr(curriculum, "config", None) == DAFCurriculumConfig(**config.curriculum_config):
        return config.replace(curriculum_config=None)
    return config.replace(curriculum=config.curriculum_config)
