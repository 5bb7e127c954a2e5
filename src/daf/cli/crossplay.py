"""`daf crossplay`: which policies play well together?"""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ConfigOption, MissionsOption, RepeatOptions, TeamPlayOptions
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.crossplay import CrossplayReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PlayersOption = Annotated[list[str] | None, typer.Option("--policy", "-p", help="Policy string; at least two.")]
MixesOption = Annotated[
    str,
    typer.Option(
        "--mixes",
        help="Teams: even (every pair, half of the agents each), pairs (every split of every pair), all (every mix).",
    ),
]


@app.command()
@options
def crossplay(
    context: typer.Context,
    *,
    policies: PlayersOption = None,
    missions: MissionsOption = None,
    mixes: MixesOption = "even",
    play: TeamPlayOptions,
    config: ConfigOption = None,
    output: RepeatOptions,
) -> None:
    """Play teams of several policies: how each policy does with each partner.

    Every pair shares a team, and every policy also plays with copies of itself, on the same seeds. Reports each
    policy's own return and its partner's, its best partner, and its loss with unfamiliar partners.

    \b
        daf crossplay -p starter -p miner -p scout -m arena,max_steps=200 -e 20
    """
    play, filed = playing.from_file(context, config, play)
    policies, missions = filed.policies or policies, filed.missions or missions
    if not policies:
        raise UsageError("no policy is given. Name two with -p, for example -p starter -p miner.")
    if not missions:
        raise UsageError(playing.NO_MISSION)
    manager, daf_config = playing.open_output(output)
    settings = play.settings(daf_config)
    from daf.cli.show import EpisodeProgress, emit
    from daf.crossplay import crossplay_data, daf_crossplay
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_crossplay(
            policies,
            missions,
            mixes=mixes,
            title=filed.title,
            settings=settings,
            output=manager,
            on_plan=progress.plan,
            on_record=progress,
            rerun=output.rerun,
        )
    if output.as_json:
        emit(jsonable(crossplay_data(report)))
    else:
        show(report)
    if report.status != "ok":
        raise typer.Exit(1)


def show(report: "CrossplayReport") -> None:
    """Print the matrix, the findings, the ratings, and the paths."""
    from daf.cli.show import out, plain_table, say_end, say_run
    from daf.crossplay import sentences
    from daf.render.text import bounds_text
    from daf.stats.sentences import half_width, number

    analysis = report.analysis
    for note in report.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    level = f"{100 * (1 - analysis.alpha):g} %"
    table = plain_table(
        f"Own return with each partner, {analysis.n} blocks",
        caption=f"{level} intervals; ▲ more, ▼ less than with copies of itself",
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
    say_run(report)
