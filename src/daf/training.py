"""Train a policy in a run directory that can be stopped and resumed exactly.

`daf_train_policy` does what `daf train` does. The run directory contains all settings (`training_config.yaml`), so
resuming needs nothing else.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute import _ray_cluster as ray_cluster
from daf.config import DAFConfig, DAFTrainingConfig
from daf.config.extras import require
from daf.core.agreement import Agreement, read_agreement, write_agreement
from daf.core.distributed.launch import Launch
from daf.core.stored_settings import CONFIG_FILE, MISSION_FILE, stored_mission
from daf.core.training_result import Progress, StopTraining, TrainingResult, finished_result
from daf.episodes.cache import EpisodeCache
from daf.errors import UsageError
from daf.game import compat
from daf.output_manager import OutputManager, find_run, list_runs
from daf.output_manager.layout import EXECUTION_LOG, LOCK
from daf.output_manager.publication import adding_to
from daf.output_manager.runs import RunInfo, require_intact
from daf.playing.planning import default_cache
from daf.storage.locks import exclusive_if_supported

if TYPE_CHECKING:
    import torch
    from mettagrid import MettaGridConfig
    from mettagrid.policy.policy import PolicySpec
    from rich.console import Console

    from daf.core.curriculum import Curriculum

__all__ = [
    "CONFIG_FILE",
    "MISSION_FILE",
    "CloneResult",
    "Progress",
    "StopTraining",
    "TrainingResult",
    "daf_clone_policy",
    "daf_train_policy",
]

logger = logging.getLogger(__name__)
OPERATION = "training"


def daf_train_policy(
    mission: "str | Path | list[str] | MettaGridConfig | tuple[str, MettaGridConfig] | None" = None,
    policy: "str | Path | PolicySpec | None" = None,
    *,
    config: DAFTrainingConfig | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    total_timesteps: int | None = None,
    ranks: int | None = None,
    seed: int | None = None,
    device: "str | torch.device | None" = None,
    teacher: "str | Path | Sequence[str] | None" = None,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    stop_at: int | None = None,
    take_over: bool = False,
    branch_from: str | Path | None = None,
    curriculum: "Curriculum | None" = None,
    output: OutputManager | None = None,
    settings: DAFConfig | None = None,
    console: "Console | None" = None,
    on_update: Callable[[Progress], None] | None = None,
    on_evaluation: Callable[[Mapping[str, Any]], None] | None = None,
    report: bool = True,
    launch: Launch | None = None,
) -> TrainingResult:
    """Train `policy` on `mission` with PPO.

    config: all settings; mission, policy, hyperparameters (by any of their names; any other name is an argument of the
    policy's class), total_timesteps, ranks (`workers_per_node`), seed, device and teacher (the policy to imitate, or
    one for each agent) override it. run_dir: the directory of the run instead of a new one of `output`; if it contains
    a checkpoint, training resumes from it. output: also determines how many checkpoints are kept if `config` does not.
    resume: the id or directory of a run to resume with its settings (total_timesteps may increase, ranks may change;
    pass a curriculum object again). stop_at: stop with a checkpoint after that number of agent steps; the same call
    with a larger number continues as if it had not stopped. take_over: resume even if DAF cannot determine whether the
    run is still active (see `OutputManager.resume`).
    branch_from: start from another run's checkpoint, its optimizer and its counters. curriculum: draws the task of
    each episode instead of a mission; default: `config.curriculum`. settings: whether GPUs may be used, and which
    fraction of their memory. on_update: called after every update, may raise `StopTraining`. report: leave the report
    of the run, `report.html` and `REPORT.md`, in its directory. launch: the machines on which the ranks learn together,
    by default this one. A machine with a node_rank above 0 takes part in the run of machine 0, with its settings, and
    writes nothing.

    A failure or Ctrl-C during training sets the status of the result. Raises `UsageError`, `ConfigError`,
    `MissionError`, `PolicyError`, `CheckpointError` before training starts, `StorageError`.
    """
    require("train", "training")
    if launch is not None:
        launch.quiet_connections()
        if launch.cluster is not None and launch.cluster.address is not None:
            ray_cluster.connect(launch.cluster.address)  # before the seconds that importing torch takes
    compat.install()  # before mettagrid is imported, which would configure everyone's logging
    from daf.core.rl_trainer import DAFRlTrainer
    from daf.core.training_report.page import write_training_page
    from daf.core.training_setup import combined

    def from_arguments() -> DAFTrainingConfig:
        return combined(
            config,
            mission=mission,
            policy=policy,
            hyperparameters=hyperparameters,
            total_timesteps=total_timesteps,
            workers_per_node=ranks,
            seed=seed,
            device=device,
            teacher=_named(teacher),
        )

    if launch is not None and launch.node_rank:
        from daf.core.distributed.training import join_training

        return join_training(launch, from_arguments(), console=console)
    output = output or OutputManager()
    cache = EpisodeCache(default_cache(output.base_dir))
    if cache.root.is_dir():
        cache.hold()  # during training: policies may be unpacked there
    if stop_at is not None and stop_at < 1:
        raise UsageError(f"stop_at must be 1 agent step or more, got {stop_at}.")
    if take_over and resume is None:
        raise UsageError("take_over requires resume: a new run has nothing to take over.")
    folder, resumed = None, None
    if resume is not None:
        given = {
            "mission": mission, "policy": policy, "config": config, "hyperparameters": hyperparameters, "seed": seed,
            "device": device, "teacher": teacher, "run_dir": run_dir, "branch_from": branch_from,
        }  # fmt: skip
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise UsageError(
                f"resume uses the settings of the run: omit {', '.join(extra)}. Only total_timesteps may increase, and "
                "ranks may change; branch_from starts another run with other settings."
            )
        folder = Path(resume).expanduser().absolute()
        if (folder / CONFIG_FILE).is_file() and not (folder / EXECUTION_LOG).is_file():
            run_dir = folder  # created with run_dir, not by the output manager
        else:
            resumed = _run_to_resume(str(resume), output.base_dir)
            require_intact(resumed)
            folder = resumed.path
        chosen = _settings_of(folder, total_timesteps=total_timesteps, workers_per_node=ranks)
        over = finished_result(folder, folder.name, chosen, stop_at)
        if over is not None:
            logger.info("%s has finished training; nothing is left to do", folder)
            output.label(folder)
            if report and over.report is None:
                write_training_page(folder)
            return over
        mission = stored_mission(folder, chosen)
        if any((folder / "checkpoints").glob("step_*")):
            chosen = chosen.replace(initial_weights=None)  # the checkpoint replaces them
    else:
        chosen = from_arguments()
        folder = None if run_dir is None else Path(run_dir).expanduser().absolute()
        resumes = folder is not None and any((folder / "checkpoints").glob("step_*"))
        if branch_from is not None and not resumes and not Path(branch_from).expanduser().is_dir():
            raise UsageError(f"no checkpoint {branch_from} to branch from; a checkpoint is a directory such as step_….")
    trainer = DAFRlTrainer(
        chosen,
        policy,
        mission,
        curriculum_manager=curriculum,
        branch_from=None if branch_from is None else Path(branch_from).expanduser(),
        gpu_allowed=settings is None or settings.enable_gpu,
        gpu_memory_fraction=1.0 if settings is None else settings.gpu_memory_fraction,
        output=output,
        cache_dir=cache.root,
        console=console,
        launch=launch,
    )
    training = trainer.training
    with contextlib.ExitStack() as stack:
        if resumed is not None:
            output.resume(str(resumed.path), OPERATION, take_over=take_over)
            training.open(resumed.path, resumed.run_id, _checkpoint_dir(output, resumed.path))
        elif folder is not None:
            busy = f"another process is training in {folder}. Wait until it has finished, or stop it."
            stack.enter_context(exclusive_if_supported(folder / LOCK, busy))
            training.open(folder, folder.name)
            output.label(folder)
        if run_dir is not None:
            stack.enter_context(output.services(training.run_dir, OPERATION))
        else:
            settled = {"training": trainer.config.to_data()}
            begun = stack.enter_context(output.operation(OPERATION, title=f"train {training.title}", config=settled))
            if resumed is None:
                training.open(begun, output.session_id, _checkpoint_dir(output, begun))
        result = trainer.train(
            None, on_evaluation, on_update=on_update, stop_at=stop_at, run_dir=training.run_dir, run_id=training.run_id
        )
        if run_dir is None:
            details = {"steps": result.steps, "status": result.status}
            output.log_operation_complete(OPERATION, result.ending, details, error=(result.error or {}).get("message"))
    if report:
        with adding_to(result.run_dir):
            write_training_page(result.run_dir)
    return result


@dataclass(frozen=True, slots=True)
class CloneResult:
    """training: the run, whose `learned` compares the clone with its teacher. agreement: None if it did not finish."""

    training: TrainingResult
    agreement: Agreement | None


CLONE_EPISODES = 20
"""Episodes on which a clone is compared with its teacher, if the configuration does not say."""
CLONE_HORIZON = 16
"""Steps of a sequence that a clone learns from, if the configuration does not say and they divide n_steps: minibatches
of many short sequences are more varied.
"""
CLONE_POLICY = "token_grid"


def daf_clone_policy(
    policy: "str | Path | Sequence[str] | None" = None,
    missions: "str | Path | list[str] | MettaGridConfig | tuple[str, MettaGridConfig] | None" = None,
    *,
    student: "str | Path | PolicySpec | None" = None,
    config: DAFTrainingConfig | None = None,
    agreement_episodes: int = 8,
    report: bool = True,
    output: OutputManager | None = None,
    console: "Console | None" = None,
    **training: Any,
) -> CloneResult:
    """Train `student` (token_grid) to do what `policy` does, and report how far it succeeds.

    policy: the teacher, or one for each agent. config, training: as of `daf_train_policy`; every agent step belongs to
    the phase `imitate`. At the end the clone is compared with its teacher: its returns on the same episodes
    (`eval_episodes`, 20 by default), and its actions in the states of `agreement_episodes` other episodes that it
    leads.
    resume: also measures the agreement of a run that stopped before that. Raises as `daf_train_policy`.
    """
    output = output or OutputManager()
    if agreement_episodes < 1:
        raise UsageError(f"agreement_episodes must be 1 or more, got {agreement_episodes}.")
    if training.get("resume") is None:
        chosen = config or DAFTrainingConfig()
        fields: dict[str, Any] = {}
        if policy is not None:
            fields["teacher"] = _named(policy)
        elif chosen.teacher is None:
            raise UsageError("no policy to clone is given; `daf policies` lists them.")
        if chosen.imitate_steps is not None:
            raise UsageError("a clone learns from its teacher alone: omit imitate_steps, or use daf train.")
        if "eval_episodes" not in chosen.model_fields_set:
            fields["eval_episodes"] = CLONE_EPISODES
        if chosen.bptt_horizon is None and chosen.n_steps % CLONE_HORIZON == 0:
            fields["bptt_horizon"] = CLONE_HORIZON
        if student is None and chosen.policy is None:
            student = CLONE_POLICY
        training |= {"config": chosen.replace(**fields), "mission": missions, "policy": student}
    elif policy is not None or missions is not None or student is not None or config is not None:
        raise UsageError("resume uses the settings of the run: omit policy, missions, student and config.")
    result = daf_train_policy(report=False, output=output, console=console, **training)
    agreement = None
    with adding_to(result.run_dir):
        if result.status == "done":
            agreement = read_agreement(result.run_dir) or _measured_agreement(result, agreement_episodes, output)
        if report:
            from daf.core.training_report.page import write_training_page

            write_training_page(result.run_dir)
    return CloneResult(result, agreement)


def _named(teacher: "str | Path | Sequence[str] | None") -> str | list[str] | None:
    """A teacher, or one for each agent, as configurations name it."""
    return None if teacher is None else str(teacher) if isinstance(teacher, str | Path) else list(teacher)


def _measured_agreement(result: TrainingResult, episodes: int, output: OutputManager) -> Agreement:
    """Measure and store the agreement of a finished run. Raises `UsageError` if it had no teacher."""
    from daf.core import checkpoints
    from daf.core._measuring_agreement import measure_agreement
    from daf.core.training_setup import Places, set_up

    config = DAFTrainingConfig.from_yaml(result.run_dir / CONFIG_FILE).replace(initial_weights=None)
    if config.teacher is None:
        raise UsageError(f"{result.run_dir} is not a clone: it was trained without a teacher.")
    cache = EpisodeCache(default_cache(output.base_dir))
    places = Places(cache.root, cache.bundles, output.base_dir)
    run = set_up(config, places, mission=stored_mission(result.run_dir, config))
    assert result.final_checkpoint is not None
    checkpoints.load_weights(result.final_checkpoint, run.trainable)
    agreement = measure_agreement(run, episodes)
    write_agreement(result.run_dir, agreement)
    return agreement


def _run_to_resume(name: str, base: Path) -> RunInfo:
    """The run `name`; "latest" is the last single training run, not an experiment. Raises `UsageError`."""
    if name != "latest":
        return find_run(name, base, OPERATION)
    runs = [run for run in list_runs(base, OPERATION) if (run.path / CONFIG_FILE).is_file()]
    if not runs:
        raise UsageError(f"no training run to resume in {base}. --output-dir selects another output directory.")
    return runs[0]


def _settings_of(run: Path, **changed: Any) -> DAFTrainingConfig:
    """The settings that a run started with, except those `changed` that are not None.

    Raises `UsageError` if they are missing, `ConfigError`.
    """
    if not (run / CONFIG_FILE).is_file():
        raise UsageError(f"{run} can't be resumed: it has no {CONFIG_FILE}, so it is not a training run that started.")
    found = DAFTrainingConfig.from_yaml(run / CONFIG_FILE)
    given = {name: value for name, value in changed.items() if value is not None}
    return found.replace(**given) if given else found


def _checkpoint_dir(output: OutputManager, folder: Path) -> Path | None:
    """The configured directory for the checkpoints of a run; None for the run directory.

    A run_dir of the caller contains its checkpoints, because its name alone would not be unique.
    """
    return None if output.checkpoint_dir is None else output.checkpoint_dir / folder.name
