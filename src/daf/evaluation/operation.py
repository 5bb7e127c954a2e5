"""Plan, play what is missing, analyse, keep."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.executor import make_executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan, plan_episodes
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import EPISODE_TIMEOUT, PRELOAD, PRELOAD_NETWORKS, RunResult, record_replays, run_plan
from daf.errors import UsageError, unknown
from daf.evaluation.analysis import analyse
from daf.evaluation.contenders import contenders_of
from daf.evaluation.keeping import keep, write
from daf.evaluation.result import Evaluation
from daf.evaluation.settings import SAVE_REPLAYS, Settings, settings_data
from daf.game import missions as game_missions
from daf.game.device import check_device_name, resolve_device
from daf.game.rollout import ENGINES

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)


def evaluate(
    policies: Sequence[Any],
    missions: Any,
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    settings: Settings | None = None,
    output: "OutputManager | None" = None,
    operation: str = "evaluations",
    title: str | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> Evaluation:
    """Play every policy and team on every mission, on identical episodes, and keep what came of it.

    policies, missions: anything that `daf.game.policies.resolve` and `daf.game.missions.resolve` take. teams: mixed
    teams, see `contenders_of`. output: where the run folder goes (default: a new session). operation: "evaluations"
    or "comparisons". on_plan, on_record: called as work goes on.

    Everything that can be wrong with the names is refused before a folder is made (`UsageError` and its kinds). An
    episode that fails is part of the result, not an exception.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings()
    where = output or OutputManager()
    prepared = _prepare(policies, missions, teams, chosen, where)
    plan = prepared.plan
    names = ", ".join(contender.name for contender in plan.contenders)
    heading = title or f"{names} on {', '.join(mission.name for mission in plan.missions)}"
    asked = settings_data(chosen) | {
        "policies": [contender.name for contender in plan.contenders],
        "missions": [mission.name for mission in plan.missions],
        "cache": str(prepared.cache.root),
    }
    started = time.time()
    with where.operation(operation, title=heading, config=asked) as run_dir:
        if on_plan is not None:
            on_plan(plan)
        result, replays = _play(prepared, chosen, on_record)
        analysis = analyse(result, chosen)
        kept = keep(run_dir, result, replays, prepared.cache, records=chosen.keep_records)
        evaluation = Evaluation(
            operation=operation,
            run_id=where.session_id,
            run_dir=run_dir,
            title=heading,
            started=started,
            seconds=time.time() - started,
            result=result,
            analysis=analysis,
            replays=kept,
            settings=chosen,
            cache=prepared.cache.root,
        )
        write(evaluation)
        if evaluation.status != "ok":
            where.log_operation_complete(operation, "failed", error=" ".join(analysis.notes))
    return evaluation


@dataclass(frozen=True)
class _Prepared:
    plan: Plan
    cache: EpisodeCache
    networks: bool


def _prepare(
    policies: Sequence[Any],
    missions: Any,
    teams: Sequence[str | Mapping[str, float]],
    chosen: Settings,
    output: "OutputManager",
) -> _Prepared:
    if chosen.save_replays not in SAVE_REPLAYS:
        raise UsageError(unknown("choice for --save-replays", chosen.save_replays, SAVE_REPLAYS))
    for option, number in (
        ("--episode-timeout", chosen.episode_timeout),
        ("--max-failures", chosen.max_failures),
        ("--enforce-timeouts", chosen.enforce_timeouts),
    ):
        if number is not None and not number > 0:
            raise UsageError(f"{option} {number:g} is not above 0.")
    if chosen.engine not in ENGINES:
        raise UsageError(unknown("engine", chosen.engine, ENGINES))
    cache = EpisodeCache(chosen.cache_dir or default_cache(output.base_dir), enabled=chosen.use_cache)
    contenders = contenders_of(policies, teams, cache=cache.bundles, runs=output.base_dir)
    found = game_missions.resolve(missions, game=chosen.game)
    if chosen.max_steps is not None:
        found = [game_missions.with_default_steps(mission, chosen.max_steps) for mission in found]
    networks = any(policy.network for team in contenders for policy in team.policies)
    check_device_name(chosen.device)
    device = resolve_device(chosen.device, gpu_allowed=chosen.gpu_allowed) if networks else "cpu"
    plan = plan_episodes(
        found,
        contenders,
        episodes=chosen.episodes,
        seed=chosen.seed,
        device=device,
        action_timeout_ms=chosen.enforce_timeouts,
        slow_step_ms=chosen.slow_step_ms,
        series=chosen.series,
        engine=chosen.engine,
    )
    return _Prepared(plan, cache, networks)


def _play(
    prepared: _Prepared, chosen: Settings, on_record: Callable[[EpisodeRecord], None] | None
) -> tuple[RunResult, dict[str, Path]]:
    preload = PRELOAD_NETWORKS if prepared.networks else PRELOAD
    executor = make_executor(chosen.executor, jobs=chosen.jobs, preload=preload)
    timeout = chosen.episode_timeout
    if timeout is None and executor.isolated:
        timeout = EPISODE_TIMEOUT
    try:
        result = run_plan(
            prepared.plan,
            executor,
            prepared.cache,
            engine=chosen.engine,
            episode_timeout=timeout,
            max_failures=chosen.max_failures,
            gpu_memory_fraction=chosen.gpu_memory_fraction,
            on_record=on_record,
        )
        wanted = _chosen(result, chosen.save_replays)
        return result, record_replays(wanted, executor, prepared.cache, engine=chosen.engine)
    finally:
        executor.close()


def default_cache(base_dir: str | Path) -> Path:
    """Where records are kept: `DAF_CACHE_DIR`, else beside the runs, shared by all of them."""
    named = os.environ.get("DAF_CACHE_DIR")
    return Path(named) if named else Path(base_dir) / "cache"


def _chosen(result: RunResult, which: str) -> list[EpisodeRecord]:
    """The episodes to record: all that finished, or for each mission the one with the highest return."""
    finished = [record for record in result.records if record.ok]
    if which == "none":
        return []
    if which == "all":
        return finished
    best: dict[str, EpisodeRecord] = {}
    for record in finished:
        leader = best.get(record.spec.mission)
        if leader is None or record.reward_per_agent() > leader.reward_per_agent():
            best[record.spec.mission] = record
    return list(best.values())
