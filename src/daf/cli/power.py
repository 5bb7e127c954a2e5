"""`daf power`: how many episodes does this comparison need?"""

from typing import Annotated

import typer

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ConfigOption, ContenderOptions, PowerPlayOptions, RunOptions, SpendingOption
from daf.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

DifferenceOption = Annotated[
    float, typer.Option("--difference", help="The difference to find, in reward per agent.", show_default=False)
]
PowerOption = Annotated[float, typer.Option("--power", help="The probability of finding it.")]
DeviationOption = Annotated[
    float | None,
    typer.Option("--deviation", metavar="SD", help="Standard deviation of paired differences, instead of a pilot."),
]
SeedsOption = Annotated[
    bool,
    typer.Option(
        "--seeds",
        help="The policies are training runs of one setting: how many runs show a difference of two settings.",
    ),
]
LooksOption = Annotated[int, typer.Option("--looks", help="Looks of the comparison until decided.")]


@app.command()
@options
def power(
    context: typer.Context,
    contenders: ContenderOptions,
    play: PowerPlayOptions,
    output: RunOptions,
    difference: DifferenceOption,
    power: PowerOption = 0.9,
    deviation: DeviationOption = None,
    seeds: SeedsOption = False,
    looks: LooksOption = 16,
    spending: SpendingOption = "hwang-shih-decani",
    config: ConfigOption = None,
) -> None:
    """Compute how many episodes a comparison needs, per mission and overall, and how long they take.

    A pilot of --episodes blocks shows how much the differences vary; its episodes are cached and count when the
    comparison is played.

    \b
        daf power -p starter -p scout -m arena --difference 0.2
        daf power --difference 0.2 --deviation 0.5 --power 0.8
        daf power -p run:A -p run:B -p run:C -m arena --difference 0.2 --seeds
    """
    from daf.cli.show import EpisodeProgress, emit, out
    from daf.errors import unknown
    from daf.power import daf_power
    from daf.stats.spending import SPENDINGS
    from daf.storage.jsonable import jsonable

    play, filed = playing.from_file(context, config, play)
    policies = filed.policies or contenders.policies or []
    missions = filed.missions or contenders.missions or []
    if spending not in SPENDINGS:
        raise UsageError(unknown("choice for --spending", spending, SPENDINGS))
    if deviation is None and not missions:
        raise UsageError(playing.NO_MISSION)
    manager, settings = playing.open_output(output)
    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_power(
            policies, missions, difference=difference, power=power, deviation=deviation, seeds=seeds, looks=looks,
            spending=spending,
            teams=contenders.teams or [], settings=play.settings(settings), output_manager=manager,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    if output.as_json:
        emit(jsonable(report.json_data()))
    else:
        report.print_summary(out)
        out.print(f"\npage: {report.page}", soft_wrap=True, markup=False)
        out.print(f"run:  {report.run_dir}", soft_wrap=True, markup=False)
    if report.status != "ok":
        raise typer.Exit(1)
