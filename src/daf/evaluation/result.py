"""The result of an evaluation, and its conversion to JSON values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daf.evaluation._analysis import Analysis
from daf.playing.run import Played, PlayedRun
from daf.playing.settings import settings_data
from daf.stats.pair_verdict import PairVerdict
from daf.stats.profiles import Profile
from daf.stats.summaries import PolicySummary


@dataclass(frozen=True)
class Evaluation(Played):
    """The result of an evaluation."""

    run: PlayedRun
    analysis: Analysis


def results_data(evaluation: Evaluation) -> dict[str, Any]:
    """The output of `--json` as JSON values: episodes in plan order, summary, ranking, pairs."""
    run, analysis = evaluation.run, evaluation.analysis
    return {
        **run.head_data(),
        "settings": settings_data(run.settings),
        "episodes": run.episodes_data(),
        "summary": run.counts_data(analysis.notes)
        | {
            "missions": {mission: [summary_data(row) for row in rows] for mission, rows in analysis.by_mission.items()},
        },
        "ranking": [summary_data(row) for row in analysis.ranking],
        "pairs": [pair_data(pair) for pair in analysis.pairs],
        "profiles": [profile_data(mission, found, analysis.ranking) for mission, found in analysis.profiles.items()],
    }


def summary_data(row: PolicySummary) -> dict[str, Any]:
    """A row of `"ranking"`, as JSON values."""
    return {
        "policy": row.name,
        "rank": row.rank,
        "mean": row.mean,
        "ci": row.ci,
        "iqm": row.iqm,
        "iqm_ci": row.iqm_ci,
        "n": row.n,
        "method": row.method,
        "caveat": row.caveat,
    }


def profile_data(mission: str, found: Profile, ranking: Sequence[PolicySummary]) -> dict[str, Any]:
    """A row of `"profiles"`, as JSON values: per policy the share of episodes above each threshold, with its band."""
    return {
        "mission": mission,
        "band": found.band,
        "level": found.level,
        "thresholds": found.thresholds.tolist(),
        "policies": [
            {
                "policy": row.name,
                "share": found.share[row.policy].tolist(),
                "low": found.low[row.policy].tolist(),
                "high": found.high[row.policy].tolist(),
            }
            for row in ranking
        ],
    }


def pair_data(pair: PairVerdict) -> dict[str, Any]:
    """A row of `"pairs"`, as JSON values; mission is null for the comparison over all missions."""
    return {
        "a": pair.name_a,
        "b": pair.name_b,
        "mission": pair.stratum_name,
        "difference": pair.difference,
        "ci": pair.ci,
        "p": pair.p,
        "p_adjusted": pair.p_adjusted,
        "p_equal": pair.p_equal,
        "effect_size": pair.effect_size,
        "prob_improvement": pair.prob_improvement,
        "n": pair.n,
        "wins": pair.wins,
        "losses": pair.losses,
        "ties": pair.ties,
        "verdict": pair.verdict,
        "sentence": pair.sentence,
    }
