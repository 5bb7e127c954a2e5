"""`daf analyze`: facts on missions and policies, and their measured performance."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._analyze_show import show_mission, show_missions, show_policies, show_suite
from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import (
    AnalysisOptions,
    EpisodesOption,
    MetricOption,
    MissionsOption,
    PlayOptions,
    PoliciesOption,
    RunOptions,
    SuccessOption,
    TeamsOption,
)
from daf.errors import UsageError

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Facts on missions and policies, and their measured performance.",
)


@app.command()
@options
def mission(
    *,
    name: Annotated[str, typer.Argument(help="Mission string; see `daf missions`.")],
    policies: PoliciesOption = None,
    teams: TeamsOption = None,
    success: SuccessOption = None,
    interval: Annotated[
        int | None,
        typer.Option("--interval", metavar="STEPS", help="Steps between samples (default: about 200 per episode)."),
    ] = None,
    no_replays: Annotated[bool, typer.Option("--no-replays", help="Record no example replays.")] = False,
    play: AnalysisOptions,
    output: RunOptions,
) -> None:
    """Describe a mission; with policies, also measure how they perform on it and how they fail.

    \b
        daf analyze mission arena
        daf analyze mission arena -p starter -p random --success "agent.junction.aligned_by_agent@sum >= 2"
    """
    from daf.cli.show import EpisodeProgress
    from daf.mission_analysis import with_recorded
    from daf.mission_analysis.facts import analysis_of
    from daf.mission_analysis.operation import analyze_played_mission
    from daf.mission_analysis.performance import one_mission
    from daf.mission_analysis.watching import series_for

    manager, config = playing.open_output(output)
    if not policies and not teams:
        if success is not None:
            raise UsageError("--success needs a policy to measure; name one with -p.")
        analysis = analysis_of(one_mission(name, game=play.game, max_steps=play.max_steps))
        analysis = with_recorded(analysis, name, game=play.game, max_steps=play.max_steps, output=manager)
        show_mission(analysis, None, as_json=output.as_json)
        return
    if interval is not None and interval < 1:
        raise UsageError(f"--interval must be at least 1, got {interval}.")
    settings = play.settings(config)
    one = one_mission(name, game=play.game, max_steps=play.max_steps)
    if interval is not None:
        settings = replace(settings, series=series_for(one, interval=interval))
    with EpisodeProgress(quiet=output.quiet) as progress:
        found = analyze_played_mission(
            one, policies or [], teams=teams or [], success=success, settings=settings, replays=not no_replays,
            output=manager, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    show_mission(found.analysis, found, as_json=output.as_json)
    if found.played.evaluation.status != "ok":
        raise typer.Exit(1)


@app.command()
@options
def missions(
    *,
    names: Annotated[list[str], typer.Argument(help="Mission strings; wildcards are allowed: 'tutorial.*'.")],
    policies: PoliciesOption = None,
    variants: Annotated[
        str | None,
        typer.Option("--variants", help="Show what these variants (A+B, or all) change in each mission's config."),
    ] = None,
    success: SuccessOption = None,
    play: AnalysisOptions,
    output: RunOptions,
) -> None:
    """Compare several missions; with policies, ordered from easiest to hardest by measured performance.

    \b
        daf analyze missions 'tutorial.*' 'memory_*' -p starter -e 20
        daf analyze missions arena --variants all
    """
    from daf.cli.show import EpisodeProgress
    from daf.mission_analysis.operation import analyze_missions

    manager, config = playing.open_output(output)
    chosen = [] if variants == "all" else [part for part in (variants or "").split("+") if part]
    with EpisodeProgress(quiet=output.quiet) as progress:
        found = analyze_missions(
            names, policies or [], variants=None if variants is None else chosen, success=success,
            settings=play.settings(config), output=manager, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    show_missions(found, as_json=output.as_json)
    evaluation = found.found.evaluation
    if evaluation is not None and evaluation.status != "ok":
        raise typer.Exit(1)


@dataclass(frozen=True)
class ProbedPlayOptions(PlayOptions):
    """How the episodes of `daf analyze policy` are played."""

    episodes: Annotated[int, typer.Option("--episodes", "-e", help="Episodes for each number of agents.")] = 5
    max_steps: Annotated[int | None, typer.Option("--max-steps", help="Steps of the episodes.")] = 300
    no_report: bool = True
    resamples: int = 2_000


@app.command()
@options
def policy(
    *,
    name: Annotated[str, typer.Argument(help="Policy string; see `daf policies`.")],
    compare: Annotated[
        list[str] | None, typer.Option("--compare", metavar="POLICY", help="Compare with this policy. Repeatable.")
    ] = None,
    mission: Annotated[str, typer.Option("--mission", "-m", help="The mission to measure on.")] = "arena",
    cogs: Annotated[str, typer.Option("--cogs", help="Numbers of agents to compare: 1,4,8; auto, or none.")] = "auto",
    time_limit: Annotated[
        float, typer.Option("--time-limit", metavar="S", help="Stop the policy's process after S seconds.")
    ] = 300.0,
    memory_limit: Annotated[
        int, typer.Option("--memory-limit", metavar="MIB", help="Memory limit of the policy's process.")
    ] = 8192,
    play: ProbedPlayOptions,
    output: RunOptions,
) -> None:
    """Describe and measure a policy: network, memory, speed, determinism, and rewards with more or fewer cogs.

    The policy is loaded and played in a separate process, with limits on time and memory.

    \b
        daf analyze policy starter
        daf analyze policy lstm --compare stateless --compare puffer --cogs none
    """
    from daf.cli.show import EpisodeProgress
    from daf.game.missions import resolve
    from daf.policy_analysis import analyze_policies, cogs_to_try

    manager, config = playing.open_output(output)
    counts = cogs_to_try(resolve(mission, game=play.game)[0]) if cogs == "auto" else _numbers(cogs)
    with EpisodeProgress(quiet=output.quiet) as progress:
        found = analyze_policies(
            [name, *(compare or [])], mission, settings=play.settings(config), cogs=counts, time_limit=time_limit,
            memory_limit_mib=memory_limit, output=manager, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    show_policies(found, as_json=output.as_json)
    if found.evaluation is not None and found.evaluation.status != "ok":
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f'--cogs must be numbers such as 1,4,8, auto or none; got "{text}".') from None


@dataclass(frozen=True)
class SuitePlayOptions(AnalysisOptions):
    """How the episodes of a benchmark suite are played; a suite names its missions, and so its game."""

    game: str = "cogs_vs_clips"


@app.command()
@options
def suite(
    *,
    name: Annotated[str, typer.Argument(help="standard, integrated, spanning or diagnostic.")],
    policies: PoliciesOption = None,
    leaderboard: Annotated[
        Path | None,
        typer.Option("--leaderboard", help="File of the leaderboard (default: leaderboards/ in the output directory)."),
    ] = None,
    play: SuitePlayOptions,
    output: RunOptions,
) -> None:
    """Score policies on a suite of missions and add them to its leaderboard; 0 is random, 1 the best known policy.

    \b
        daf analyze suite standard -p starter -p aligner
        daf analyze suite diagnostic -p class=lstm,data=weights.pt
    """
    from daf.benchmark_suites import daf_benchmark_suite
    from daf.cli.show import EpisodeProgress

    manager, config = playing.open_output(output)
    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_benchmark_suite(
            policies or [], name, settings=play.settings(config), leaderboard=leaderboard, output_manager=manager,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    show_suite(report, as_json=output.as_json)
    if report.status != "ok":
        raise typer.Exit(1)


@dataclass(frozen=True)
class AblationPlayOptions(AnalysisOptions):
    """How the episodes of an ablation are played."""

    episodes: EpisodesOption = 20


@app.command()
@options
def ablation(
    *,
    name: Annotated[str, typer.Argument(help="Policy string; see `daf policies`.")],
    components: Annotated[
        list[str] | None,
        typer.Option("--component", "-c", help="kw.NAME=VALUE, variant:NAME, role:NAME or mask:FEATURE. Repeatable."),
    ] = None,
    missions: MissionsOption = None,
    metric: MetricOption = "reward",
    play: AblationPlayOptions,
    output: RunOptions,
) -> None:
    """Measure the effect of a component: the same policy with and without it, on identical episodes.

    \b
        daf analyze ablation starter -m arena -c 'mask:inv:*' -c role:scout -c variant:no_clips
    """
    from daf.ablation import daf_policy_ablation
    from daf.cli.show import EpisodeProgress, emit, out
    from daf.storage.jsonable import jsonable

    if not missions:
        raise UsageError(playing.NO_MISSION)
    manager, config = playing.open_output(output)
    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_policy_ablation(
            name, missions, components or [], metric=metric, settings=play.settings(config), output_manager=manager,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    if output.as_json:
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
