"""A cross-play that was run, and the same as JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.crossplay.analysis import CrossplayAnalysis, Paired
from daf.crossplay.words import sentences
from daf.episodes.run import RunResult
from daf.evaluation import Settings
from daf.evaluation.result import counts_data, episodes_data
from daf.scoring_analysis.ratings import Ratings


@dataclass(frozen=True)
class CrossplayReport:
    """What a cross-play found. mixes: which teams there were. started: seconds since 1970."""

    analysis: CrossplayAnalysis
    ratings: Ratings
    notes: tuple[str, ...]
    mixes: str
    result: RunResult
    settings: Settings
    run_dir: Path
    run_id: str
    replays: Mapping[str, Path]
    cache: Path
    started: float
    seconds: float
    title: str

    @property
    def status(self) -> str:
        """ok: every episode has a result. failed: some have none, or the run was stopped early."""
        return "failed" if self.result.failures or self.result.stopped else "ok"

    @property
    def report(self) -> Path | None:
        """The HTML report, where one was asked for."""
        return self.run_dir / "report.html" if self.settings.report else None


def crossplay_data(report: CrossplayReport) -> dict[str, Any]:
    """What `--json` prints, as JSON values."""
    analysis = report.analysis
    names = analysis.names
    return {
        "run_id": report.run_id,
        "run_dir": str(report.run_dir),
        "status": report.status,
        "title": report.title,
        "cache": str(report.cache),
        "report": str(report.report) if report.report else None,
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
        "episodes": episodes_data(report.result, report.replays),
        "summary": counts_data(report.result, report.seconds, report.notes),
    }


def _paired(value: Paired) -> dict[str, Any]:
    return {
        "difference": value.difference,
        "ci": value.ci,
        "p": value.p,
        "p_adjusted": value.p_adjusted,
        "change": value.change,
    }
