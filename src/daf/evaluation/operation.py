"""The evaluation operation: plan, play the missing episodes, analyse, and store the results."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.evaluation._analysis import Analysis, analyse
from daf.evaluation.keeping import write
from daf.evaluation.result import Evaluation
from daf.playing.contenders import check_several, contenders_of, players_of
from daf.playing.planning import cache_of, check_settings, missions_of, plan_of
from daf.playing.run import play_run
from daf.playing.settings import Settings

if TYPE_CHECKING:
    from daf.output_manager import OutputManager


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
    rerun: bool | None = False,
) -> Evaluation:
    """Play every policy and team on every mission, on identical episodes, and store the results.

    policies, missions: anything that `daf.game.policies.resolve` and `daf.game.missions.resolve` accept. teams: mixed
    teams, see `contenders_of`. output: where the run directory goes (default: a new session). operation: "evaluations"
    or "comparisons". on_plan, on_record: called with the plan before playing, and with each record. rerun: make a new
    run directory, also if an equal request left an intact one, which is returned otherwise (`Evaluation.cached`); None
    if the caller adds files to the run directory.

    Invalid names are rejected before a directory is created (`UsageError` and its subclasses). An episode that fails is
    part of the result, not an exception.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings()
    where = output or OutputManager()
    check_settings(chosen)
    cache = cache_of(chosen, where.base_dir)
    contenders = contenders_of(policies, teams, cache=cache.bundles, runs=where.base_dir)
    if operation == "comparisons":
        check_several(contenders)
    plan = plan_of(missions_of(missions, chosen, players_of(contenders)), contenders, chosen)
    names = [contender.name for contender in plan.contenders]
    on = [mission.name for mission in plan.missions]
    heading = title or f"{', '.join(names)} on {', '.join(on)}"
    asked = {"policies": names, "missions": on, "cache": str(cache.root)}
    with play_run(
        operation,
        plan,
        chosen,
        cache,
        where,
        title=heading,
        config=asked,
        on_plan=on_plan,
        on_record=on_record,
        rerun=rerun,
    ) as run:
        analysis = run.analysed(Analysis, lambda: analyse(run.result, chosen))
        evaluation = Evaluation(run.timed(), analysis)
        if not run.cached:
            write(evaluation)
    return evaluation
