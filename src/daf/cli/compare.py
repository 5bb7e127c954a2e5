"""`daf compare`: which of these policies is better?"""

import typer

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

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def compare(
    context: typer.Context,
    policies: playing.PoliciesOption = None,
    teams: playing.TeamsOption = None,
    missions: playing.MissionsOption = None,
    episodes: playing.EpisodesOption = 20,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    alpha: playing.AlphaOption = 0.05,
    margin: playing.MarginOption = None,
    until_decided: playing.UntilDecidedOption = False,
    max_episodes: playing.MaxEpisodesOption = None,
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
    """Compare policies on identical episodes, with paired tests.

    Says for every pair, overall and by mission, which is better, by how much, and how sure that is. The chance that
    any of these verdicts is false is at most --alpha.

    \b
        daf compare -p starter -p scout -p run:20261120_101500 -m arena -e 30
        daf compare -p starter -p scout -m arena --until-decided --practical-difference 0.1
    """
    playing.command(context, dict(locals()), operation="comparisons")
