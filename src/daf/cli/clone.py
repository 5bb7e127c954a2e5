"""`daf clone`: train a network to do what a policy does, and report how far it succeeds."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli import _train_show as train_show
from daf.cli._grouped import options
from daf.cli._options import RunOptions
from daf.cli.train import TrainOptions, launch_of, run_training
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.training import CloneResult

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PolicyArgument = Annotated[
    str | None, typer.Argument(metavar="POLICY", help="Policy string of the teacher; omitted with --resume.")
]
EpisodesOption = Annotated[
    int, typer.Option("--agreement-episodes", help="Episodes in whose states the clone is compared with its teacher.")
]


@app.command()
@options
def clone(
    chosen: TrainOptions, output: RunOptions, cloned: PolicyArgument = None, agreement_episodes: EpisodesOption = 8
) -> None:
    """Train a network to do what a policy does, and compare the two.

    The options are those of daf train; the network is token_grid, or that of --policy. Ctrl-C saves, and --resume
    continues.

    \b
        daf clone starter -m arena --steps 4e6
        daf clone cartographer -m arena -p lstm --set label_share=0.5
        daf clone --resume latest
    """
    if chosen.node_rank:
        raise UsageError("daf clone runs on machine 0; the others join with daf train --nodes … --node-rank …")
    if chosen.resume is None:
        if (cloned is None) == (chosen.teacher is None):
            raise UsageError("name the policy to clone once: daf clone POLICY -m MISSION.")
        chosen = chosen if cloned is None else replace(chosen, teacher=[cloned])
    elif cloned is not None:
        raise UsageError("--resume uses the run's own settings: omit POLICY.")

    def imitated(**arguments: Any) -> "CloneResult":
        from daf.training import daf_clone_policy

        return daf_clone_policy(agreement_episodes=agreement_episodes, **arguments)

    result = run_training(chosen, output, imitated, policy="token_grid")
    agreement = result.agreement
    if output.as_json:
        from daf.cli.show import emit

        data = {"agreement": None if agreement is None else agreement.to_data()}
        emit({**train_show.result_data(result.training), **data})
    else:
        if agreement is not None:
            from daf.cli.show import out
            from daf.core.training_report._agreement import agreement_sentence

            out.print(agreement_sentence(agreement), markup=False, soft_wrap=True)
        train_show.show(result.training, quiet=output.quiet)
    train_show.end(
        result.training,
        output,
        run_dir=chosen.run_dir,
        resumed=chosen.resume is not None,
        command="clone",
        where=launch_of(chosen).cluster_options(),
    )
