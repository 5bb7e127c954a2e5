"""The result of a score, and its conversion to JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daf.game.scoring import Scenario
from daf.playing.run import Played, PlayedRun
from daf.scoring_analysis.vor import VorAnalysis, sentence


@dataclass(frozen=True)
class ScoreReport(Played):
    """The result of a score.

    candidate, pool: names. teams: by mission and contender, its scenario. as_pickup: whether `cogames pickup` was
    reproduced.
    """

    candidate: str
    pool: tuple[str, ...]
    analysis: VorAnalysis
    notes: tuple[str, ...]
    run: PlayedRun
    teams: Mapping[str, Mapping[str, Scenario]]
    as_pickup: bool


def score_data(report: ScoreReport) -> dict[str, Any]:
    """The output of `--json` as JSON values."""
    analysis = report.analysis
    return {
        **report.run.head_data(),
        "candidate": report.candidate,
        "pool": list(report.pool),
        "as_pickup": report.as_pickup,
        "sentence": sentence(analysis, report.candidate),
        "vor": {"value": analysis.value, "ci": analysis.ci, "p": analysis.p, "n": analysis.n, "alpha": analysis.alpha},
        "missions": [
            {
                "mission": score.mission,
                "agents": score.agents,
                "n": score.n,
                "left_out": score.left_out,
                "vor": score.value,
                "ci": score.value_ci,
                "replacement": score.replacement,
                "replacement_ci": score.replacement_ci,
                "caveat": score.caveat,
                "scenarios": [
                    {
                        "scenario": scenario.label,
                        "candidate": scenario.candidate,
                        "pool": list(scenario.pool),
                        "mean": scenario.mean,
                        "ci": scenario.ci,
                        "vor": scenario.value,
                        "vor_ci": scenario.value_ci,
                    }
                    for scenario in score.scenarios
                ],
            }
            for score in analysis.missions
        ],
        "budget": None
        if analysis.budget is None
        else {
            "precision": analysis.budget.precision,
            "seeds": analysis.budget.blocks,
            "seeds_range": [analysis.budget.low, analysis.budget.high],
            "episodes": analysis.budget.episodes,
            "sentence": analysis.budget.sentence,
        },
        "episodes": report.run.episodes_data(),
        "summary": report.run.counts_data(report.notes),
    }
