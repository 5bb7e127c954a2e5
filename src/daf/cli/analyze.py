"""`daf analyze`: what missions and policies are, and how they fare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._analyze_show import mission_told, missions_told, policies_told, suite_told
from daf.cli._options import ExecutorOption, JobsOption, JsonOption, OutputDirOption, QuietOption, SeedOption
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.evaluation import Settings
    from daf.output_manager import OutputManager

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="What missions and policies are, and how they fare.",
)

SuccessOption = Annotated[
    str | None,
    typer.Option("--success", help='When an episode is a success: "METRIC >= X", several joined by "and".'),
]
EpisodesOption = Annotated[int, typer.Option("--episodes", "-e", help="Episodes per policy and mission.")]


@app.command()
def mission(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Mission string; see `daf missions`.")],
    policies: playing.PoliciesOption = None,
    teams: playing.TeamsOption = None,
    episodes: EpisodesOption = 10,
    success: SuccessOption = None,
    interval: Annotated[
        int | None, typer.Option("--interval", help="Steps between samples (default: about 200 an episode).")
    ] = None,
    no_replays: Annotated[bool, typer.Option("--no-replays", help="Record no example replays.")] = False,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    no_cache: playing.NoCacheOption = False,
    cache_dir: playing.CacheDirOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What a mission is; with policies, how it goes, and how it is failed.

    \b
        daf analyze mission arena
        daf analyze mission arena -p starter -p random --success "agent.junction.aligned_by_agent@sum >= 2"
    """
    from daf.cli.show import EpisodeProgress
    from daf.mission_analysis import perform, with_recorded
    from daf.mission_analysis.facts import analysis_of
    from daf.mission_analysis.performance import one_mission
    from daf.mission_analysis.watching import series_for

    if not policies and not teams:
        if success is not None:
            raise UsageError("--success says how policies fare; name one with -p.")
        analysis = analysis_of(one_mission(name, game=game, max_steps=max_steps))
        _, output = _settings(locals())
        analysis = with_recorded(analysis, name, game=game, max_steps=max_steps, output=output)
        mission_told(analysis, None, as_json)
        return
    if interval is not None and interval < 1:
        raise UsageError(f"--interval {interval} is below 1.")
    settings, output = _settings(locals())
    one = one_mission(name, game=game, max_steps=max_steps)
    if interval is not None:
        from dataclasses import replace

        settings = replace(settings, series=series_for(one, interval=interval))
    with EpisodeProgress(quiet=quiet) as progress:
        found = perform(
            one, policies or [], teams=teams or [], success=success, settings=settings, replays=not no_replays,
            output=output, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    mission_told(analysis_of(found.mission, found.rows), found.evaluation, as_json)
    if found.evaluation.status != "ok":
        raise typer.Exit(1)


@app.command()
def missions(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Mission strings, wildcards too: 'tutorial.*'.")],
    policies: playing.PoliciesOption = None,
    variants: Annotated[
        str | None,
        typer.Option("--variants", help="What these variants (A+B, or all) change in each mission's config."),
    ] = None,
    episodes: EpisodesOption = 10,
    success: SuccessOption = None,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    no_cache: playing.NoCacheOption = False,
    cache_dir: playing.CacheDirOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Several missions side by side; with policies, from easiest to hardest as measured.

    \b
        daf analyze missions 'tutorial.*' 'memory_*' -p starter -e 20
        daf analyze missions arena --variants all
    """
    from daf.cli.show import EpisodeProgress
    from daf.game.missions import resolve
    from daf.mission_analysis.sets import analyze_set, variant_changes

    settings, output = _settings(locals())
    changes = {}
    if variants is not None:
        chosen = [] if variants == "all" else [part for part in variants.split("+") if part]
        for one in resolve(names, game=game):
            changes[one.name] = variant_changes(one, chosen)
    with EpisodeProgress(quiet=quiet) as progress:
        found = analyze_set(
            names, policies or [], success=success, settings=settings, output=output,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    missions_told(found, changes, as_json)
    if found.evaluation is not None and found.evaluation.status != "ok":
        raise typer.Exit(1)


def _settings(values: dict[str, Any]) -> "tuple[Settings, OutputManager]":
    from daf.evaluation import Settings

    output, config = playing.open_output(values["output_dir"], quiet=values["quiet"])
    names = ("episodes", "seed", "max_steps", "game", "device", "jobs", "executor", "cache_dir")
    chosen = {name: values[name] for name in names}
    settings = Settings(
        gpu_allowed=config.enable_gpu, gpu_memory_fraction=config.gpu_memory_fraction,
        use_cache=not values["no_cache"], report=False, resamples=2_000, **chosen,
    )  # fmt: skip
    return settings, output


@app.command()
def policy(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Policy string; see `daf policies`.")],
    compare: Annotated[
        list[str] | None, typer.Option("--compare", metavar="POLICY", help="Beside this one; repeat for several.")
    ] = None,
    mission: Annotated[str, typer.Option("--mission", "-m", help="What it is measured on.")] = "arena",
    max_steps: Annotated[int, typer.Option("--max-steps", help="Steps of the episodes.")] = 300,
    cogs: Annotated[str, typer.Option("--cogs", help="Numbers of agents to compare: 1,4,8; auto, or none.")] = "auto",
    episodes: Annotated[int, typer.Option("--episodes", "-e", help="Episodes for each number of agents.")] = 5,
    time_limit: Annotated[
        float, typer.Option("--time-limit", metavar="S", help="End its process after so long.")
    ] = 300.0,
    memory_limit: Annotated[int, typer.Option("--memory-limit", metavar="MIB", help="Memory of its process.")] = 8192,
    seed: SeedOption = 42,
    game: playing.GameOption = "cogs_vs_clips",
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What a policy is, needs and does: network, memory, speed, determinism, and how it fares with more or fewer cogs.

    It is loaded and played in a process of its own, with limits on time and memory.

    \b
        daf analyze policy starter
        daf analyze policy lstm --compare stateless --compare puffer --cogs none
    """
    from daf.cli.show import EpisodeProgress
    from daf.game.missions import resolve
    from daf.policy_analysis import analyze_policies, cogs_to_try

    output, _ = playing.open_output(output_dir, quiet=quiet)
    counts = cogs_to_try(resolve(mission, game=game)[0]) if cogs == "auto" else _numbers(cogs)
    with EpisodeProgress(quiet=quiet) as progress:
        rows, evaluation = analyze_policies(
            [name, *(compare or [])], mission, steps=max_steps, seed=seed, cogs=counts, episodes=episodes,
            time_limit=time_limit, memory_limit_mib=memory_limit, device=device, game=game, jobs=jobs,
            executor=executor, output=output, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    policies_told(rows, evaluation, as_json)
    if evaluation is not None and evaluation.status != "ok":
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f'--cogs "{text}" is no list of numbers: write 1,4,8, auto or none.') from None


@app.command()
def suite(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="standard, integrated, spanning or diagnostic.")],
    policies: playing.PoliciesOption = None,
    episodes: EpisodesOption = 10,
    leaderboard: Annotated[
        Path | None, typer.Option("--leaderboard", help="Its file (default: leaderboards/ in the output folder).")
    ] = None,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    no_cache: playing.NoCacheOption = False,
    cache_dir: playing.CacheDirOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score policies on a suite of missions: 0 is random, 1 the best known policy; and add them to its leaderboard.

    \b
        daf analyze suite standard -p starter -p aligner
        daf analyze suite diagnostic -p class=lstm,data=weights.pt
    """
    from daf.benchmark_suites import daf_benchmark_suite
    from daf.cli.show import EpisodeProgress

    settings, output = _settings(locals() | {"game": "cogs_vs_clips"})
    with EpisodeProgress(quiet=quiet) as progress:
        report = daf_benchmark_suite(
            policies or [], name, settings=settings, leaderboard=leaderboard, output_manager=output,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    suite_told(report, as_json)
    if report.status != "ok":
        raise typer.Exit(1)


@app.command()
def ablation(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Policy string; see `daf policies`.")],
    components: Annotated[
        list[str] | None,
        typer.Option("--component", "-c", help="kw.NAME=VALUE, variant:NAME, role:NAME or mask:FEATURE. Repeatable."),
    ] = None,
    missions: playing.MissionsOption = None,
    metric: Annotated[str, typer.Option("--metric", help="What is compared; see `daf metrics`.")] = "reward",
    episodes: EpisodesOption = 20,
    seed: SeedOption = 42,
    max_steps: playing.MaxStepsOption = None,
    game: playing.GameOption = "cogs_vs_clips",
    device: playing.DeviceOption = "cpu",
    jobs: JobsOption = "auto",
    executor: ExecutorOption = "local",
    no_cache: playing.NoCacheOption = False,
    cache_dir: playing.CacheDirOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What a part is worth: the same policy with and without it, on identical episodes.

    \b
        daf analyze ablation starter -m arena -c 'mask:inv:*' -c role:scout -c variant:no_clips
    """
    from daf.ablation import daf_policy_ablation
    from daf.cli.show import EpisodeProgress, emit, out
    from daf.storage.jsonable import jsonable

    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
    settings, output = _settings(locals())
    with EpisodeProgress(quiet=quiet) as progress:
        report = daf_policy_ablation(
            name, missions, components or [], metric=metric, settings=settings, output_manager=output,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    if as_json:
        emit(jsonable(report.to_data()))
    else:
        for row in (*report.overall, *report.by_mission):
            out.print(f"  {escape(row.sentence)}", soft_wrap=True)
        for note in report.notes:
            out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
        out.print(f"\nreport: {report.run_dir / 'report.html'}", soft_wrap=True, markup=False)
        out.print(f"run:    {report.run_dir}", soft_wrap=True, markup=False)
    if report.status != "ok":
        raise typer.Exit(1)
