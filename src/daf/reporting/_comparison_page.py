"""The page of a comparison, including one whose returns were added by hand."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daf.episodes.blocks import Scores
from daf.episodes.results_file import read_results
from daf.errors import DataError, UsageError
from daf.evaluation import Evaluation, Settings, analyse_scores
from daf.evaluation.page import EvaluationReport, render_html
from daf.evaluation.report import report_of
from daf.render.pages.run_facts import environment, facts_of
from daf.storage.atomic import write_text
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

    from daf.comparison import ComparisonReport


def daf_export_comparison_html(
    report: "ComparisonReport | Evaluation | str | Path",
    output_path: str | Path,
    *,
    title: str | None = None,
    console: "Console | None" = None,
) -> Path:
    """Write the page of a comparison to `output_path` as one self-contained HTML file. Returns the path.

    report: a `ComparisonReport`, an `Evaluation`, or the run of one (id, "latest", directory). Links to replays lead
    from the page to the run directory. Raises `UsageError` (no such run, or another kind), `DataError` (nothing was
    compared), `StorageError`.
    """
    target = Path(output_path).expanduser()
    found, folder = _report(report)
    if title is not None:
        found = replace(found, title=title)
    if folder is not None:
        found = _linked_from(found, folder, target.parent)
    write_text(target, render_html(found))
    if console is not None:
        console.print(terminal_text(str(target)), soft_wrap=True)
    return target


def _report(report: "ComparisonReport | Evaluation | str | Path") -> tuple[EvaluationReport, Path | None]:
    """The page's content, and the directory that its replay paths are relative to."""
    if isinstance(report, str | Path):
        from daf.evaluation.keeping import stored
        from daf.output_manager.kinds import RANKED, kind_of, run_of

        info = run_of(report)
        if kind_of(info.path) not in RANKED:
            read_results(info.path)  # The kind may be unknown because the results are damaged.
            raise UsageError(f"{info.operation}/{info.run_id} is not a comparison. Use `daf report` for its page.")
        return _of_evaluation(stored(info))
    if isinstance(report, Evaluation):
        return _of_evaluation(report)
    if report.evaluation is not None:
        found, folder = _of_evaluation(report.evaluation)
        return found, folder
    return _by_hand(report), None


def _of_evaluation(evaluation: Evaluation) -> tuple[EvaluationReport, Path]:
    from daf.output_manager.runs import read_run

    info = read_run(evaluation.run_dir)
    found = report_of(evaluation)
    if info is not None:
        found = replace(found, environment=dict(environment(facts_of(info).log)))
    return found, evaluation.run_dir


def _by_hand(report: "ComparisonReport") -> EvaluationReport:
    """A report on returns passed to `add_policy_results`; only the order of their episodes is known."""
    scored = [policy for policy in report.policies if report.policy_mission_rewards.get(policy)]
    if not scored:
        raise DataError("the comparison has no returns, so there is nothing to show.")
    report.compute_pairwise_comparisons()
    rewards = report.policy_mission_rewards
    missions = [mission for mission in report.missions if all(mission in rewards[policy] for policy in scored)]
    if not missions:
        raise DataError("no mission was played by all policies, so they can't be ranked.")
    scores = np.array([[value for mission in missions for value in rewards[policy][mission]] for policy in scored])
    strata = np.array([index for index, mission in enumerate(missions) for _ in rewards[scored[0]][mission]])
    found = analyse_scores(
        Scores(tuple(scored), tuple(range(len(scored))), scores, strata, tuple(missions), 0, ()),
        Settings(alpha=report.alpha, seed=report.seed, resamples=report.resamples),
    )
    return EvaluationReport(
        title=f"{', '.join(scored)} on {', '.join(missions)}",
        command="",
        run_id="",
        started="",
        seconds=0.0,
        contenders=scored,
        missions=[],
        episodes=[],
        ranking=found.ranking,
        by_mission=found.by_mission,
        pairs=found.pairs,
        profiles=found.profiles,
        notes=[
            *report.notes,
            "These returns were added by hand: their episodes, seeds and settings are unknown.",
        ],
        alpha=report.alpha,
    )


def _linked_from(found: EvaluationReport, folder: Path, place: Path) -> EvaluationReport:
    """`found` with replay paths relative to `place`."""
    if folder.resolve() == place.resolve():
        return found
    prefix = os.path.relpath(folder.resolve(), place.resolve())
    episodes = [
        episode
        if episode.replay is None
        else replace(
            episode,
            replay=f"{prefix}/{episode.replay}",
            player=None if episode.player is None else f"{prefix}/{episode.player}",
        )
        for episode in found.episodes
    ]
    return replace(found, episodes=episodes)
