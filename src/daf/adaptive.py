"""Experiments of many training runs: what `daf adaptive` does.

An experiment has an id, and its journal is in its run directory; running it again resumes it. See
`daf.core.adaptive_controller` for the class behind it.
"""

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.extras import require
from daf.core.adaptive import targets
from daf.core.adaptive.commands import DafCommands, training_config
from daf.core.adaptive.config import NETWORK
from daf.core.adaptive.dispatching import runner_for
from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.adaptive.record import Record, controlled, request_stop
from daf.core.adaptive.running import Running
from daf.core.adaptive.schedulers import scheduler_of
from daf.core.adaptive.schedulers.interface import Wanted
from daf.core.adaptive.state import Experiment, Run
from daf.core.adaptive.status import ExperimentStatus, find, status_of
from daf.core.adaptive_controller import DAFAdaptiveConfig, DAFAdaptiveController, Hooks
from daf.core.jobs.runners import runner_of
from daf.errors import ConfigError, UsageError, unknown
from daf.game.policy_arguments import Arguments, arguments_of, check_arguments

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

_STOP_POLL_SECONDS = 0.1
"""Seconds between checks whether a controller has stopped."""


def daf_run_adaptive(
    config: DAFAdaptiveConfig | str | Path,
    *,
    output: "OutputManager | None" = None,
    hooks: Hooks | None = None,
    retry_failed: bool = False,
    on_change: Callable[[Experiment], None] | None = None,
    executor: str | None = None,
    cluster: ClusterOptions = THIS_MACHINE,
) -> ExperimentStatus:
    """Run or resume the experiment that `config` (or the file of that name) defines.

    executor: where jobs run, "local" or "ray"; None for what the config says. cluster: for "ray".

    Errors of the initial runs raise `ConfigError`, `MissionError`, `PolicyError` before anything is written.
    Raises `AdaptiveControllerError`, and `Interrupted` after Ctrl-C. Runs that fail are part of the result.
    """
    require("train", "an experiment of training runs")
    chosen = config if isinstance(config, DAFAdaptiveConfig) else config_from_file(Path(config))
    if output is None:
        from daf.output_manager import OutputManager

        output = OutputManager()
    runner = runner_for(chosen, executor, cluster)
    if find(chosen.experiment_id, output.base_dir) is None:
        _check(chosen, output.base_dir)
    with DAFAdaptiveController(
        chosen, output=output, dispatcher=runner, hooks=hooks, on_change=on_change
    ) as controller:
        return controller.start_experiment(retry_failed=retry_failed)


@dataclass(frozen=True)
class AdaptivePlan:
    """An experiment before it runs: its scheduler, and the runs that it starts with. exists: it has been started."""

    experiment_id: str
    scheduler: str
    max_concurrent_jobs: int
    exists: bool
    runs: tuple[Wanted, ...]

    def to_data(self) -> dict[str, Any]:
        """All fields, as JSON data."""
        return asdict(self)


def plan_experiment(config: DAFAdaptiveConfig | str | Path, *, output: "OutputManager | None" = None) -> AdaptivePlan:
    """Check an experiment and describe its first runs; nothing is trained or written.

    Raises `ConfigError`, `MissionError`, `PolicyError`, as the experiment would.
    """
    require("train", "an experiment of training runs")
    from daf.output_manager.layout import base_folder

    chosen = config if isinstance(config, DAFAdaptiveConfig) else config_from_file(Path(config))
    base = base_folder(None) if output is None else output.base_dir
    _check(chosen, base)
    scheduler = scheduler_of(chosen)
    return AdaptivePlan(
        experiment_id=chosen.experiment_id,
        scheduler=chosen.scheduler,
        max_concurrent_jobs=chosen.max_concurrent_jobs,
        exists=find(chosen.experiment_id, base) is not None,
        runs=tuple(scheduler.wanted({})),
    )


def daf_adaptive_status(experiment: str = "latest", output_dir: str | Path | None = None) -> ExperimentStatus:
    """An experiment by its id, its run id, or "latest". Raises `UsageError` if there is none."""
    return status_of(experiment, None if output_dir is None else Path(output_dir))


