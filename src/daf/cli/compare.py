"""`daf compare`: which of these policies is better?"""

import typer
from typer import _click as click
from typer.core import TyperCommand

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import CompareOptions, ConfigOption, ContenderOptions, RepeatOptions, StoppingOptions
from daf.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class _CompareCommand(TyperCommand):
    """`--until-decided` needs no value, but takes one after "="; Typer has no such option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(
            ctx, ["--until-decided=group-sequential" if arg == "--until-decided" else arg for arg in args]
        )


@app.command(cls=_CompareCommand)
@options
def compare(
    context: typer.Context,
    contenders: ContenderOptions,
    play: CompareOptions,
    stopping: StoppingOptions,
    output: RepeatOptions,
    config: ConfigOption = None,
) -> None:
    """Compare policies on identical episodes, with paired tests.

    Reports for every pair, overall and by mission, which policy is better, by how much, and with which certainty. The
    chance that any of these verdicts is false is at most --alpha.

    \b
        daf compare -p starter -p scout -p run:20261120_101500 -m arena -e 30
        daf compare -p starter -p scout -m arena --until-decided --practical-difference 0.1
    """
    play, filed = playing.from_file(context, config, play)
    _check_stopping(context, stopping)
    playing.command(contenders, play, output, filed, operation="comparisons", rule=stopping.rule())


def _check_stopping(context: typer.Context, stopping: StoppingOptions) -> None:
    """Raises `UsageError` for options that would have no effect."""
    if stopping.until_decided is None:
        for name in ("max_episodes", "looks", "spending", "futility"):
            if playing.given(context, name):
                raise UsageError(
                    f"--{name.replace('_', '-')} needs --until-decided. For a fixed number of episodes use --episodes."
                )
        return
    if playing.given(context, "episodes"):
        raise UsageError("--episodes sets a fixed number. With --until-decided use --max-episodes instead.")
    for name in ("looks", "spending", "futility"):
        if stopping.until_decided == "anytime" and playing.given(context, name):
            raise UsageError(f"--{name} has no effect with --until-decided=anytime, which plans no looks.")
