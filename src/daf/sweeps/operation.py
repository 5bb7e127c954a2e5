"""A sweep from its configuration to its result; the same call again continues it, or reads a finished one.

Invalid configurations are rejected before a directory is created: unknown names, values out of bounds, missions and
policies that do not exist, metrics that a mission does not provide, an unbounded grid.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.sweep import DAFSweepConfig
from daf.core.jobs.runners import make_runner, trains_on_gpu
from daf.errors import DataError
from daf.output_manager.publication import adding_to
from daf.playing.settings import DEFAULT_GPU_MEMORY_FRACTION
from daf.storage import locks
from daf.sweeps import journal
from daf.sweeps._coordinator import Coordinator
from daf.sweeps._implied_training import training_note
from daf.sweeps._notes import notes_of
from daf.sweeps._optuna_copy import OptunaCopy
from daf.sweeps._scale_names import scaled_name
from daf.sweeps._training import TrialTraining
from daf.sweeps._trial import DEFAULT, TrialRunner
from daf.sweeps.checkpoint_pruning import prune
from daf.sweeps.held_out import held_out_seeds, play_held_out
from daf.sweeps.held_out_summary import machine_failed
from daf.sweeps.objective import Scale, between, needs_default, plain, relative
from daf.sweeps.playing import TrialPlayer
from daf.sweeps.preparing import Prepared, player_of, prepare
from daf.sweeps.reading import RESULT
from daf.sweeps.result import SweepResult
from daf.sweeps.resuming import START_LOCK, fingerprint, is_done, named_sweep, same_sweep, write_facts
from daf.sweeps.strategies import Proposer
from daf.sweeps.training_seeds import OnRun, play_training_seeds, training_seeds
from daf.sweeps.trial_episodes import record_best
from daf.sweeps.trial_result import SweepTrialResult, best_configurations

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)

OnTrial = Callable[[SweepTrialResult, int, int], None]
"""Called with a trial that ended, the number of trials that have ended, and the total number of trials."""


def launch(
    config: DAFSweepConfig,
    *,
    output: "OutputManager",
    jobs: int | str = "auto",
    executor: str = "local",
    cluster: ClusterOptions = THIS_MACHINE,
    use_cache: bool = True,
    gpu_allowed: bool = True,
    gpu_memory_fraction: float = DEFAULT_GPU_MEMORY_FRACTION,
    new: bool = False,
    run: str | None = None,
    take_over: bool = False,
    save_replays: str = "best",
    on_start: Callable[[Path, int, int], None] | None = None,
    on_trial: OnTrial | None = None,
    on_run: OnRun | None = None,
) -> SweepResult:
    """Run a sweep, or its missing trials.

    gpu_allowed: whether the configured device may be a GPU. gpu_memory_fraction: share of the GPU memory for each
    process that plays episodes. new: start over even if the same configuration was run before. run: the run to
    continue, which must be of this configuration. take_over: continue even if this machine cannot determine whether the
    run is still active (see `OutputManager.resume`). save_replays: which episodes of the best `checkpoint_best_n`
    trials (at least of one) to record at the end: "none", "best" (of each mission) or "all". on_start: called with the
    run directory, the number of trials that have ended, and the total. on_run: called after each training run of
    `train_seeds`. Raises `UsageError` and its subclasses before
    anything is written. A sweep in which every trial failed is a result with status failed, not an exception.
    """
    from daf.sweeps.pages.sweep_page import write_sweep_page

    prepared = prepare(
        config,
        output,
        jobs=jobs,
        executor=executor,
        cluster=cluster,
        use_cache=use_cache,
        gpu_allowed=gpu_allowed,
        gpu_memory_fraction=gpu_memory_fraction,
        save_replays=save_replays,
    )
    config = prepared.config
    if (note := training_note(config)) is not None:
        logger.warning("%s", note)
    identity = fingerprint(prepared)
    title = f"{config.name}: {config.strategy} over {', '.join(config.search_space)}"
    with contextlib.ExitStack() as stack:
        with locks.exclusive_if_supported(
            output.base_dir / START_LOCK, "another sweep is being started.", patience=math.inf
        ):
            earlier = (
                named_sweep(run, output, identity) if run is not None else None if new else same_sweep(identity, output)
            )
            if earlier is not None:
                if earlier.status == "completed" and is_done(earlier.path, prepared):
                    finished = SweepResult.load(earlier.path)
                    if not machine_failed(finished.held_out):
                        logger.info("this sweep is finished: %s", earlier.path)
                        output.label(earlier.path)
                        return finished
                output.resume(str(earlier.path), "sweeps", take_over=take_over)
            run_dir = stack.enter_context(output.operation("sweeps", title=title, config=config.to_data()))
            write_facts(run_dir, output.session_id, prepared, identity)
        result = _run(run_dir, prepared, output, on_start=on_start, on_trial=on_trial, on_run=on_run)
        result.run_id = output.session_id
        result.save_json(run_dir / RESULT)
        if result.status == "failed":
            output.log_operation_complete("sweeps", "failed", error=" ".join(result.notes))
    with adding_to(run_dir):
        write_sweep_page(run_dir)
    return result


def _run(
    run_dir: Path,
    prepared: Prepared,
    output: "OutputManager",
    *,
    on_start: Callable[[Path, int, int], None] | None,
    on_trial: OnTrial | None,
    on_run: OnRun | None,
) -> SweepResult:
    config = prepared.config
    history = journal.read(run_dir)
    stop = threading.Event()
    settings = prepared.settings
    gpu = trains_on_gpu(config.training, gpu_allowed=settings.gpu_allowed)
    jobs = make_runner(settings.executor, settings.cluster, gpu=gpu)
    trainings = TrialTraining(jobs, run_dir, stop, output.max_checkpoints_to_keep, settings.gpu_allowed)
    runner = TrialRunner(
        config,
        prepared.targets,
        prepared.objectives,
        _plain(prepared),
        run_dir,
        stop,
        trainings,
        prepared.constraints,
    )
    slots = 1 if prepared.settings.executor == "serial" else config.num_parallel
    players = [player_of(prepared, output) for _ in range(slots)]
    optuna_copy = OptunaCopy(
        run_dir,
        config.name,
        prepared.space,
        _names(prepared),
        prepared.directions,
    )
    if on_start is not None:
        on_start(run_dir, len(history.results), prepared.total)

    most = max(config.checkpoint_best_n, config.held_out_best)

    def ended(result: SweepTrialResult) -> None:
        optuna_copy.update(history.results)
        prune(run_dir, config, history.results, keep=most, held_out=history.held_out)
        if on_trial is not None:
            on_trial(result, len(history.results), prepared.total)

    try:
        if needs_default(config):
            runner.scales = _relative(_default(run_dir, history, runner, players[0]), prepared)
            _check_scale(run_dir, history, runner.scales[0])
        proposer = Proposer(config, prepared.space, prepared.directions)
        Coordinator(
            run_dir,
            proposer,
            history,
            runner,
            players,
            share_repeats=config.training is not None,
            on_trial=ended,
        ).run()
        optuna_copy.update(history.results, now=True)
        result = _result(run_dir, prepared, history)
        if config.held_out_best and result.finished:
            _held_out(run_dir, history, result, runner, players[0])
            if config.train_seeds > 1:
                _training_seeds(run_dir, history, result, runner, players, on_run)
        best = best_configurations(result.trials, result.directions[0], max(1, config.checkpoint_best_n))
        record_best(best, runner, players[0])
        prune(run_dir, config, history.results, keep=config.checkpoint_best_n, held_out=result.held_out)
        note = training_note(config)
        result.notes = [*([] if note is None else [note]), *notes_of(result, config, runner.scales[0].flat)]
        return result.finalize()
    finally:
        optuna_copy.close()
        for player in players:
            player.close()


def _plain(prepared: Prepared) -> tuple[Scale, ...]:
    normalise = prepared.config.normalise
    scale = between(normalise) if isinstance(normalise, dict) else plain(prepared.config.missions)
    return (scale,) * len(prepared.objectives)


def _default(
    run_dir: Path, history: journal.SweepHistory, runner: TrialRunner, player: TrialPlayer
) -> SweepTrialResult:
    """The result of the default configuration, which is run if it is missing."""
    if history.default is None:
        result = runner.run(player, DEFAULT, {}, (), "default")
        journal.default(run_dir, result)
        history.default = result
    return history.default


def _relative(default: SweepTrialResult, prepared: Prepared) -> tuple[Scale, ...]:
    if not default.success:
        raise DataError(
            f"the default configuration has no result ({default.reason}), which defines the missions' common scale. "
            "Correct it, or set normalise: none, or (low, high) by mission."
        )
    found = []
    for objective in prepared.objectives:
        episodes = {
            mission: entry["objectives"][objective.name] if "objectives" in entry else entry["values"]
            for mission, entry in default.mission_results.items()
        }
        found.append(relative(objective, episodes))
    return tuple(found)


def _check_scale(run_dir: Path, history: journal.SweepHistory, scale: Scale) -> None:
    """Raise `DataError` if recorded values are on another scale, as in versions that took rounding for spread."""
    for trial in history.results.values() if scale.flat else ():
        there = {mission: entry["value"] for mission, entry in trial.mission_results.items()}
        if trial.success and not math.isclose(trial.values[0], scale.over(there), rel_tol=1e-6, abs_tol=1e-6):
            raise DataError(
                f"{run_dir}: trial {trial.trial_id} has the value {trial.values[0]:.4g}, and on today's scale "
                f"{scale.over(there):.4g}: an older version divided by rounding errors where the default's episodes "
                f"are equal ({', '.join(scale.flat)}). New trials cannot be compared with these; `daf sweep run --new` "
                "starts over."
            )


def _held_out(
    run_dir: Path, history: journal.SweepHistory, result: SweepResult, runner: TrialRunner, player: TrialPlayer
) -> None:
    best = best_configurations(result.trials, result.directions[0], runner.config.held_out_best)
    first, episodes = held_out_seeds(runner.config)
    asked = [[trial.trial_id for trial in best], first, episodes, runner.config.significance_level]
    there = history.held_out
    if there is None or there["asked"] != asked or machine_failed(there):
        default = _default(run_dir, history, runner, player)
        history.held_out = {"asked": asked, **play_held_out(best, default, runner, player, there)}
        journal.held_out(run_dir, history.held_out)
    result.held_out = history.held_out


def _training_seeds(
    run_dir: Path,
    history: journal.SweepHistory,
    result: SweepResult,
    runner: TrialRunner,
    players: Sequence[TrialPlayer],
    on_run: OnRun | None,
) -> None:
    """Add several training runs of the best configurations to the held-out record."""
    config, record = runner.config, result.held_out
    if record is None:
        raise AssertionError("training seeds belong to the held-out trials")
    asked = [training_seeds(config), config.race]
    if (record.get("training_seeds") or {}).get("asked") != asked:
        best = best_configurations(result.trials, result.directions[0], config.held_out_best)
        default = _default(run_dir, history, runner, players[0])
        found = play_training_seeds(best, default, runner, players, history, on_run=on_run)
        history.held_out = {**record, "training_seeds": found}
        journal.held_out(run_dir, history.held_out)
    result.held_out = history.held_out


def _names(prepared: Prepared) -> tuple[str, ...]:
    config = prepared.config
    return tuple(scaled_name(each.name, config.normalise, len(config.missions)) for each in prepared.objectives)


def _result(run_dir: Path, prepared: Prepared, history: journal.SweepHistory) -> SweepResult:
    config = prepared.config
    return SweepResult(
        name=config.name,
        objectives=_names(prepared),
        directions=tuple(prepared.directions),
        strategy=config.strategy,
        trials=history.trials(),
        run_dir=run_dir,
        planned=prepared.total,
        best_n=config.checkpoint_best_n,
    )
