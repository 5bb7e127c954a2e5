"""The options of the command line: each is declared here once, and grouped into the objects that commands receive.

An `…Option` alias is one option. A frozen dataclass groups the options that travel together; `grouped.options` makes a
command that takes such an object read its fields from the command line. A field without an alias is not an option of
that command and keeps its default, so that one function, `PlayOptions.settings`, serves every command that plays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.compute.interface import ClusterOptions
    from daf.config import DAFConfig
    from daf.evaluation import Settings
    from daf.game.outcome import SeriesRequest
    from daf.output_manager.labels import Labels
    from daf.until_decided import StoppingRule

OUTPUT_DIR_HELP = "Where run directories go, also a URL: s3://bucket/runs (default: $DAF_OUTPUT_DIR or ./daf_output)."
QUIET_HELP = "Print no progress and no messages."
VERBOSE_HELP = "Print the log while the command runs, and the traceback of an error."
GAME_HELP = "CoGames game: cogs_vs_clips or overcogged."
TAKE_OVER_HELP = "Also resume a run of another host that can't be checked from here and has ended."


def place(text: str | Path) -> Path:
    """The directory that an option names by a path or a URL. Raises `UsageError`."""
    from daf.storage import remote

    return remote.local(text)


OutputDirOption = Annotated[
    Path | None, typer.Option("--output-dir", help=OUTPUT_DIR_HELP, parser=place, metavar="DIR|URL")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help=QUIET_HELP)]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help=VERBOSE_HELP)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML or JSON file with this command's settings; flags win over it.")
]

PoliciesOption = Annotated[
    list[str] | None, typer.Option("--policy", "-p", help="Policy string; repeat for several, each plays all agents.")
]
TeamsOption = Annotated[
    list[str] | None, typer.Option("--team", help="Mixed team, POLICY=AGENTS,…: starter=4,random=4. Repeatable.")
]
MissionsOption = Annotated[
    list[str] | None, typer.Option("--mission", "-m", help="Mission string; repeat for several. See `daf missions`.")
]
MetricOption = Annotated[str, typer.Option("--metric", help="The metric to compare; see `daf metrics`.")]
SuccessOption = Annotated[
    str | None,
    typer.Option("--success", help='When an episode is a success: "METRIC >= X", several joined by "and".'),
]

EpisodesOption = Annotated[int, typer.Option("--episodes", "-e", help="Episodes per policy and mission.")]
TeamEpisodesOption = Annotated[int, typer.Option("--episodes", "-e", help="Seeds per team and mission.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the first episode; episode i has seed + i.")]
NewSeedOption = Annotated[int | None, typer.Option("--seed", help="Replaces the file's seed.")]
MaxStepsOption = Annotated[
    int | None, typer.Option("--max-steps", help="Step limit of missions that set none (max_steps=…).")
]
GameOption = Annotated[str, typer.Option("--game", help=GAME_HELP)]
EngineOption = Annotated[
    str, typer.Option("--engine", help="Simulation engine; auto takes the fastest one with proven equal results.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="Where networks compute: cpu, cuda, cuda:1, mps, auto.")]
JobsOption = Annotated[str, typer.Option("--jobs", "-j", help="Worker processes: a number, or auto for every core.")]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor", help="Where it runs: local (worker processes), serial (this process) or ray (a cluster)."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster, HOST:PORT or auto (default: one on this machine, for this command)."),
]
CpusPerEpisodeOption = Annotated[float, typer.Option("--cpus-per-episode", help="With ray: CPUs that one reserves.")]
GpusPerEpisodeOption = Annotated[
    float, typer.Option("--gpus-per-episode", help="With ray and a GPU as --device: the share that one reserves.")
]
VersionMismatchOption = Annotated[
    bool, typer.Option("--allow-version-mismatch", help="With ray: use nodes that have other versions.")
]
EnforceTimeoutsOption = Annotated[
    int | None, typer.Option("--enforce-timeouts", metavar="MS", help="Replace steps slower than MS by noop.")
]
EpisodeTimeoutOption = Annotated[
    float | None, typer.Option("--episode-timeout", metavar="S", help="End an episode that takes longer (1800 s).")
]
MaxFailuresOption = Annotated[
    int | None, typer.Option("--max-failures", metavar="N", help="Stop after N failed episodes.")
]
ReplaysOption = Annotated[
    str, typer.Option("--save-replays", help="Record replays: none, best (of each mission) or all.")
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Play every episode again and replace its record.")]
CacheDirOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Where records are shared, also a URL (default: cache/ in the output directory).",
        parser=place,
        metavar="DIR|URL",
    ),
]
SeriesOption = Annotated[
    int | None, typer.Option("--series", metavar="STEPS", help="Sample --series-stat and positions every STEPS steps.")
]
SeriesStatsOption = Annotated[
    list[str] | None,
    typer.Option("--series-stat", help="Stat to sample: game.NAME or agent.NAME, or positions. Repeatable."),
]
NoReportOption = Annotated[bool, typer.Option("--no-report", help="Write no HTML report.")]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Significance level of all verdicts together.")]
MarginOption = Annotated[
    float | None, typer.Option("--practical-difference", help="Treat differences below this as no difference.")
]
ResamplesOption = Annotated[int, typer.Option("--resamples", metavar="N", help="Sign vectors of the tests.")]
UntilDecidedOption = Annotated[
    str | None,
    typer.Option(
        "--until-decided",
        metavar="[=HOW]",
        help="Add episodes only while a verdict is open; =anytime needs no planned looks.",
    ),
]
LooksOption = Annotated[
    str,
    typer.Option("--looks", help="With --until-decided: number of equal steps up to the maximum, or blocks: 10,20,50."),
]
SpendingOption = Annotated[
    str,
    typer.Option(
        "--spending", help="With --until-decided: how alpha is spent: hwang-shih-decani, obrien-fleming or pocock."
    ),
]
FutilityOption = Annotated[
    float,
    typer.Option(
        "--futility", metavar="P", help="With --until-decided: end a mission whose chance to be settled is below P."
    ),
]
MaxEpisodesOption = Annotated[
    int | None,
    typer.Option(
        "--max-episodes", metavar="N", help="With --until-decided: at most N episodes per policy and mission (200)."
    ),
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the run, to find it by.")]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", help="Tag of the run. Repeatable.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="Note about the run.")]
RerunOption = Annotated[
    bool, typer.Option("--rerun", help="Make a new run directory, also if the same command left one.")
]
TakeOverOption = Annotated[bool, typer.Option("--take-over", help=TAKE_OVER_HELP)]


@dataclass(frozen=True)
class OutputOptions:
    """Where a command writes, and what it prints."""

    output_dir: OutputDirOption = None
    as_json: JsonOption = False
    quiet: QuietOption = False
    verbose: VerboseOption = False


@dataclass(frozen=True)
class RunOptions(OutputOptions):
    """Where a command that plays or trains writes, what it prints, and what its run is called."""

    run_name: NameOption = None
    tags: TagsOption = None
    note: NoteOption = None

    def labels(self) -> "Labels":
        """The labels of the run. Raises `UsageError`."""
        from daf.output_manager.labels import Labels

        return Labels(self.run_name, tuple(dict.fromkeys(self.tags or ())), self.note)


@dataclass(frozen=True)
class RepeatOptions(RunOptions):
    """The same for a command that names the run of an equal earlier one instead of making a second."""

    rerun: RerunOption = False


@dataclass(frozen=True)
class ExecutorOptions:
    """Where a command runs what it plays or trains."""

    jobs: JobsOption = "auto"
    executor: ExecutorOption = "local"
    address: AddressOption = None
    cpus_per_episode: CpusPerEpisodeOption = 1.0
    gpus_per_episode: GpusPerEpisodeOption = 0.1
    allow_version_mismatch: VersionMismatchOption = False


@dataclass(frozen=True)
class ContenderOptions:
    """Who plays, and where."""

    policies: PoliciesOption = None
    teams: TeamsOption = None
    missions: MissionsOption = None


@dataclass(frozen=True)
class PlayOptions:
    """How episodes are played and their scores read."""

    episodes: EpisodesOption = 20
    seed: SeedOption = 42
    max_steps: MaxStepsOption = None
    game: GameOption = "cogs_vs_clips"
    alpha: float = 0.05
    margin: float | None = None
    save_replays: str = "none"
    series: int | None = None
    series_stats: list[str] | None = None
    enforce_timeouts: int | None = None
    episode_timeout: float | None = None
    max_failures: int | None = None
    engine: str = "auto"
    device: DeviceOption = "cpu"
    jobs: JobsOption = "auto"
    executor: ExecutorOption = "local"
    address: AddressOption = None
    cpus_per_episode: CpusPerEpisodeOption = 1.0
    gpus_per_episode: GpusPerEpisodeOption = 0.1
    allow_version_mismatch: VersionMismatchOption = False
    no_cache: NoCacheOption = False
    cache_dir: CacheDirOption = None
    no_report: bool = False
    resamples: int = 10_000
    keep_records: bool = True

    def settings(self, config: "DAFConfig") -> "Settings":
        """The settings that an operation takes; `config` has what the DAF_ variables set. Raises `UsageError`."""
        from daf.evaluation import Settings
        from daf.game.outcome import SLOW_STEP_MS

        if not 0 < self.alpha < 1:
            raise UsageError(f"--alpha must be between 0 and 1, got {self.alpha:g}.")
        if self.margin is not None and not self.margin > 0:
            raise UsageError(f"--practical-difference must be above 0, got {self.margin:g}.")
        limited = self.jobs == "auto" and "max_parallel_jobs" in config.model_fields_set
        return Settings(
            episodes=self.episodes,
            seed=self.seed,
            jobs=config.parallel_jobs() if limited else self.jobs,
            executor=self.executor,
            cluster=cluster_options(self),
            game=self.game,
            engine=self.engine,
            device=self.device,
            gpu_allowed=config.enable_gpu,
            gpu_memory_fraction=config.gpu_memory_fraction,
            enforce_timeouts=self.enforce_timeouts,
            slow_step_ms=self.enforce_timeouts or SLOW_STEP_MS,
            episode_timeout=self.episode_timeout,
            max_failures=self.max_failures,
            max_steps=self.max_steps,
            use_cache=not self.no_cache,
            cache_dir=self.cache_dir,
            save_replays=self.save_replays,
            series=_series(self.series, self.series_stats),
            alpha=self.alpha,
            resamples=self.resamples,
            margin=self.margin,
            report=not self.no_report,
            keep_records=self.keep_records,
        )


@dataclass(frozen=True)
class ReportedPlayOptions(PlayOptions):
    """How the episodes are played of a command that leaves a report with verdicts."""

    alpha: AlphaOption = 0.05
    save_replays: ReplaysOption = "none"
    enforce_timeouts: EnforceTimeoutsOption = None
    episode_timeout: EpisodeTimeoutOption = None
    max_failures: MaxFailuresOption = None
    engine: EngineOption = "auto"
    no_report: NoReportOption = False


@dataclass(frozen=True)
class TeamPlayOptions(ReportedPlayOptions):
    """How the episodes of mixed teams are played."""

    episodes: TeamEpisodesOption = 20


@dataclass(frozen=True)
class CompareOptions(ReportedPlayOptions):
    """How the episodes of a comparison are played."""

    margin: MarginOption = None
    resamples: ResamplesOption = 10_000


@dataclass(frozen=True)
class StoppingOptions:
    """When a comparison that is played until decided ends."""

    until_decided: UntilDecidedOption = None
    max_episodes: MaxEpisodesOption = None
    looks: LooksOption = "16"
    spending: SpendingOption = "hwang-shih-decani"
    futility: FutilityOption = 0.05

    def rule(self) -> "StoppingRule | None":
        """None for a fixed number of episodes. Raises `UsageError`."""
        from daf.errors import unknown
        from daf.stats.spending import SPENDINGS
        from daf.until_decided import MAX_EPISODES, METHODS, StoppingRule

        if self.until_decided is None:
            return None
        for option, value, known in (
            ("--until-decided", self.until_decided, METHODS),
            ("--spending", self.spending, SPENDINGS),
        ):
            if value not in known:
                raise UsageError(unknown(f"choice for {option}", value, known))
        most = MAX_EPISODES if self.max_episodes is None else self.max_episodes
        if most < 1:
            raise UsageError(f"--max-episodes must be at least 1, got {most}.")
        return StoppingRule(self.until_decided, most, _looks(self.looks), self.spending, self.futility)  # type: ignore[arg-type]


@dataclass(frozen=True)
class EvaluateOptions(ReportedPlayOptions):
    """How the episodes of an evaluation are played."""

    margin: MarginOption = None
    series: SeriesOption = None
    series_stats: SeriesStatsOption = None


@dataclass(frozen=True)
class AnalysisOptions(PlayOptions):
    """How the episodes of an analysis are played. An analysis writes a page instead of the evaluation's report."""

    episodes: EpisodesOption = 10
    no_report: bool = True
    resamples: int = 2_000


