"""`daf score`: what is this policy worth in a team of others?"""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._options import (
    ConfigOption,
    ExecutorOption,
    JobsOption,
    JsonOption,
    OutputDirOption,
    QuietOption,
    SeedOption,
    VerboseOption,
)
from daf.cli._team_settings import FILED, settings_of
from daf.errors import Interrupted, UsageError

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
    float | None, typer.Option("--precision", help="Say how many episodes an interval of ± this much takes.")
]


@app.command()
def score(
    context: typer.Context,
    candidate: CandidateArgument,
    pool: PoolOption = None,
    missions: playing.MissionsOption = None,
    episodes: Annotated[int, typer.Option("--episodes", "-e", help="Seeds per team and mission.")] = 20,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    as_pickup: AsPickupOption = False,
    map_seed: MapSeedOption = None,
    precision: PrecisionOption = None,
    alpha: playing.AlphaOption = 0.05,
    save_replays: playing.ReplaysOption = "none",
    enforce_timeouts: playing.EnforceOption = None,
    episode_timeout: playing.EpisodeTimeoutOption = None,
    max_failures: playing.MaxFailuresOption = None,
    engine: playing.EngineOption = "auto",
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    no_cache: playing.NoCacheOption = False,
    cache_dir: playing.CacheDirOption = None,
    no_report: playing.NoReportOption = False,
    config: ConfigOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Value over replacement: what CANDIDATE adds to teams that would otherwise be filled from a pool.

    Teams of N, N-1, … 0 agents of the candidate, the rest shared equally by the pool, play the same seeds; the score
    is CoGames' own (`cogames pickup`), with intervals.

    \b
        daf score starter --pool random --pool noop -m arena,max_steps=200 -e 20
        daf score starter --pool random --as-pickup

    A --config for comparisons gives missions, settings and, without --pool, its other policies as the pool.
    """
    options = playing.from_file(context, config, FILED | dict(locals()))
    if config is not None:
        pool = pool or [policy for policy in options["policies"] if policy != candidate]
    missions = options["missions"]
    if as_pickup and config is not None:
        raise UsageError("--as-pickup has the settings of `cogames pickup`, so that --config has no meaning there.")
    if not pool:
        raise UsageError("the pool is empty. Name a policy with --pool, for example --pool random.")
    if as_pickup:
        from daf.game import scoring

        default = f"{scoring.PICKUP_MISSION},cogs={scoring.PICKUP_COGS},max_steps={max_steps or scoring.PICKUP_STEPS}"
        missions = missions or [default]
        options["enforce_timeouts"] = enforce_timeouts or scoring.PICKUP_TIMEOUT_MS
        own = {"episodes": scoring.PICKUP_EPISODES, "seed": scoring.PICKUP_SEED}
        options |= {name: value for name, value in own.items() if not playing.given(context, name)}
    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
    settings, output = settings_of(options)
    from daf.cli.show import EpisodeProgress, emit
    from daf.scoring_analysis import daf_score, score_data
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=quiet) as progress:
        try:
            report = daf_score(
                candidate,
                pool,
                missions,
                settings=settings,
                as_pickup=as_pickup,
                map_seed=map_seed,
                precision=precision,
                title=options["title"],
                output=output,
                on_plan=progress.plan,
                on_record=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted(playing.how_to_go_on(progress.finished, progress.total)) from None
    if as_json:
        emit(jsonable(score_data(report)))
    else:
        show(report)
    if report.status != "ok":
        raise typer.Exit(1)


def show(report: "ScoreReport") -> None:
    """Scores by team, the finding, and where everything is."""
    from daf.cli.show import out, say_end
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
    out.print(f"run:    {report.run_dir}", soft_wrap=True, markup=False)


def _table(score: "MissionScore", report: "ScoreReport") -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import bounds_text, half_width
    from daf.stats.sentences import number

    level = f"{100 * (1 - report.analysis.alpha):g} % intervals"
    table = plain_table(
        f"{report.candidate} on {score.mission}: {score.n} {'seed' if score.n == 1 else 'seeds'}, {level}",
        caption=escape(f"c: agents of the candidate, r: of the pool, shared as {' / '.join(report.pool)}"),
    )
    table.add_column("scenario", no_wrap=True)
    for name in ("pool", "score", "interval", "VOR", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in score.scenarios:
        table.add_row(
            row.label,
            " / ".join(str(count) for count in row.pool),
            number(row.mean, half_width(row.ci)),
            bounds_text(row.ci),
            "–" if row.value is None else number(row.value, half_width(row.value_ci)),
            bounds_text(row.value_ci),
        )
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
