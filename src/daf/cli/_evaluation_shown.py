"""An evaluation on the terminal."""

import re
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from daf.episodes.record import EpisodeRecord
    from daf.evaluation import Evaluation


def _where(record: "EpisodeRecord") -> str:
    """The place in the user's code where a traceback ends, " (file:line)"."""
    places = re.findall(r'File "([^"]+)", line (\d+)', record.failure.traceback if record.failure else "")
    return f" ({places[-1][0]}:{places[-1][1]})" if places else ""


def show(evaluation: "Evaluation") -> None:
    """Print notes, failures, rankings, verdicts and paths."""
    from daf.cli.show import out, ranking_table, say_end, say_pairs, say_run

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
    say_run(evaluation)
