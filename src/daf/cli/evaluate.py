"""`daf evaluate`: how do these policies do?"""

import typer

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ConfigOption, ContenderOptions, EvaluateOptions, RepeatOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@options
def evaluate(
    context: typer.Context,
    contenders: ContenderOptions,
    play: EvaluateOptions,
    output: RepeatOptions,
    config: ConfigOption = None,
) -> None:
    """Play policies on missions and report the returns.

    Every policy plays the same episodes, so that any two can be compared. Episodes that were played before are read
    from the cache; after Ctrl-C or a crash the same command plays only the missing ones.

    \b
        daf evaluate -p starter -p random -m arena -m machina_1,max_steps=2000
        daf evaluate --team starter=4,random=4 -m arena
    """
    play, filed = playing.from_file(context, config, play)
    playing.command(contenders, play, output, filed, operation="evaluations")
