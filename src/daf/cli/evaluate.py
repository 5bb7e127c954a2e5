"""`daf evaluate`: how do these policies do?"""

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
def evaluate(
    context: typer.Context,
    policies: playing.PoliciesOption = None,
    teams: playing.TeamsOption = None,
    missions: playing.MissionsOption = None,
    episodes: playing.EpisodesOption = 20,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    save_replays: playing.ReplaysOption = "none",
    series: playing.SeriesOption = None,
    series_stats: playing.SeriesStatOption = None,
    enforce_timeouts: playing.EnforceOption = None,
    episode_timeout: playing.EpisodeTimeoutOption = None,
    max_failures: playing.MaxFailuresOption = None,
    engine: playing.EngineOption = "auto",
    device: playing.DeviceOption = "cpu",
    alpha: playing.AlphaOption = 0.05,
    margin: playing.MarginOption = None,
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
    """Play policies on missions and report the returns.

    Every policy meets the same episodes, so that any two can be compared. What was played before is read, not played
    again; after Ctrl-C or a crash the same command goes on with what is missing.

    \b
        daf evaluate -p starter -p random -m arena -m machina_1,max_steps=2000
        daf evaluate --team starter=4,random=4 -m arena
    """
    playing.command(context, dict(locals()), operation="evaluations")
