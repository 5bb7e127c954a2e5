"""Plan, play what is missing, analyse, keep."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import (
    EPISODE_TIMEOUT,
    PRELOAD,
    PRELOAD_NETWORKS,
    Checked,
    RunResult,
    check_plan,
    record_replays,
    run_plan,
)
from daf.evaluation._analysis import analyse
from daf.evaluation.keeping import keep, write
from daf.evaluation.result import Evaluation
from daf.playing.contenders import check_several, contenders_of
from daf.playing.planning import cache_of, check_settings, missions_of, plan_of
from daf.playing.settings import Settings, settings_data

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
    prepared = _prepare(policies, missions, teams, chosen, where, comparing=operation == "comparisons")
    plan = prepared.plan
    names = ", ".join(contender.name for contender in plan.contenders)
    heading = title or f"{names} on {', '.join(mission.name for mission in plan.missions)}"
    asked = settings_data(chosen) | {
        "policies": [contender.name for contender in plan.contenders],
        "missions": [mission.name for mission in plan.missions],
        "cache": str(prepared.cache.root),
    }
    started = time.time()
    preload = PRELOAD_NETWORKS if prepared.networks else PRELOAD
    with contextlib.ExitStack() as stack:
        executor = make_executor(chosen.executor, jobs=chosen.jobs, preload=preload)
        stack.callback(executor.close)
        checked = check_plan(plan, executor, prepared.cache)  # what cannot be set up is refused before a folder is made
        run_dir = stack.enter_context(where.operation(operation, title=heading, config=asked))
        if on_plan is not None:
            on_plan(plan)
        result, replays = _play(prepared, chosen, executor, checked, on_record)
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
    *,
    comparing: bool,
) -> _Prepared:
    check_settings(chosen)
    cache = cache_of(chosen, output.base_dir)
    contenders = contenders_of(policies, teams, cache=cache.bundles, runs=output.base_dir)
    if comparing:
        check_several(contenders)
    plan = plan_of(missions_of(missions, chosen), contenders, chosen)
    networks = any(policy.network for team in contenders for policy in team.policies)
    return _Prepared(plan, cache, networks)


def _play(
    prepared: _Prepared,
    chosen: Settings,
    executor: Executor,
    checked: Checked,
    on_record: Callable[[EpisodeRecord], None] | None,
) -> tuple[RunResult, dict[str, Path]]:
    timeout = chosen.episode_timeout
    if timeout is None and executor.isolated:
        timeout = EPISODE_TIMEOUT
    result = run_plan(
        prepared.plan,
        executor,
        prepared.cache,
        engine=chosen.engine,
        episode_timeout=timeout,
        max_failures=chosen.max_failures,
        gpu_memory_fraction=chosen.gpu_memory_fraction,
        on_record=on_record,
        checked=checked,
    )
    wanted = _chosen(result, chosen.save_replays)
    return result, record_replays(wanted, executor, prepared.cache, engine=chosen.engine)


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
