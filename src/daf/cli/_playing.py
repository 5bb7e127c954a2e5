"""What `daf evaluate`, `daf compare` and `daf quickstart` share: options, the run with its progress, and the result."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.errors import ConfigError, Interrupted, UsageError, unknown

if TYPE_CHECKING:
    from daf.config import DAFConfig
    from daf.episodes.record import EpisodeRecord
    from daf.evaluation import Evaluation, Settings
    from daf.output_manager import OutputManager

PoliciesOption = Annotated[
    list[str] | None, typer.Option("--policy", "-p", help="Policy string; repeat for several, each plays all agents.")
]
TeamsOption = Annotated[
    list[str] | None, typer.Option("--team", help="Mixed team, POLICY=AGENTS,…: starter=4,random=4. Repeatable.")
]
MissionsOption = Annotated[
    list[str] | None, typer.Option("--mission", "-m", help="Mission string; repeat for several. See `daf missions`.")
]
EpisodesOption = Annotated[int, typer.Option("--episodes", "-e", help="Episodes per policy and mission.")]
MaxStepsOption = Annotated[
    int | None, typer.Option("--max-steps", help="Step limit for missions that name none (max_steps=…).")
]
GameOption = Annotated[str, typer.Option("--game", help="CoGames game: cogs_vs_clips or overcogged.")]
EngineOption = Annotated[str, typer.Option("--engine", help="How episodes are played; auto takes the fastest proven.")]
DeviceOption = Annotated[str, typer.Option("--device", help="Where networks compute: cpu, cuda, cuda:1, mps, auto.")]
EnforceOption = Annotated[
    int | None, typer.Option("--enforce-timeouts", metavar="MS", help="Replace steps slower than MS by noop.")
]
EpisodeTimeoutOption = Annotated[
    float | None, typer.Option("--episode-timeout", metavar="S", help="End an episode that takes longer (1800 s).")
]
MaxFailuresOption = Annotated[int | None, typer.Option("--max-failures", help="Stop once so many episodes failed.")]
ReplaysOption = Annotated[
    str, typer.Option("--save-replays", help="Record replays: none, best (of each mission) or all.")
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Play everything again; the records are replaced.")]
CacheDirOption = Annotated[
    Path | None, typer.Option("--cache-dir", help="Where records are shared (default: cache/ in the output folder).")
]
SeriesOption = Annotated[
    int | None, typer.Option("--series", metavar="STEPS", help="Sample --series-stat and positions every STEPS steps.")
]
SeriesStatOption = Annotated[
    list[str] | None,
    typer.Option("--series-stat", help="Stat to sample: game.NAME or agent.NAME, or positions. Repeatable."),
]
NoReportOption = Annotated[bool, typer.Option("--no-report", help="Write no HTML report.")]
AlphaOption = Annotated[float, typer.Option("--alpha", help="Significance level of all verdicts together.")]
MarginOption = Annotated[
    float | None, typer.Option("--practical-difference", help="Differences below this count as none.")
]
UntilDecidedOption = Annotated[
    bool, typer.Option("--until-decided", help="Play on only where the verdict is open, instead of --episodes.")
]
MaxEpisodesOption = Annotated[
    int | None,
    typer.Option("--max-episodes", help="With --until-decided: per policy and mission at most so many (200)."),
]


def given(context: typer.Context, name: str) -> bool:
    """Whether the user wrote the option `name` on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def series_request(interval: int | None, stats: list[str] | None) -> Any:
    """The `SeriesRequest` that the options mean, or None. Raises `UsageError`."""
    if interval is None:
        if stats:
            raise UsageError("--series-stat needs --series STEPS, the interval to sample at.")
        return None
    if interval < 1:
        raise UsageError(f"--series {interval} is below 1.")
    if not stats:
        raise UsageError("--series needs what to sample: --series-stat agent.NAME, game.NAME or positions.")
    from daf.game.outcome import SeriesRequest

    names: dict[str, list[str]] = {"game": [], "agent": []}
    for stat in stats:
        scope, _, name = stat.partition(".")
        if stat != "positions" and (scope not in names or not name):
            raise UsageError(f'--series-stat "{stat}": {unknown("kind of stat", scope, [*names, "positions"])}')
        if stat != "positions":
            names[scope].append(name)
    return SeriesRequest(interval, tuple(names["game"]), tuple(names["agent"]), "positions" in stats)


