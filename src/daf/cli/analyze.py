"""`daf analyze`: what missions and policies are, and how they fare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli import playing
from daf.cli.options import ExecutorOption, JobsOption, JsonOption, OutputDirOption, QuietOption, SeedOption
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
    from daf.mission_analysis import perform
    from daf.mission_analysis.facts import analysis_of
    from daf.mission_analysis.performance import one_mission
    from daf.mission_analysis.watching import series_for

    if not policies and not teams:
        if success is not None:
            raise UsageError("--success says how policies fare; name one with -p.")
        analysis = analysis_of(one_mission(name, game=game, max_steps=max_steps))
        _mission_told(analysis, None, as_json)
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
    _mission_told(analysis_of(found.mission, found.rows), found.evaluation, as_json)
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
    _missions_told(found, changes, as_json)
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


def _ran(evaluation: Any) -> dict[str, Any]:
    """What `--json` begins with."""
    from daf.evaluation import results_data

    return {"run_id": None, "run_dir": None, "status": "ok"} if evaluation is None else results_data(evaluation)


def _mission_told(analysis: Any, evaluation: Any, as_json: bool) -> None:
    from daf.cli.show import emit, out
    from daf.evaluation.keeping import command_line
    from daf.render.analyze_mission import facts_of, headline, mission_page
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    data = jsonable({"analysis": analysis, "success_rate": analysis.success_rate})
    page: Path | None = None
    if evaluation is not None:
        write_json(evaluation.run_dir / "analysis.json", data)
        page = evaluation.run_dir / "analysis.html"
        write_text(page, mission_page(analysis, command=command_line(), run_id=evaluation.run_id))
    if as_json:
        emit(jsonable(_ran(evaluation)) | data)
        return
    _facts_table(analysis.name, facts_of(analysis))
    for term in analysis.reward_terms:
        out.print(f"  rewards {escape(term.name)}: {escape(term.text)}", soft_wrap=True)
    if analysis.problem:
        out.print(f"[red]![/red] {escape(analysis.problem)}", soft_wrap=True)
    if analysis.performance:
        _performance_told(analysis)
        out.print(f"\n{escape(headline(analysis))}", soft_wrap=True)
        out.print(f"page: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {evaluation.run_dir}", soft_wrap=True, markup=False)


def _facts_table(title: str, facts: list[tuple[str, str]]) -> None:
    from daf.cli.show import out, plain_table

    table = plain_table(title, header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in facts:
        table.add_row(escape(name), escape(text))
    out.print(table)


def _performance_told(analysis: Any) -> None:
    from daf.cli.show import out, plain_table
    from daf.render.analyze_mission import modes_of, summary_of

    rows = analysis.performance
    table = plain_table(f"How it goes; success: {rows[0].criterion or 'no criterion'}")
    table.add_column("policy", overflow="fold")
    for column in ("successes", "rate", "95 %", "completion", "reward", "steps"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        told = summary_of(row)
        keys = ("success", "rate", "rate_ci", "completion", "reward", "steps")
        table.add_row(escape(told["policy"]), *(escape(told[key]) for key in keys))
    out.print(table)
    for row in rows:
        events = [event for event in row.key_events if event.median is not None]
        firsts = ", ".join(f"{e.name} at {e.median:.0f} ({e.happened} of {len(e.times)})" for e in events)
        out.print(f"{escape(row.policy)}: first events by step: {escape(firsts or 'none')}", soft_wrap=True)
        table = plain_table(f"{row.policy}: how it fails")
        table.add_column("failure")
        for column in ("episodes", "agents"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("for example", overflow="fold")
        for mode in modes_of(row):
            roles = f" ({mode['roles']})" if mode["roles"] else ""
            table.add_row(escape(mode["title"]), mode["episodes"], mode["agents"], escape(mode["evidence"] + roles))
        if row.failure_modes:
            out.print(table)


def _missions_told(found: Any, changes: dict[str, Any], as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.evaluation.keeping import command_line
    from daf.render.analyze_missions import missions_page
    from daf.stats.sentences import number
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    data = jsonable({"missions": found.missions, "outcomes": found.outcomes, "order": found.order, "variants": changes})
    page: Path | None = None
    if found.evaluation is not None:
        write_json(found.evaluation.run_dir / "analysis.json", data)
        page = found.evaluation.run_dir / "analysis.html"
        text = missions_page(found, changes, command=command_line(), run_id=found.evaluation.run_id)
        write_text(page, text)
    if as_json:
        emit(jsonable(_ran(found.evaluation)) | data)
        return
    table = plain_table("missions")
    table.add_column("mission", overflow="fold", min_width=20)
    for column in ("agents", "steps", "map"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("success by default")
    for one in found.missions:
        size = f"{one.map_size[0]}×{one.map_size[1]}" if one.map_size else "–"
        what = f"[red]cannot run[/red]: {escape(one.problem)}" if one.problem else escape(one.criterion or "–")
        table.add_row(escape(one.name), str(one.agents), str(one.max_steps), size, what)
    out.print(table)
    if found.outcomes:
        table = plain_table("easiest first, by the best policy's success")
        table.add_column("#", justify="right")
        table.add_column("mission", overflow="fold", min_width=20)
        table.add_column("policy", overflow="fold")
        for column in ("rate", "95 %", "completion", "reward"):
            table.add_column(column, justify="right", no_wrap=True)
        for place, name in enumerate(found.order, start=1):
            for row in (row for row in found.outcomes if row.mission == name):
                rate = "–" if row.success_rate is None else f"{row.success_rate:.0%}"
                bounds = "–" if row.success_ci is None else f"{row.success_ci[0]:.0%}–{row.success_ci[1]:.0%}"
                part = "–" if row.completion is None else f"{row.completion:.0%}"
                reward = "–" if row.mean_reward is None else number(row.mean_reward)
                table.add_row(str(place), escape(name), escape(row.policy), rate, bounds, part, reward)
        out.print(table)
    for name, of_mission in changes.items():
        for variant in of_mission:
            out.print(f"\n[bold]{escape(name)} + {escape(variant.variant)}[/bold]: {escape(variant.description)}")
            if variant.problem:
                out.print(f"  [red]![/red] {escape(variant.problem)}", soft_wrap=True)
            elif not variant.changes:
                out.print("  changes nothing in this mission's config")
            for change in variant.changes[:12]:
                times = f" ({change.count} of them)" if change.count > 1 else ""
                told = f"{_short(change.before)} → {_short(change.after)}{times}"
                out.print(f"  {escape(change.path)}: {told}", soft_wrap=True)
            if len(variant.changes) > 12:
                out.print(f"  … and {len(variant.changes) - 12} more; --json has them")
    if page is not None:
        out.print(f"\npage: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {found.evaluation.run_dir}", soft_wrap=True, markup=False)


def _short(value: Any) -> str:
    import json

    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 60 else text[:59] + "…")


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
    _policies_told(rows, evaluation, as_json)
    if evaluation is not None and evaluation.status != "ok":
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f'--cogs "{text}" is no list of numbers: write 1,4,8, auto or none.') from None


def _policies_told(rows: Any, evaluation: Any, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table
    from daf.evaluation.keeping import command_line
    from daf.policy_analysis import differences
    from daf.render.analyze_policy import facts_of, policy_page
    from daf.stats.sentences import number
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    data = jsonable({"policies": rows, "differences": differences(rows) if len(rows) > 1 else {}})
    page: Path | None = None
    if evaluation is not None:
        write_json(evaluation.run_dir / "analysis.json", data)
        page = evaluation.run_dir / "analysis.html"
        text = policy_page(rows, data["differences"], command=command_line(), run_id=evaluation.run_id)
        write_text(page, text)
    if as_json:
        emit(jsonable(_ran(evaluation)) | data)
        return
    table = plain_table(" and ".join(row.name for row in rows), header=len(rows) > 1)
    table.add_column("", style="bold", max_width=24)
    for row in rows:
        table.add_column(escape(row.name), overflow="fold")
    told = [dict(facts_of(row)) for row in rows]
    for fact in told[0]:
        table.add_row(fact, *(escape(facts.get(fact, "–")) for facts in told))
    out.print(table)
    for row in rows:
        for cogs in row.cogs:
            bounds = "" if cogs.ci is None else f" [{number(cogs.ci[0])}, {number(cogs.ci[1])}]"
            told_so = f"{row.name} with {cogs.agents} cogs: {number(cogs.mean_reward)}{bounds} reward per agent"
            out.print(f"  {escape(told_so)} ({cogs.episodes} episodes)", soft_wrap=True)
    if page is not None:
        out.print(f"\npage: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {evaluation.run_dir}", soft_wrap=True, markup=False)


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
    _suite_told(report, as_json)
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


def _suite_told(report: Any, as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table, ranking_table, say_pairs
    from daf.storage.jsonable import jsonable

    if as_json:
        emit(jsonable(report.to_data()))
        return
    for note in report.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    title = f"{report.suite.name} v{report.suite.version}: 0 is random, 1 the best known policy"
    out.print(ranking_table(title, report.scores.ranking))
    table = plain_table("mission by mission")
    table.add_column("mission", overflow="fold", min_width=20)
    table.add_column("scores 1")
    for row in report.scores.ranking:
        table.add_column(escape(row.name), justify="right")
    for scale in report.scores.scales:
        rows = {row.name: row.mean for row in report.scores.by_mission.get(scale.mission, ())}
        cells = [f"{rows[row.name]:.2f}" if row.name in rows else "–" for row in report.scores.ranking]
        table.add_row(escape(scale.mission), escape(scale.best), *cells)
    out.print(table)
    say_pairs([pair for pair in report.scores.pairs if pair.stratum is None])
    table = plain_table("leaderboard, on the same terms")
    table.add_column("#", justify="right")
    table.add_column("policy", overflow="fold")
    for column in ("score", "95 %", "when"):
        table.add_column(column, justify="right", no_wrap=True)
    for place, line in enumerate(report.board, start=1):
        bounds = "–" if line.ci is None else escape(f"[{line.ci[0]:.2f}, {line.ci[1]:.2f}]")
        table.add_row(str(place), escape(line.policy), f"{line.score:.2f}", bounds, line.when)
    out.print(table)
    out.print(f"leaderboard: {report.board_path}", soft_wrap=True, markup=False)
    out.print(f"report:      {report.run_dir / 'report.html'}", soft_wrap=True, markup=False)
    out.print(f"run:         {report.run_dir}", soft_wrap=True, markup=False)
