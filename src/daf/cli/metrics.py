"""`daf metrics`: the metrics of missions, and their values for each policy."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ContenderOptions, MetricsPlayOptions, RunOptions
from daf.errors import UsageError

if TYPE_CHECKING:
    from daf.metrics import MetricsReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MetricsOption = Annotated[
    list[str] | None,
    typer.Option("--metric", help="Only this metric: a name or wildcard ('agent.*.gained'), @ for how. Repeatable."),
]
CorrelateOption = Annotated[
    str | None,
    typer.Option("--correlate", metavar="METRIC", help="Correlate all metrics with METRIC (- for all pairs)."),
]
PerAgentOption = Annotated[bool, typer.Option("--per-agent", help="Also the values of each agent.")]


@app.command()
@options
def metrics(
    contenders: ContenderOptions,
    play: MetricsPlayOptions,
    output: RunOptions,
    wanted: MetricsOption = None,
    correlate: CorrelateOption = None,
    per_agent: PerAgentOption = False,
) -> None:
    """List the metrics that occur in missions, with their ranges; on request also correlations and single agents.

    A metric is reward, steps, completion, agent.NAME (mean over agents) or game.NAME. Behind an @: mean, sum, min, max
    or agentN over agents, per_step, average (a game stat's mean over all steps). Without -p and --team, starter,
    random and noop play.

    \b
        daf metrics -m arena -p starter -e 20 --correlate reward
        daf metrics -m arena --metric 'agent.*.gained' --metric agent.heart.gained@max --per-agent
    """
    from daf.cli.show import EpisodeProgress, emit, out, say
    from daf.evaluation import results_data
    from daf.metrics import POLICIES, daf_metrics
    from daf.storage.jsonable import jsonable

    if not contenders.missions:
        raise UsageError(playing.NO_MISSION)
    if not contenders.policies and not contenders.teams and not output.quiet:
        say(f"No policy is given, so {', '.join(POLICIES[:-1])} and {POLICIES[-1]} play.")
    manager, config = playing.open_output(output)
    with EpisodeProgress(quiet=output.quiet) as progress:
        report = daf_metrics(
            contenders.missions, contenders.policies, teams=contenders.teams or [], metrics=wanted,
            correlate=correlate, per_agent=per_agent, settings=play.settings(config), output_manager=manager,
            on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    if output.as_json:
        emit(jsonable(results_data(report.evaluation) | report.to_data()))
    else:
        _show(report)
        out.print(f"\npage: {report.page}", soft_wrap=True, markup=False)
        out.print(f"run:  {report.evaluation.run_dir}", soft_wrap=True, markup=False)
    if report.evaluation.status != "ok":
        raise typer.Exit(1)


def _show(found: "MetricsReport") -> None:
    from daf.cli.show import out, plain_table
    from daf.stats.sentences import counted, p_text

    for of_mission in found.tables:
        table = plain_table(f"{of_mission.mission}: mean (range) over {counted(of_mission.n, 'episode')}")
        table.add_column("metric", overflow="fold", min_width=30)
        for policy in of_mission.policies:
            table.add_column(escape(policy), justify="right")
        for line in of_mission.lines:
            texts = [cell.mean + (f" ({cell.spread})" if cell.spread else "") for cell in line.cells]
            table.add_row(escape(line.names), *texts)
        out.print(table)
        for value, metrics in of_mission.constant:
            out.print(f"equal to {value} in every episode: {', '.join(metrics)}", markup=False)
    for report in found.correlations:
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
        summary = f"{len(report.significant)} of {len(report.pairs)} pairs are significant at {report.alpha:g}"
        out.print(f"{summary}; {len(report.constant)} constant metrics are left out.", markup=False)
    if found.agents:
        table = plain_table("agents: means over episodes")
        for name in ("metric", "mission", "policy"):
            table.add_column(name, overflow="fold")
        table.add_column("agents", overflow="fold")
        table.add_column("largest share", justify="right")
        for names, agents, texts in found.agent_lines:
            share = "–" if agents.share is None else f"{agents.share:.0%}"
            row = (" = ".join(names), agents.mission, agents.policy, "  ".join(texts))
            table.add_row(*map(escape, row), share)
        out.print(table)
