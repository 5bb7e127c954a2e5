"""`daf quickstart`: the main job, with nothing to choose."""

import typer

from daf.cli import _playing as playing
from daf.cli._options import (
    ExecutorOption,
    JobsOption,
    JsonOption,
    OutputDirOption,
    QuietOption,
    SeedOption,
    VerboseOption,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)

POLICIES = ["starter", "random", "noop"]
MISSIONS = ["arena", "machina_1,max_steps=1000"]
EPISODES = 12


@app.command()
def quickstart(
    seed: SeedOption = 42,
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Evaluate starter, random and noop on two missions, and look at the result.

    Leaves a run folder with the records, an HTML report and the replay of the best episode of each mission. The second
    time there is nothing left to play.
    """
    from daf.evaluation import Settings

    output, _ = playing.open_output(output_dir, verbose=verbose, quiet=quiet)
    evaluation = playing.run_and_show(
        POLICIES,
        MISSIONS,
        [],
        settings=Settings(episodes=EPISODES, seed=seed, jobs=jobs, executor=executor, save_replays="best"),
        output=output,
        operation="evaluations",
        title="quickstart: " + ", ".join(POLICIES),
        as_json=as_json,
        quiet=quiet,
    )
    if not as_json and not quiet:
        from daf.cli.show import say

        say("\nNext: open the report, then try your own: daf compare -p starter -p my_module.MyPolicy -m arena -e 30")
    if evaluation.status != "ok":
        raise typer.Exit(1)
