"""What `daf analyze` prints: tables, or the one JSON object."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

if TYPE_CHECKING:
    from daf.benchmark_suites import BenchmarkReport
    from daf.evaluation import Evaluation
    from daf.mission_analysis import MissionAnalysis
    from daf.mission_analysis.operation import PlayedMission, PlayedSet
    from daf.policy_analysis import PolicyAnalyses


def _run_data(evaluation: "Evaluation | None") -> dict[str, Any]:
    """The start of the JSON object."""
    from daf.evaluation import results_data

    return {"run_id": None, "run_dir": None, "status": "ok"} if evaluation is None else results_data(evaluation)


def _print_notes(evaluation: "Evaluation | None") -> None:
    from daf.cli.show import out
    from daf.evaluation.analysis_files import first_failure_notes

    for note in first_failure_notes(evaluation) if evaluation is not None else []:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)


def _print_paths(page: Path | None, evaluation: "Evaluation | None") -> None:
    from daf.cli.show import out

    if page is not None and evaluation is not None:
        out.print(f"\npage: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {evaluation.run_dir}", soft_wrap=True, markup=False)


def show_mission(analysis: "MissionAnalysis", played: "PlayedMission | None", *, as_json: bool) -> None:
    """Print a mission, and the performance of the policies that played."""
    from daf.cli.show import emit, out
    from daf.mission_analysis.operation import mission_data
    from daf.mission_analysis.page import facts_of, headline
    from daf.storage.jsonable import jsonable

    evaluation = None if played is None else played.played.evaluation
    if as_json:
        emit(jsonable(_run_data(evaluation) | mission_data(analysis)))
        return
    _print_notes(evaluation)
    _facts_table(analysis.name, facts_of(analysis))
    for term in analysis.reward_terms:
        out.print(f"  rewards {escape(term.name)}: {escape(term.text)}", soft_wrap=True)
    if analysis.problem:
        out.print(f"[red]![/red] {escape(analysis.problem)}", soft_wrap=True)
    for row in analysis.recorded:
        successes = f"{row.policy}: {row.successes} of {row.episodes} episodes in earlier runs ({analysis.criterion})"
        out.print(f"  {escape(successes)}", soft_wrap=True)
    if analysis.performance:
        _show_performance(analysis)
        out.print(f"\n{escape(headline(analysis))}", soft_wrap=True)
    _print_paths(None if played is None else played.page, evaluation)


def _facts_table(title: str, facts: list[tuple[str, str]]) -> None:
    from daf.cli.show import out, plain_table

    table = plain_table(title, header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in facts:
        table.add_row(escape(name), escape(text))
    out.print(table)


def _show_performance(analysis: "MissionAnalysis") -> None:
    from daf.cli.show import out, plain_table
    from daf.mission_analysis.page import modes_of, summaries_of

    rows = analysis.performance
    table = plain_table(f"Performance; success: {rows[0].criterion or 'no criterion'}")
    table.add_column("policy", overflow="fold")
    for column in ("successes", "rate", "95 %", "completion", "reward", "steps"):
        table.add_column(column, justify="right", no_wrap=True)
    for cells in summaries_of(rows):
        keys = ("success", "rate", "rate_ci", "completion", "reward", "steps")
        table.add_row(escape(cells["policy"]), *(escape(cells[key]) for key in keys))
    out.print(table)
    for row in rows:
        events = [event for event in row.key_events if event.median is not None]
        firsts = ", ".join(f"{e.name} at {e.median:.0f} ({e.happened} of {len(e.times)})" for e in events)
        out.print(f"{escape(row.policy)}: first events by step: {escape(firsts or 'none')}", soft_wrap=True)
        table = plain_table(f"{row.policy}: failures")
        table.add_column("failure")
        for column in ("episodes", "agents"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("example", overflow="fold")
        for mode in modes_of(row):
            roles = f" ({mode['roles']})" if mode["roles"] else ""
            table.add_row(escape(mode["title"]), mode["episodes"], mode["agents"], escape(mode["evidence"] + roles))
        if row.failure_modes:
            out.print(table)


def show_missions(found: "PlayedSet", *, as_json: bool) -> None:
    """Print several missions, their order, and what variants change."""
    from daf.cli.show import emit, out, plain_table
    from daf.mission_analysis.operation import set_data
    from daf.render.text import same_decimals
    from daf.storage.jsonable import jsonable

    missions, evaluation = found.found, found.found.evaluation
    if as_json:
        emit(jsonable(_run_data(evaluation) | set_data(missions, found.changes)))
        return
    _print_notes(evaluation)
    table = plain_table("missions")
    table.add_column("mission", overflow="fold", min_width=20)
    for column in ("agents", "steps", "map"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("success by default")
    for one in missions.missions:
        size = f"{one.map_size[0]}×{one.map_size[1]}" if one.map_size else "–"
        what = f"[red]cannot run[/red]: {escape(one.problem)}" if one.problem else escape(one.criterion or "–")
        table.add_row(escape(one.name), str(one.agents), str(one.max_steps), size, what)
    out.print(table)
    if missions.outcomes:
        table = plain_table("easiest first, by the success of the best policy")
        table.add_column("#", justify="right")
        table.add_column("mission", overflow="fold", min_width=20)
        table.add_column("policy", overflow="fold")
        for column in ("rate", "95 %", "completion", "reward"):
            table.add_column(column, justify="right", no_wrap=True)
        rewards = same_decimals([row.mean_reward for row in missions.outcomes])
        outcomes = list(zip(missions.outcomes, rewards, strict=True))
        for place, name in enumerate(missions.order, start=1):
            for row, reward in (each for each in outcomes if each[0].mission == name):
                rate = "–" if row.success_rate is None else f"{row.success_rate:.0%}"
                bounds = "–" if row.success_ci is None else f"{row.success_ci[0]:.0%}–{row.success_ci[1]:.0%}"
                part = "–" if row.completion is None else f"{row.completion:.0%}"
                table.add_row(str(place), escape(name), escape(row.policy), rate, bounds, part, reward)
        out.print(table)
    for name, of_mission in found.changes.items():
        for variant in of_mission:
            out.print(f"\n[bold]{escape(name)} + {escape(variant.variant)}[/bold]: {escape(variant.description)}")
            if variant.problem:
                out.print(f"  [red]![/red] {escape(variant.problem)}", soft_wrap=True)
            elif not variant.changes:
                out.print("  changes nothing in this mission's config")
            for change in variant.changes[:12]:
                times = f" ({change.count} of them)" if change.count > 1 else ""
                values = f"{_short(change.before)} → {_short(change.after)}{times}"
                out.print(f"  {escape(change.path)}: {values}", soft_wrap=True)
            if len(variant.changes) > 12:
                out.print(f"  … and {len(variant.changes) - 12} more; --json prints all")
    _print_paths(found.page, evaluation)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 60 else text[:59] + "…")


def show_policies(found: "PolicyAnalyses", *, as_json: bool) -> None:
    """Print policies next to each other."""
    from daf.cli.show import emit, out, plain_table
    from daf.policy_analysis.page import facts_of
    from daf.stats.sentences import amount_text, counted
    from daf.storage.jsonable import jsonable

    if as_json:
        emit(jsonable(_run_data(found.evaluation) | found.to_data()))
        return
    rows = found.rows
    table = plain_table(" and ".join(row.name for row in rows), header=len(rows) > 1)
    table.add_column("", style="bold", max_width=24)
    for row in rows:
        table.add_column(escape(row.name), overflow="fold")
    columns = [dict(facts_of(row)) for row in rows]
    for fact in columns[0]:
        table.add_row(fact, *(escape(facts.get(fact, "–")) for facts in columns))
    out.print(table)
    for row in rows:
        for cogs in row.cogs:
            agents = counted(cogs.agents, "cog")
            reward = f"{row.name} with {agents}: {amount_text(cogs.mean_reward, cogs.ci)} reward per agent"
            out.print(f"  {escape(reward)} ({cogs.episodes} episodes)", soft_wrap=True)
    _print_paths(found.page, found.evaluation)


def show_suite(report: "BenchmarkReport", *, as_json: bool) -> None:
    """Print the scores of a suite, and its leaderboard."""
    from daf.cli.show import emit, out, plain_table, ranking_table, say_pairs
    from daf.storage.jsonable import jsonable

    if as_json:
        emit(jsonable(report.to_data()))
        return
    for note in report.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    title = f"{report.suite.name} v{report.suite.version}: 0 is random, 1 the best known policy"
    out.print(ranking_table(title, report.scores.ranking))
    table = plain_table("scores by mission")
    table.add_column("mission", overflow="fold", min_width=20)
    table.add_column("best known")
    for row in report.scores.ranking:
        table.add_column(escape(row.name), justify="right")
    for scale in report.scores.scales:
        rows = {row.name: row.mean for row in report.scores.by_mission.get(scale.mission, ())}
        cells = [f"{rows[row.name]:.2f}" if row.name in rows else "–" for row in report.scores.ranking]
        table.add_row(escape(scale.mission), escape(scale.best), *cells)
    out.print(table)
    say_pairs([pair for pair in report.scores.pairs if pair.stratum is None])
    table = plain_table("leaderboard of this suite and these settings")
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
