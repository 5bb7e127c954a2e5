"""`daf quickstart`: a first evaluation, without anything to choose."""

from dataclasses import asdict

import typer

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ExecutorOptions, PlayOptions, RepeatOptions, SeedOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

POLICIES = ["starter", "random", "noop"]
MISSIONS = ["arena", "machina_1,max_steps=1000"]
EPISODES = 12


@app.command()
@options
def quickstart(
    *,
    output: RepeatOptions,
    seed: SeedOption = 42,
    execution: ExecutorOptions,
) -> None:
    """Evaluate starter, random and noop on two missions, and look at the result.

    Writes a run directory with the records, an HTML report and the replay of the best episode of each mission. The
    second time, all episodes come from the cache.

    \b
        daf quickstart
    """
    manager, config = playing.open_output(output)
    play = PlayOptions(episodes=EPISODES, seed=seed, save_replays="best", **asdict(execution))
    evaluation = playing.run_and_show(
        POLICIES,
        MISSIONS,
        [],
        settings=play.settings(config),
        output=manager,
        operation="evaluations",
        title="quickstart: " + ", ".join(POLICIES),
        as_json=output.as_json,
        quiet=output.quiet,
        rerun=output.rerun,
    )
    if not output.as_json and not output.quiet:
        from daf.cli.show import say

        say("\nNext: open the report, then try your own: daf compare -p starter -p my_module.MyPolicy -m arena -e 30")
    if evaluation.status != "ok":
        raise typer.Exit(1)
