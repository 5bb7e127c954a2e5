"""`daf compare --until-decided`: progress over rounds, and a table of the rounds."""

from typing import TYPE_CHECKING

from daf.cli._evaluation_shown import show
from daf.cli.show import EpisodeProgress, emit, out, plain_table
from daf.episodes.plan import Plan
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.evaluation import Evaluation, Settings
    from daf.output_manager import OutputManager
    from daf.until_decided import Decided, StoppingRule


class _RoundProgress(EpisodeProgress):
    """Progress whose total grows with every round."""

    def plan(self, plan: Plan) -> None:
        if not self.total:
            super().plan(plan)
            return
        self.total += len(plan.episodes)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=self.total)


def decide_and_show(
    policies: list[str],
    missions: list[str],
    teams: list[str],
    *,
    rule: "StoppingRule",
    settings: "Settings",
    output: "OutputManager",
    title: str | None,
    as_json: bool,
    quiet: bool,
    rerun: bool,
) -> "Evaluation":
    """Compare until decided, and show the result. Ctrl-C raises `Interrupted`."""
    from daf.until_decided import compare_until_decided, decided_data

    with _RoundProgress(quiet=quiet) as progress:
        decided = compare_until_decided(
            policies,
            missions,
            teams=teams,
            max_episodes=rule.max_episodes,
            until_decided=rule.until_decided,
            looks=rule.looks,
            spending=rule.spending,
            futility=rule.futility,
            settings=settings,
            output=output,
            title=title,
            on_plan=progress.plan,
            on_record=progress,
            rerun=rerun,
        )
    if as_json:
        emit(jsonable(decided_data(decided)))
    else:
        show(decided.evaluation)
        _show_rounds(decided)
    return decided.evaluation


def _show_rounds(decided: "Decided") -> None:
    table = plain_table("Looks" if decided.families else "Rounds")
    for name in ("blocks", "episodes", "comparisons open"):
        table.add_column(name, justify="right")
    for item in decided.rounds:
        table.add_row(str(item.blocks), str(item.episodes), str(item.open))
    out.print(table)
    out.print(
        f"{decided.episodes:,} episodes, compared with {decided.fixed:,} for a fixed number of {decided.max_episodes} "
        "per policy and mission."
    )