def from_file(context: typer.Context, path: Path | None, values: dict[str, Any]) -> dict[str, Any]:
    """`values` (options by their parameter names) with those that a comparison's file sets, where no flag was given."""
    if path is None:
        return values
    if not path.is_file():
        raise UsageError(f"--config {path}: there is no such file.")
    return values | {name: value for name, value in comparison_options(path).items() if not given(context, name)}


def comparison_options(path: Path) -> dict[str, Any]:
    """What a comparison's file sets, by the names of the options' parameters. Raises `ConfigError`."""
    from daf.config import DAFComparisonConfig, daf_load_config

    config = daf_load_config(path)
    if not isinstance(config, DAFComparisonConfig):
        raise ConfigError(f"{path} configures a {config.kind}; here a comparison is wanted (kind: comparison).")
    policies = [
        f"class={policy},data={config.policy_weights[policy]}" if policy in config.policy_weights else policy
        for policy in config.policies
    ]
    fields = {
        "episodes": "episodes_per_mission",
        "max_steps": "max_steps_per_episode",
        "seed": "seed",
        "alpha": "significance_level",
        "resamples": "bootstrap_samples",
        "keep_records": "save_raw_results",
        "title": "name",
        "missions": "missions",
    }
    filed = {name: getattr(config, field) for name, field in fields.items() if field in config.model_fields_set}
    filed |= {"policies": policies}
    if "generate_html_report" in config.model_fields_set:
        filed["no_report"] = not config.generate_html_report
    return filed


def open_output(
    output_dir: Path | None, *, verbose: bool = False, quiet: bool = False
) -> "tuple[OutputManager, DAFConfig]":
    """The output folder as the DAF_ variables and the flags say, and what else they say."""
    from daf.config import load_config_from_environment
    from daf.output_manager import OutputManager

    config = load_config_from_environment()
    changes: dict[str, Any] = {"verbose": verbose and not quiet}
    if output_dir is not None:
        changes["output_dir"] = output_dir
    config = config.replace(**changes)
    return OutputManager.from_config(config), config


def command(context: typer.Context, options: dict[str, Any], *, operation: str) -> None:
    """The command with these options, by their parameter names."""
    from daf.evaluation import Settings
    from daf.game.outcome import SLOW_STEP_MS

    del options["context"]
    path = options.pop("config")
    values = from_file(context, path, options | {"resamples": 10_000, "keep_records": True, "title": None})
    policies, teams = values["policies"] or [], values["teams"] or []
    missions = values["missions"] or []
    if not policies and not teams:
        raise UsageError("no policy is given. Name one with -p, for example -p starter; `daf policies` lists them.")
    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
    if operation == "comparisons" and len(policies) + len(teams) < 2:
        raise UsageError("a comparison takes two policies or teams at least. One alone: `daf evaluate`.")
    if not 0 < values["alpha"] < 1:
        raise UsageError(f"--alpha {values['alpha']:g} is outside 0 to 1.")
    if values["margin"] is not None and not values["margin"] > 0:
        raise UsageError(f"--practical-difference {values['margin']:g} is not above 0.")
    most = _most_episodes(context, values)
    output, config = open_output(values["output_dir"], verbose=values["verbose"], quiet=values["quiet"])
    if values["jobs"] == "auto" and "max_parallel_jobs" in config.model_fields_set:
        values["jobs"] = config.parallel_jobs()
    settings = Settings(
        gpu_allowed=config.enable_gpu,
        gpu_memory_fraction=config.gpu_memory_fraction,
        series=series_request(values.get("series"), values.get("series_stats")),
        slow_step_ms=values["enforce_timeouts"] or SLOW_STEP_MS,
        use_cache=not values["no_cache"],
        report=not values["no_report"],
        **{name: values[name] for name in _SETTINGS},
    )
    evaluation = run_and_show(
        policies,
        missions,
        teams,
        settings=settings,
        output=output,
        operation=operation,
        title=values["title"],
        as_json=values["as_json"],
        quiet=values["quiet"],
        max_episodes=most,
    )
    if evaluation.status != "ok":
        raise typer.Exit(1)


