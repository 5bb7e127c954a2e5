"""`daf metrics`: what is counted in a mission, and how much of it each policy has."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._options import ExecutorOption, JobsOption, JsonOption, OutputDirOption, QuietOption, SeedOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

POLICIES = ["starter", "random", "noop"]
"""Who plays where nobody is named: between them they touch most of what a mission counts."""


@app.command()
def metrics(
    context: typer.Context,
    missions: playing.MissionsOption = None,
    policies: playing.PoliciesOption = None,
    teams: playing.TeamsOption = None,
    episodes: playing.EpisodesOption = 5,
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help="Only this metric: a name or wildcard ('agent.*.gained'), @ for how. Repeatable."
        ),
    ] = None,
    correlate: Annotated[
        str | None,
        typer.Option("--correlate", metavar="METRIC", help="What goes together with METRIC (- for all pairs)."),
    ] = None,
    per_agent: Annotated[bool, typer.Option("--per-agent", help="Agents' metrics, agent by agent.")] = False,
    alpha: playing.AlphaOption = 0.05,
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
    """List the metrics that occur in missions, with their ranges; correlations and single agents where asked.

    A metric is reward, steps, completion, agent.NAME (mean over agents) or game.NAME. Behind an @: mean, sum, min, max
    or agentN over agents, per_step, average (a game stat's mean over all steps).

    \b
        daf metrics -m arena -p starter -e 20 --correlate reward
        daf metrics -m arena --metric 'agent.*.gained' --metric agent.heart.gained@max --per-agent
    """
    from daf.cli.show import EpisodeProgress, emit, out
    from daf.errors import UsageError
    from daf.evaluation import Settings, evaluate, results_data
    from daf.metrics import daf_analyze_distributions, daf_correlate_metrics, daf_metrics_per_agent, metrics_data
    from daf.reporting.metrics_page import metrics_page
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    if not missions:
        raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
    output, config = playing.open_output(output_dir, quiet=quiet)
    settings = Settings(
        gpu_allowed=config.enable_gpu, gpu_memory_fraction=config.gpu_memory_fraction,
        episodes=episodes, seed=seed, max_steps=max_steps, game=game, device=device, jobs=jobs, executor=executor,
        use_cache=not no_cache, cache_dir=cache_dir, alpha=alpha, report=False, resamples=1_000,
    )  # fmt: skip
    players = policies or ([] if teams else POLICIES)
    with EpisodeProgress(quiet=quiet) as progress:
        evaluation = evaluate(
            players, missions, teams=teams or [], settings=settings, output=output,
            title=f"metrics of {', '.join(missions)}", on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    rows = daf_analyze_distributions(evaluation, wanted)
    target = None if correlate in (None, "-") else correlate
    reports = daf_correlate_metrics(evaluation, wanted, target=target, alpha=alpha) if correlate else []
    of_agents = dict.fromkeys(row.metric for row in rows if row.metric.startswith(("agent.", "reward")))
    agents = daf_metrics_per_agent(evaluation, of_agents) if per_agent else []
    found: dict[str, Any] = jsonable(metrics_data(rows, reports, agents))
    write_json(evaluation.run_dir / "metrics.json", found)
    page = evaluation.run_dir / "metrics.html"
    write_text(page, metrics_page(evaluation.title, rows, reports, agents))
    if as_json:
        emit(jsonable(results_data(evaluation)) | found)
    else:
        _show(rows, reports, agents)
        out.print(f"\npage: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {evaluation.run_dir}", soft_wrap=True, markup=False)
    if evaluation.status != "ok":
        raise typer.Exit(1)


def _show(rows: Any, reports: Any, agents: Any) -> None:
    from daf.cli.show import out, plain_table
    from daf.stats.sentences import number, p_text

    for mission in dict.fromkeys(row.mission for row in rows):
        own = [row for row in rows if row.mission == mission]
        policies = list(dict.fromkeys(row.policy for row in own))
        table = plain_table(f"{mission}: mean (range) over {own[0].n} episodes")
        table.add_column("metric", overflow="fold", min_width=30)
        for policy in policies:
            table.add_column(escape(policy), justify="right")
        for metric in dict.fromkeys(row.metric for row in own):
            cells = {row.policy: row for row in own if row.metric == metric}
            texts = []
            for policy in policies:
                row = cells[policy]
                spread = f" ({number(row.minimum)}–{number(row.maximum)})" if row.maximum > row.minimum else ""
                texts.append(number(row.mean) + spread)
            table.add_row(escape(metric), *texts)
        out.print(table)
    for report in reports:
        title = (
            f"{report.mission}: Spearman within {', '.join(report.policies)}, {report.n} episodes, Holm over all pairs"
        )
        table = plain_table(title)
        for name in ("metric", "and"):
            table.add_column(name, overflow="fold")
        for name in ("rho", "p", "adjusted"):
            table.add_column(name, justify="right")
        for pair in report.pairs[:25]:
            table.add_row(escape(pair.a), escape(pair.b), f"{pair.rho:+.2f}", p_text(pair.p), p_text(pair.p_adjusted))
        out.print(table)
        told = f"{len(report.significant)} of {len(report.pairs)} pairs hold at {report.alpha:g} after correction"
        out.print(f"{told}; {len(report.constant)} metrics never vary and are left out.", markup=False)
    if agents:
        table = plain_table("agent by agent: means over episodes")
        for name in ("metric", "mission", "policy"):
            table.add_column(name, overflow="fold")
        table.add_column("agents", overflow="fold")
        table.add_column("largest share", justify="right")
        for row in agents:
            share = "–" if row.share is None else f"{row.share:.0%}"
            each = "  ".join(number(agent) for agent in row.agents)
            table.add_row(escape(row.metric), escape(row.mission), escape(row.policy), each, share)
        out.print(table)
