"""What `daf analyze` tells: tables on stdout, or the one JSON object, and the page and data in the run folder."""

from pathlib import Path
from typing import Any

from rich.markup import escape


def _ran(evaluation: Any) -> dict[str, Any]:
    """What `--json` begins with."""
    from daf.evaluation import results_data

    return {"run_id": None, "run_dir": None, "status": "ok"} if evaluation is None else results_data(evaluation)


def mission_told(analysis: Any, evaluation: Any, as_json: bool) -> None:
    """A mission, and how policies fare on it where an evaluation is given."""
    from daf.cli.show import emit, out
    from daf.mission_analysis.page import facts_of, headline, mission_page
    from daf.playing.run import command_line
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    data = jsonable({"analysis": analysis, "success_rate": analysis.success_rate})
    page: Path | None = None
    notes = _notes(evaluation)
    if evaluation is not None:
        write_json(evaluation.run_dir / "analysis.json", data)
        page = evaluation.run_dir / "analysis.html"
        write_text(page, mission_page(analysis, command=command_line(), run_id=evaluation.run_id, notes=notes))
    if as_json:
        emit(jsonable(_ran(evaluation)) | data)
        return
    for note in notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    _facts_table(analysis.name, facts_of(analysis))
    for term in analysis.reward_terms:
        out.print(f"  rewards {escape(term.name)}: {escape(term.text)}", soft_wrap=True)
    if analysis.problem:
        out.print(f"[red]![/red] {escape(analysis.problem)}", soft_wrap=True)
    for row in analysis.recorded:
        what = f"{row.policy}: {row.successes} of {row.episodes} episodes in earlier runs ({analysis.criterion})"
        out.print(f"  {escape(what)}", soft_wrap=True)
    if analysis.performance:
        _performance_told(analysis)
        out.print(f"\n{escape(headline(analysis))}", soft_wrap=True)
        out.print(f"page: {page}", soft_wrap=True, markup=False)
        out.print(f"run:  {evaluation.run_dir}", soft_wrap=True, markup=False)


def _notes(evaluation: Any) -> list[str]:
    """What went wrong with the episodes: how many have no result, and why the first has none."""
    if evaluation is None or evaluation.status == "ok":
        return []
    notes = [note for note in evaluation.analysis.notes if "scored 0" not in note]
    failures = evaluation.result.failures
    if failures:
        spec, failure = failures[0].spec, failures[0].failure
        notes.append(f"The first to fail: {spec.name} on {spec.mission}, seed {spec.seed}: {failure.message}.")
    return notes


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
    from daf.mission_analysis.page import modes_of, summary_of

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


def missions_told(found: Any, changes: dict[str, Any], as_json: bool) -> None:
    """Several missions, their order, and what variants change."""
    from daf.cli.show import emit, out, plain_table
    from daf.mission_analysis.set_page import missions_page
    from daf.playing.run import command_line
    from daf.stats.sentences import number
    from daf.storage.atomic import write_json, write_text
    from daf.storage.jsonable import jsonable

    data = jsonable({"missions": found.missions, "outcomes": found.outcomes, "order": found.order, "variants": changes})
    page: Path | None = None
    notes = _notes(found.evaluation)
    if found.evaluation is not None:
        write_json(found.evaluation.run_dir / "analysis.json", data)
        page = found.evaluation.run_dir / "analysis.html"
        text = missions_page(found, changes, command=command_line(), run_id=found.evaluation.run_id, notes=notes)
        write_text(page, text)
    if as_json:
        emit(jsonable(_ran(found.evaluation)) | data)
        return
    for note in notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
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


def policies_told(rows: Any, evaluation: Any, as_json: bool) -> None:
    """Policies side by side."""
    from daf.cli.show import emit, out, plain_table
    from daf.playing.run import command_line
    from daf.policy_analysis import differences
    from daf.policy_analysis.page import facts_of, policy_page
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


def suite_told(report: Any, as_json: bool) -> None:
    """Scores of a suite, and its leaderboard."""
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
