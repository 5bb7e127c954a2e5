"""`daf compare`: which of these policies is better?"""

import typer

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import (
    CompareOptions,
    ConfigOption,
    ContenderOptions,
    MaxEpisodesOption,
    RunOptions,
    UntilDecidedOption,
)
from daf.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@options
def compare(
    context: typer.Context,
    contenders: ContenderOptions,
    play: CompareOptions,
    output: RunOptions,
    until_decided: UntilDecidedOption = False,
    max_episodes: MaxEpisodesOption = None,
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
    limit = _episode_limit(until_decided, max_episodes, fixed=playing.given(context, "episodes"))
    playing.command(contenders, play, output, filed, operation="comparisons", max_episodes=limit)


def _episode_limit(until_decided: bool, max_episodes: int | None, *, fixed: bool) -> int | None:
    """The episodes per policy and mission at which --until-decided ends; None for a fixed number of episodes."""
    if not until_decided:
        if max_episodes is not None:
            raise UsageError("--max-episodes needs --until-decided. For a fixed number of episodes use --episodes.")
        return None
    if fixed:
        raise UsageError("--episodes sets a fixed number. With --until-decided use --max-episodes instead.")
    from daf.until_decided import MAX_EPISODES

    if max_episodes is not None and max_episodes < 1:
        raise UsageError(f"--max-episodes must be at least 1, got {max_episodes}.")
    return MAX_EPISODES if max_episodes is None else max_episodes
