"""A policy's value among others: value over replacement, weighted scores, allocation, ratings.

Points equal those of `metta_alo.scoring` to the bit; intervals, which CoGames does not report, are added.
"""

from daf.scoring_analysis._budget import Budget, budget_for
from daf.scoring_analysis._formulas import (
    ScoreRow,
    VorResult,
    WeightedScore,
    daf_allocate_agents,
    daf_compute_vor,
    daf_compute_weighted_score,
    daf_scoring_summary,
    daf_validate_proportions,
)
from daf.scoring_analysis.operation import daf_score
from daf.scoring_analysis.plan import pickup_settings
from daf.scoring_analysis.ratings import Rating, Ratings, daf_rate_policies
from daf.scoring_analysis.result import ScoreReport, score_data
from daf.scoring_analysis.vor import MissionScore, ScenarioScore, VorAnalysis, sentence

__all__ = [
    "Budget",
    "MissionScore",
    "Rating",
    "Ratings",
    "ScenarioScore",
    "ScoreReport",
    "ScoreRow",
    "VorAnalysis",
    "VorResult",
    "WeightedScore",
    "budget_for",
    "daf_allocate_agents",
    "daf_compute_vor",
    "daf_compute_weighted_score",
    "daf_rate_policies",
    "daf_score",
    "daf_scoring_summary",
    "daf_validate_proportions",
    "pickup_settings",
    "score_data",
    "sentence",
]