def _most_episodes(context: typer.Context, values: dict[str, Any]) -> int | None:
    """At most so many episodes per policy and mission until decided; None for a fixed number."""
    if not values.get("until_decided"):
        if values.get("max_episodes") is not None:
            raise UsageError("--max-episodes bounds --until-decided: give that too, or --episodes for a fixed number.")
        return None
    if given(context, "episodes"):
        raise UsageError("--episodes is a fixed number; with --until-decided give --max-episodes instead.")
    from daf.until_decided import MAX_EPISODES

    most = values["max_episodes"]
    if most is not None and most < 1:
        raise UsageError(f"--max-episodes {most} is below 1.")
    return int(MAX_EPISODES if most is None else most)


_SETTINGS = (
    "episodes", "seed", "jobs", "executor", "game", "engine", "device", "enforce_timeouts", "episode_timeout",
    "max_failures", "max_steps", "cache_dir", "save_replays", "alpha", "resamples", "margin", "keep_records",
)  # fmt: skip


def run_and_show(
    policies: list[str],
    missions: list[str],
    teams: list[str],
    *,
    settings: "Settings",
    output: "OutputManager",
    operation: str,
    title: str | None,
    as_json: bool,
    quiet: bool,
    max_episodes: int | None = None,
) -> "Evaluation":
    """Evaluate, show the result, and exit with 1 where an episode failed. Ctrl-C raises `Interrupted`.

    max_episodes: where given, compare until decided, with at most so many episodes per policy and mission.
    """
    if max_episodes is not None:
        from daf.cli._deciding import decide_and_show

        return decide_and_show(
            policies, missions, teams, max_episodes=max_episodes, settings=settings, output=output, title=title,
            as_json=as_json, quiet=quiet,
        )  # fmt: skip
    from daf.cli.show import EpisodeProgress, emit
    from daf.evaluation import evaluate, results_data
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=quiet) as progress:
        try:
            evaluation = evaluate(
                policies,
                missions,
                teams=teams,
                settings=settings,
                output=output,
                operation=operation,
                title=title,
                on_plan=progress.plan,
                on_record=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted(how_to_go_on(progress.finished, progress.total)) from None
    if as_json:
        emit(jsonable(results_data(evaluation)))
    else:
        show(evaluation)
    return evaluation


def how_to_go_on(finished: int, total: int) -> str:
    """What an interrupted run says: how far it came, and the command that goes on."""
    if not total:
        return "stopped before anything was played."
    command = shlex.join(["daf", *sys.argv[1:]])
    return f"stopped after {finished} of {total} episodes, which are kept. The same command plays the rest: {command}"


def _where(record: "EpisodeRecord") -> str:
    """The place in the user's code that a traceback ends at, " (file:line)"."""
    places = re.findall(r'File "([^"]+)", line (\d+)', record.failure.traceback if record.failure else "")
    return f" ({places[-1][0]}:{places[-1][1]})" if places else ""


def show(evaluation: "Evaluation") -> None:
    """Rankings, verdicts, what to know, and where everything is."""
    from daf.cli.show import out, ranking_table, say_end, say_pairs

    analysis, result = evaluation.analysis, evaluation.result
    for note in analysis.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    for failure in result.failures[:5]:
        what = failure.failure.message if failure.failure else ""
        place = f"{failure.spec.name} on {failure.spec.mission}, seed {failure.spec.seed}"
        out.print(f"  [red]failed[/red] {escape(place)}: {escape(what)}{escape(_where(failure))}", soft_wrap=True)
    if len(result.failures) > 5:
        out.print(f"  … and {len(result.failures) - 5} more; tracebacks are in the report", markup=False)
    missions = list(analysis.by_mission)
    if analysis.ranking:
        heading = f"over {len(missions)} missions" if len(missions) > 1 else f"on {missions[0]}"
        out.print(ranking_table(f"Reward per agent {heading}", analysis.ranking))
    if len(missions) > 1:
        for mission, rows in analysis.by_mission.items():
            out.print(ranking_table(f"on {mission}", rows))
    say_pairs([pair for pair in analysis.pairs if pair.stratum is None])
    if len(missions) > 1:  # on a single mission, the comparison over all missions is the mission's
        rest = [pair for pair in analysis.pairs if pair.stratum is not None]
        if len(rest) <= 12:
            say_pairs(rest)
        else:
            out.print(f"  … and {len(rest)} verdicts by mission in the report")
    say_end(result, evaluation.seconds, evaluation.report)
    for replay in list(evaluation.replays.values())[:4]:
        out.print(f"replay: {replay}", soft_wrap=True, markup=False)
    out.print(f"run:    {evaluation.run_dir}", soft_wrap=True, markup=False)