def daf_stop_adaptive(
    experiment: str = "latest",
    output_dir: str | Path | None = None,
    *,
    reason: str = "daf adaptive stop",
    timeout: float = 120.0,
) -> ExperimentStatus:
    """Let all jobs of an experiment save and end, so it can be resumed later. Waits at most `timeout` seconds for it.

    If its controller has died, this ends the jobs that it left running. An experiment that is done or stopped does not
    change. Raises `UsageError` for an unknown experiment, `AdaptiveControllerError` if it has not stopped in time.
    """
    status = daf_adaptive_status(experiment, output_dir)
    if status.controlled:
        request_stop(status.run_dir, reason)
        deadline = time.monotonic() + timeout
        while controlled(status.run_dir):
            if time.monotonic() > deadline:
                raise AdaptiveControllerError(
                    f"experiment {status.experiment.experiment_id} did not stop within {timeout:g} s; the request "
                    "was sent, and it stops at the end of its current step."
                )
            time.sleep(_STOP_POLL_SECONDS)
    elif status.status == "interrupted":
        _end_orphans(status, reason)
    return daf_adaptive_status(status.run_id, output_dir)


def _end_orphans(status: ExperimentStatus, reason: str) -> None:
    config = DAFAdaptiveConfig(**status.experiment.config)
    record = Record(status.run_dir)
    try:
        commands, runner = DafCommands(config, status.run_dir), runner_of(status.run_dir / "jobs")
        Running(record, config, scheduler_of(config), runner, commands, Hooks()).take_over_and_stop(reason)
    finally:
        record.close()


def _check(config: DAFAdaptiveConfig, base_dir: Path) -> None:
    """Reject configurations with which runs would fail, or would be scored without training.

    That is missions, policies and arguments of these that do not exist, batches that do not fit their rollouts, and
    rungs or intervals below one rollout.
    """
    from daf.compute.executor import job_count
    from daf.core.rollout_sizes import of_ranks, rollout_sizes
    from daf.game import missions, policies
    from daf.playing.planning import default_cache

    game, cache = config.trains.game, default_cache(base_dir)
    first, *_ = missions.resolve(_first_tasks(config), game=game)
    missions.resolve(config.evaluated_on, game=game)
    searched = config.search_space.get("policy")
    named = [config.trains.policy, *(run.get("policy") for run in config.runs)]
    for policy in dict.fromkeys([*named, *(searched if isinstance(searched, list) else [])]):
        if policy is not None:
            check_arguments(policies.resolve(str(policy), cache=cache, runs=base_dir), cache=cache)
    agents, tokens = first.num_agents, int(first.config.game.obs.num_tokens)
    started_at = 0 if config.initial_checkpoint is None else targets.steps_of(config.initial_checkpoint)
    scheduler, cores = scheduler_of(config), job_count("auto")
    arguments = functools.cache(lambda policy: arguments_of(policy, cache=cache, runs=base_dir))
    for wanted in scheduler.wanted({}):
        chosen = training_config(config, Run(wanted.run, wanted.settings, wanted.target, wanted.why))
        try:
            if chosen.network:
                _check_arguments(chosen.network, str(chosen.policy), arguments(str(chosen.policy)))
            configured = rollout_sizes(chosen, agents=agents, tokens=tokens, cores=cores)
            whole = of_ranks(configured, chosen, chosen.workers_per_node)
            targets.check(scheduler.targets, started_at=started_at, update=whole.steps(chosen.n_steps))
        except ConfigError as error:
            raise ConfigError(f"{wanted.run}: {error}") from error


def _first_tasks(config: DAFAdaptiveConfig) -> list[str]:
    """The missions that are trained on, as a curriculum has combined them with its options."""
    if config.trains.curriculum is None:
        return config.trained_on
    from daf.core.training_setup import curriculum_of
    from daf.game import missions

    named = missions.resolve(config.trains.missions, game=config.trains.game)
    return [task.mission for task in curriculum_of(config.trains, named).tasks()]


def _check_arguments(network: Iterable[str], policy: str, taken: Arguments) -> None:
    """Raise `ConfigError` for an argument that the policy's class does not take."""
    for name in network:
        if name not in taken.whole and not taken.open_ended:
            raise ConfigError(f"{NETWORK}{name}: {unknown(f'argument of {policy}', name, taken.whole)}")


def config_from_file(path: Path) -> DAFAdaptiveConfig:
    """The experiment that a YAML or JSON file describes. Raises `UsageError`, `ConfigError`."""
    if not path.is_file():
        raise UsageError(f"no file {path}. `daf adaptive run` needs a YAML or JSON file.")
    return DAFAdaptiveConfig.from_json(path) if path.suffix.lower() == ".json" else DAFAdaptiveConfig.from_yaml(path)
