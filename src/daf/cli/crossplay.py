"""`daf crossplay`: who plays well with whom?"""

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
    from daf.crossplay import CrossplayReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PlayersOption = Annotated[list[str] | None, typer.Option("--policy", "-p", help="Policy string; two at least.")]
MixesOption = Annotated[
    str,
    typer.Option(
        "--mixes",
        help="Teams: even (every pair, half of the agents each), pairs (every split of every pair), all (every mix).",
    ),
]


@app.command()
def crossplay(
    context: typer.Context,
    policies: PlayersOption = None,
    missions: playing.MissionsOption = None,
    episodes: Annotated[int, typer.Option("--episodes", "-e", help="Seeds per team and mission.")] = 20,
    mixes: MixesOption = "even",
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
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
    """Let policies share teams: how each does with each partner, who carries, who is carried.

    Every pair shares a team, and every policy plays among its own, on the same seeds. Tells each policy's own and its
    partner's return, its best partner, and what it loses among strangers.

    \b
        daf crossplay -p starter -p miner -p scout -m arena,max_steps=200 -e 20
    """
    options = playing.from_file(context, config, FILED | dict(locals()))
    policies, missions = options["policies"], options["missions"]
    if not policies:
        raise UsageError("no policy is given. Name two with -p, for example -p starter -p miner.")
    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
    settings, output = settings_of(options)
    from daf.cli.show import EpisodeProgress, emit
    from daf.crossplay import crossplay_data, daf_crossplay
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=quiet) as progress:
        try:
            report = daf_crossplay(
                policies,
                missions,
                mixes=mixes,
                title=options["title"],
                settings=settings,
                output=output,
                on_plan=progress.plan,
                on_record=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted(playing.how_to_go_on(progress.finished, progress.total)) from None
    if as_json:
        emit(jsonable(crossplay_data(report)))
    else:
        show(report)
    if report.status != "ok":
        raise typer.Exit(1)


def show(report: "CrossplayReport") -> None:
    """The matrix, the findings, ratings, and where everything is."""
    from daf.cli.show import out, plain_table, say_end
    from daf.crossplay import sentences
    from daf.render.text import bounds_text, half_width
    from daf.stats.sentences import number

    analysis = report.analysis
    for note in report.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    level = f"{100 * (1 - analysis.alpha):g} %"
    table = plain_table(
        f"Own return with each partner, {analysis.n} blocks",
        caption=f"{level} intervals; ▲ gains, ▼ loses against its own kind",
    )
    table.add_column("policy")
    for name in analysis.names:
        table.add_column(f"with {escape(name)}", justify="right")
    marks = {"more": " ▲", "less": " ▼"}
    for row, name in enumerate(analysis.names):
        cells = [analysis.cell(row, column) for column in range(len(analysis.names))]
        table.add_row(
            escape(name),
            *(
                f"{number(cell.own, half_width(cell.ci))}{marks.get(cell.gain.change, '') if cell.gain else ''}\n"
                f"[dim]{bounds_text(cell.ci)}[/dim]"
                for cell in cells
            ),
        )
    out.print(table)
    for sentence in sentences(analysis):
        out.print(f"  {escape(sentence)}", soft_wrap=True)
    rated = ", ".join(f"{row.policy} {row.mu:.1f} ± {row.sigma:.1f}" for row in report.ratings.rows)
    out.print(f"\nratings: {escape(rated)}", soft_wrap=True)
    say_end(report.result, report.seconds, report.report)
    out.print(f"run:    {report.run_dir}", soft_wrap=True, markup=False)