@dataclass(frozen=True)
class MetricsPlayOptions(AnalysisOptions):
    """How the episodes of `daf metrics` are played."""

    episodes: EpisodesOption = 5
    alpha: AlphaOption = 0.05
    resamples: int = 1_000


@dataclass(frozen=True)
class PowerPlayOptions(PlayOptions):
    """How the episodes of a pilot of `daf power` are played. It writes a page instead of the evaluation's report."""

    episodes: EpisodesOption = 20
    alpha: AlphaOption = 0.05
    no_report: bool = True
    resamples: int = 1_000


@dataclass(frozen=True)
class VariantsPlayOptions(PlayOptions):
    """How the episodes of `daf sweep variants` are played."""

    episodes: EpisodesOption = 20
    alpha: AlphaOption = 0.05
    no_report: NoReportOption = False


def cluster_options(options: ExecutorOptions | PlayOptions) -> "ClusterOptions":
    """The cluster that the options of a command describe."""
    from daf.compute.interface import ClusterOptions

    return ClusterOptions(
        address=options.address,
        cpus_per_episode=options.cpus_per_episode,
        gpus_per_episode=options.gpus_per_episode,
        allow_version_mismatch=options.allow_version_mismatch,
    )


def _looks(text: str) -> int | tuple[int, ...]:
    try:
        steps = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f'--looks must be a number of steps, or blocks such as 10,20,50; got "{text}".') from None
    return steps if len(steps) > 1 else steps[0]


def _series(interval: int | None, stats: list[str] | None) -> "SeriesRequest | None":
    if interval is None:
        if stats:
            raise UsageError("--series-stat needs --series STEPS, the sampling interval.")
        return None
    if interval < 1:
        raise UsageError(f"--series must be at least 1, got {interval}.")
    if not stats:
        raise UsageError("--series needs a stat to sample: --series-stat agent.NAME, game.NAME or positions.")
    from daf.errors import unknown
    from daf.game.outcome import SeriesRequest

    names: dict[str, list[str]] = {"game": [], "agent": []}
    for stat in stats:
        scope, _, name = stat.partition(".")
        if stat != "positions" and (scope not in names or not name):
            raise UsageError(f'--series-stat "{stat}": {unknown("kind of stat", scope, [*names, "positions"])}')
        if stat != "positions":
            names[scope].append(name)
    return SeriesRequest(interval, tuple(names["game"]), tuple(names["agent"]), "positions" in stats)
