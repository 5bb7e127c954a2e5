"""The result of a cross-play, and its conversion to JSON values."""

from dataclasses import dataclass
from typing import Any

from daf.crossplay._words import sentences
from daf.crossplay.analysis import CrossplayAnalysis, Paired
from daf.playing.run import Played, PlayedRun
from daf.scoring_analysis.ratings import Ratings


@dataclass(frozen=True)
class CrossplayReport(Played):
    """The result of a cross-play. mixes: which teams played."""

    analysis: CrossplayAnalysis
    ratings: Ratings
    notes: tuple[str, ...]
    mixes: str
    run: PlayedRun


def crossplay_data(report: CrossplayReport) -> dict[str, Any]:
    """The output of `--json` as JSON values."""
    analysis = report.analysis
    names = analysis.names
    return {
        **report.run.head_data(),
        "policies": list(names),
        "missions": list(analysis.missions),
        "mixes": report.mixes,
        "n": analysis.n,
        "family": analysis.family,
        "findings": sentences(analysis),
        "matrix": [
            {
                "policy": names[cell.policy],
                "partner": names[cell.partner],
                "own": cell.own,
                "ci": cell.ci,
                "partner_own": cell.partner_own,
                "team": cell.team,
                "gain": None if cell.gain is None else _paired(cell.gain),
            }
            for cell in analysis.cells
        ],
        "teams": [
            {
                "a": names[pair.first],
                "b": names[pair.second],
                "team": pair.team,
                "ci": pair.team_ci,
                "own_a_less_own_b": _paired(pair.apart),
                "relation": pair.relation,
                "carrier": None if pair.carrier is None else names[pair.carrier],
            }
            for pair in analysis.pairs
        ],
        "policy_summaries": [
            {
                "policy": names[row.policy],
                "self_play": row.self_play,
                "self_play_ci": row.self_ci,
                "cross_play": row.cross_play,
                "cross_play_ci": row.cross_ci,
                "generalisation_gap": _paired(row.gap),
                "best_partner": names[row.best],
                "best_partner_decided": row.best_decided,
            }
            for row in analysis.policies
        ],
        "mix_returns": [
            {
                "mission": row.mission,
                "agents": {names[policy]: count for policy, count in enumerate(row.counts) if count},
                "team": row.team,
                "ci": row.ci,
                "own": {names[policy]: value for policy, value in enumerate(row.own) if value is not None},
            }
            for row in analysis.mixes
        ],
        "ratings": [
            {
                "policy": row.policy,
                "rank": row.rank,
                "mu": row.mu,
                "sigma": row.sigma,
                "ordinal": row.ordinal,
                "matches": row.matches,
            }
            for row in report.ratings.rows
        ],
        "cycles": [list(cycle) for cycle in report.ratings.cycles],
        "episodes": report.run.episodes_data(),
        "summary": report.run.counts_data(report.notes),
    }


def _paired(value: Paired) -> dict[str, Any]:
    return {
        "difference": value.difference,
        "ci": value.ci,
        "p": value.p,
        "p_adjusted": value.p_adjusted,
        "change": value.change,
    }
