"""`daf crossplay`: play policies in mixed teams, analyse, store the results."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daf.crossplay.analysis import CrossplayAnalysis, analyse_crossplay
from daf.crossplay.result import CrossplayReport, crossplay_data
from daf.crossplay.teams import mixes as mixes_of
from daf.episodes.plan import Plan, merged_notes
from daf.episodes.record import EpisodeRecord
from daf.errors import UsageError
from daf.game import policies as game_policies
from daf.playing.contenders import policies_of, team
from daf.playing.planning import cache_of, check_settings, missions_of, plan_teams
from daf.playing.run import PlayedRun, play_run
from daf.playing.settings import Settings
from daf.scoring_analysis.ratings import Ratings, daf_rate_policies
from daf.stats.permutation import smallest_p
from daf.stats.sentences import counted
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

OPERATION = "comparisons"


def daf_crossplay(
    policies: Sequence[Any],
    missions: Any,
    *,
    mixes: str = "even",
    settings: Settings | None = None,
    title: str | None = None,
    output: "OutputManager | None" = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
    rerun: bool = False,
) -> CrossplayReport:
    """Let every pair of `policies` share a team on every mission, and each play alone, on the same seeds.

    mixes: "even" (half of the agents each), "pairs" (every split of every pair), "all" (every mix of counts of all).
    Raises `UsageError` for fewer than two different policies, and missions with too few agents. A failed episode is
    part of the result. rerun: as in `daf.evaluation.evaluate`.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings()
    where = output or OutputManager()
    check_settings(chosen)
    cache = cache_of(chosen, where.base_dir)
    players = policies_of(policies, cache, where)
    if len(players) < 2:
        equal = game_policies.merged_note(players[0]) if players else []
        raise UsageError(" ".join(["cross-play needs at least two different policies.", *equal]))
    found = missions_of(missions, chosen, players)
    teams, contenders = {}, []
    for mission in found:
        there = mixes_of(mission.num_agents, len(players), mixes, where=mission.name)
        contenders.append([team(players, counts) for counts in there])
        teams[mission.name] = {one.name: counts for one, counts in zip(contenders[-1], there, strict=True)}
    plan = plan_teams(found, contenders, chosen)
    names = [policy.name for policy in players]
    heading = title or f"Cross-play of {', '.join(names)} on {', '.join(mission.name for mission in found)}"
    asked = {
        "policies": names,
        "missions": [mission.name for mission in found],
        "mixes": mixes,
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

        def analysed() -> tuple[CrossplayAnalysis, Ratings]:
            found = analyse_crossplay(
                run.result, names, teams, alpha=chosen.alpha, resamples=chosen.resamples, seed=chosen.seed
            )
            return found, rate(found, seed=chosen.seed)

        analysis, ratings = run.analysed(tuple[CrossplayAnalysis, Ratings], analysed)
        report = CrossplayReport(
            analysis=analysis,
            ratings=ratings,
            notes=tuple(_notes(run, analysis, ratings)),
            mixes=mixes,
            run=run.timed(),
        )
        if not run.cached:
            _write(report)
    return report


def rate(analysis: CrossplayAnalysis, *, seed: int = 0) -> Ratings:
    """Ratings of the policies by the teams that they were in."""
    blocks = [
        [({analysis.names[p]: n for p, n in enumerate(counts) if n}, score) for counts, score in block.items()]
        for block in analysis.blocks
    ]
    return daf_rate_policies(blocks, alpha=analysis.alpha, seed=seed)


def _notes(run: PlayedRun, analysis: CrossplayAnalysis, ratings: Ratings) -> list[str]:
    notes = [*merged_notes(run.result.plan), *run.failure_notes(analysis.left_out)]
    notes += [f"No seed of {mission} was finished by all teams; it is excluded." for mission in analysis.absent]
    if analysis.shared:
        notes.append(
            f"On {', '.join(analysis.shared)} all agents of a team get the same return, so own and partner's returns "
            "are equal there. Compare self-play returns to see which policy contributes more."
        )
    if not any(score for block in analysis.blocks for score in block.values()):
        notes.append("Every team scored 0: these missions and step limits do not distinguish these policies.")
    elif smallest_p(analysis.n) * analysis.family > analysis.alpha:
        wanted = next(n for n in range(2, 64) if smallest_p(n) * analysis.family <= analysis.alpha)
        notes.append(
            f"{counted(analysis.n, 'block')} cannot decide any of {analysis.family} comparisons; {wanted} blocks can."
        )
    return [*notes, *ratings.warnings]


def _write(report: CrossplayReport) -> None:
    write_json(report.run_dir / "results.json", jsonable(crossplay_data(report)))
    if report.settings.report:
        from daf.crossplay.report import figure_of, markdown_of, view_of
        from daf.render.pages.html import page

        figure_of(report, report.run_dir / "visualizations" / "crossplay.png")
        write_text(report.run_dir / "report.html", page("crossplay.html.j2", view_of(report)))
        write_text(report.run_dir / "REPORT.md", markdown_of(report))
