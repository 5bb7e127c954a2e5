"""`daf score`: what does this policy add to a team of others?"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ConfigOption, MissionsOption, RepeatOptions, TeamPlayOptions
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.scoring_analysis import MissionScore, ScoreReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CandidateArgument = Annotated[str, typer.Argument(help="Policy string of the candidate.", metavar="CANDIDATE")]
PoolOption = Annotated[
    list[str] | None, typer.Option("--pool", help="Policy string of a replacement; repeat for several.")
]
AsPickupOption = Annotated[
    bool,
    typer.Option(
        "--as-pickup",
        help="The episodes of `cogames pickup`, with its defaults: arena,cogs=4,max_steps=1000, 1 episode, seed 50, "
        "250 ms.",
    ),
]
MapSeedOption = Annotated[
    int | None, typer.Option("--map-seed", help="With --as-pickup: seed of the one map (default: --seed).")
]
PrecisionOption = Annotated[
    float | None, typer.Option("--precision", help="Estimate the number of episodes for an interval of ± this much.")
]


@app.command()
@options
def score(
    context: typer.Context,
    *,
    candidate: CandidateArgument,
    pool: PoolOption = None,
    missions: MissionsOption = None,
    play: TeamPlayOptions,
    as_pickup: AsPickupOption = False,
    map_seed: MapSeedOption = None,
    precision: PrecisionOption = None,
    config: ConfigOption = None,
    output: RepeatOptions,
) -> None:
    """Value over replacement: what CANDIDATE adds to teams that would otherwise be filled from a pool.

    Teams of N, N-1, … 0 agents of the candidate play the same seeds; the pool's policies share the other agents
    equally. The score is CoGames' own (`cogames pickup`), with intervals.

    \b
        daf score starter --pool random --pool noop -m arena,max_steps=200 -e 20
        daf score starter --pool random --as-pickup

    A --config for comparisons sets missions, settings and, without --pool, its other policies as the pool.
    """
    play, filed = playing.from_file(context, config, play)
    pool = pool or [policy for policy in filed.policies or [] if policy != candidate]
    missions = filed.missions or missions
    if as_pickup and config is not None:
        raise UsageError("--as-pickup uses the settings of `cogames pickup`. Leave out --config, or --as-pickup.")
    if not pool:
        raise UsageError("the pool is empty. Name a policy with --pool, for example --pool random.")
    if as_pickup:
        missions = missions or [_pickup_mission(play.max_steps)]
        play = _as_pickup(context, play)
    if not missions:
        raise UsageError(playing.NO_MISSION)
    manager, daf_config = playing.open_output(output)
    settings = play.settings(daf_config)
    from daf.cli.show import EpisodeProgress, emit
    from daf.scoring_analysis import daf_score, score_data
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_score(
            candidate,
            pool,
            missions,
            settings=settings,
            as_pickup=as_pickup,
            map_seed=map_seed,
            precision=precision,
            title=filed.title,
            output=manager,
            on_plan=progress.plan,
            on_record=progress,
            rerun=output.rerun,
        )
    if output.as_json:
        emit(jsonable(score_data(report)))
    else:
        show(report)
    if report.status != "ok":
        raise typer.Exit(1)


def _pickup_mission(max_steps: int | None) -> str:
    from daf.game import scoring

    return f"{scoring.PICKUP_MISSION},cogs={scoring.PICKUP_COGS},max_steps={max_steps or scoring.PICKUP_STEPS}"


def _as_pickup(context: typer.Context, play: TeamPlayOptions) -> TeamPlayOptions:
    """`play` with the defaults of `cogames pickup`."""
    from daf.game import scoring

    return replace(
        play,
        enforce_timeouts=play.enforce_timeouts or scoring.PICKUP_TIMEOUT_MS,
        episodes=play.episodes if playing.given(context, "episodes") else scoring.PICKUP_EPISODES,
        seed=play.seed if playing.given(context, "seed") else scoring.PICKUP_SEED,
    )


def show(report: "ScoreReport") -> None:
    """Print the scores by team, the finding, and the paths."""
    from daf.cli.show import out, say_end, say_run
    from daf.scoring_analysis import sentence

    analysis = report.analysis
    for note in report.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    for mission in analysis.missions:
        _table(mission, report)
    if analysis.caveat:
        out.print(f"  {escape(analysis.caveat)}", soft_wrap=True)
    out.print(escape(sentence(analysis, report.candidate)), soft_wrap=True)
    if analysis.budget:
        out.print(escape(analysis.budget.sentence), soft_wrap=True)
    say_end(report.result, report.seconds, report.report)
    say_run(report)


def _table(score: "MissionScore", report: "ScoreReport") -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import bounds_text
    from daf.scoring_analysis.report import scenario_columns
    from daf.stats.sentences import counted, half_width, number

    level = f"{100 * (1 - report.analysis.alpha):g} % intervals"
    table = plain_table(
        f"{report.candidate} on {score.mission}: {counted(score.n, 'seed')}, {level}",
        caption=escape(f"c: agents of the candidate, r: of the pool, shared as {' / '.join(report.pool)}"),
    )
    table.add_column("scenario", no_wrap=True)
    for name in ("pool", "score", "interval", "VOR", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, *texts in zip(score.scenarios, *scenario_columns(score.scenarios), strict=True):
        table.add_row(row.label, " / ".join(str(count) for count in row.pool), *texts)
    table.add_section()
    table.add_row(
        "overall",
        "",
        "",
        "",
        number(score.value, half_width(score.value_ci)),
        bounds_text(score.value_ci),
        style="bold",
    )
    out.print(table)
