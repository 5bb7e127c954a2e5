"""`daf score`: play a candidate with a pool in every proportion, analyse, store the results."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daf.episodes.plan import Plan, merged_notes
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.errors import UsageError
from daf.game import scoring
from daf.game.policies import each_once, uniquely_named
from daf.game.policy import Policy
from daf.playing.contenders import resolved
from daf.playing.planning import cache_of, check_settings, missions_of
from daf.playing.run import PlayedRun, play_run
from daf.playing.settings import Settings
from daf.scoring_analysis.plan import check_agents, pickup_settings, plan_score
from daf.scoring_analysis.result import ScoreReport, score_data
from daf.scoring_analysis.vor import VorAnalysis, analyse_vor
from daf.stats.permutation import smallest_p
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

OPERATION = "evaluations"


def daf_score(
    candidate: Any,
    pool: Sequence[Any],
    missions: Any = scoring.PICKUP_MISSION,
    *,
    settings: Settings | None = None,
    as_pickup: bool = False,
    map_seed: int | None = None,
    precision: float | None = None,
    title: str | None = None,
    output: "OutputManager | None" = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
    rerun: bool = False,
) -> ScoreReport:
    """Value of `candidate` over the policies in `pool`, on every mission: teams of N … 0 of its agents.

    as_pickup: play the episodes of `cogames pickup`: one map for all (from `map_seed`, the seed by default), and seats
    drawn by one generator through all teams; take its defaults with `pickup_settings`. precision: half-width of the
    interval to budget for. Raises `UsageError` for an empty pool, and for a mission with fewer agents than the pool has
    policies. A failed episode is part of the result. rerun: as in `daf.evaluation.evaluate`.
    """
    from daf.output_manager import OutputManager

    chosen = settings or (pickup_settings() if as_pickup else Settings())
    where = output or OutputManager()
    check_settings(chosen)
    if not pool:
        raise UsageError("the pool is empty. Name a policy with --pool, for example --pool random.")
    if precision is not None and not precision > 0:
        raise UsageError(f"--precision must be above 0, got {precision:g}.")
    if map_seed is not None and not as_pickup:
        raise UsageError("--map-seed fixes the map as `cogames pickup` does: add --as-pickup.")
    cache = cache_of(chosen, where.base_dir)
    first, *others = resolved([candidate, *pool], cache, where)
    players = uniquely_named([first, *(others if as_pickup else each_once(others))])
    found = missions_of(missions, chosen, players)
    for mission in found:
        check_agents(mission, len(players) - 1)
    if as_pickup:
        found = [scoring.with_map_seed_fixed(m, chosen.seed if map_seed is None else map_seed) for m in found]
    plan, teams = plan_score(found, players, chosen, as_pickup)
    names = [policy.name for policy in players]
    heading = title or f"{names[0]} among {', '.join(names[1:])} on {', '.join(mission.name for mission in found)}"
    asked = {
        "candidate": names[0],
        "pool": names[1:],
        "missions": [mission.name for mission in found],
        "as_pickup": as_pickup,
        "precision": precision,
        "cache": str(cache.root),
    }
    with play_run(
        OPERATION,
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
        analysis = run.analysed(
            VorAnalysis,
            lambda: analyse_vor(
                run.result,
                teams,
                alpha=chosen.alpha,
                resamples=max(1_000, chosen.resamples // 2),
                seed=chosen.seed,
                precision=precision,
            ),
        )
        report = ScoreReport(
            candidate=names[0],
            pool=tuple(names[1:]),
            analysis=analysis,
            notes=(*_notes(run, analysis, as_pickup), *_equal_notes(players)),
            run=run.timed(),
            teams=teams,
            as_pickup=as_pickup,
        )
        if not run.cached:
            _write(report)
    return report


def _notes(run: PlayedRun, analysis: VorAnalysis, as_pickup: bool) -> list[str]:
    result = run.result
    notes = [*merged_notes(result.plan), *run.failure_notes(analysis.left_out)]
    notes += [f"No seed of {mission} was finished by all teams; it is excluded." for mission in analysis.absent]
    if as_pickup:
        notes.append(
            "Played like cogames pickup: one map for all episodes, and different seats in every team. The intervals "
            "hold for that map only, and are wider than those of a paired run."
        )
    fewest = min(score.n for score in analysis.missions)
    if smallest_p(fewest) > analysis.alpha:
        wanted = next(n for n in range(2, 64) if smallest_p(n) <= analysis.alpha)
        level = f"{100 * (1 - analysis.alpha):g} %"
        seeds = "1 seed is" if fewest == 1 else f"{fewest} seeds are"
        notes.append(f"{seeds} too few for a {level} interval of the value on a mission; use -e {wanted} or more.")
    shared = [mission.mission for mission in analysis.missions if _shared_reward(result, mission.mission)]
    if shared:
        notes.append(
            f"On {', '.join(shared)} all agents of a team got the same return in every episode: the candidate's score "
            "there is that of its team."
        )
    return notes


def _equal_notes(players: Sequence[Policy]) -> list[str]:
    """Notes if the candidate plays in its own pool, or if pickup's pool contains a policy twice."""
    candidate, *pool = players
    itself = [policy.name for policy in pool if policy.identity == candidate.identity]
    notes = [
        f"{name} in the pool is the same policy as the candidate: its agents count as the pool's, which moves the "
        "value towards 0."
        for name in itself
    ]
    equal: dict[str, list[str]] = {}
    for policy in pool:
        equal.setdefault(policy.identity, []).append(policy.name)
    return notes + [
        f"{' and '.join(names)} in the pool are the same policy; each gets a share, as in cogames pickup."
        for names in equal.values()
        if len(names) > 1
    ]


def _shared_reward(result: RunResult, mission: str) -> bool:
    mixed = [r.outcome.rewards for r in result.records if r.outcome and r.spec.mission == mission]
    return any(any(rewards) for rewards in mixed) and all(len(set(rewards)) == 1 for rewards in mixed)


def _write(report: ScoreReport) -> None:
    write_json(report.run_dir / "results.json", jsonable(score_data(report)))
    if report.settings.report:
        from daf.render.pages.html import page
        from daf.scoring_analysis.report import figure_of, markdown_of, view_of

        figure_of(report, report.run_dir / "visualizations" / "vor.png")
        write_text(report.run_dir / "report.html", page("score.html.j2", view_of(report)))
        write_text(report.run_dir / "REPORT.md", markdown_of(report))
