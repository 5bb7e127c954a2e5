"""A score that was played, and the same as JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.episodes.run import RunResult
from daf.evaluation import Settings
from daf.evaluation.result import counts_data, episodes_data
from daf.game.scoring import Scenario
from daf.scoring_analysis.vor import VorAnalysis, sentence


@dataclass(frozen=True)
class ScoreReport:
    """What a score found. candidate, pool: names. teams: by mission and contender, its scenario. as_pickup: whether
    `cogames pickup` was reproduced. started: seconds since 1970."""

    candidate: str
    pool: tuple[str, ...]
    analysis: VorAnalysis
    notes: tuple[str, ...]
    result: RunResult
    teams: Mapping[str, Mapping[str, Scenario]]
    as_pickup: bool
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


def score_data(report: ScoreReport) -> dict[str, Any]:
    """What `--json` prints, as JSON values."""
    analysis = report.analysis
    return {
        "run_id": report.run_id,
        "run_dir": str(report.run_dir),
        "status": report.status,
        "title": report.title,
        "cache": str(report.cache),
        "report": str(report.report) if report.report else None,
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
        "episodes": episodes_data(report.result, report.replays),
        "summary": counts_data(report.result, report.seconds, report.notes),
    }
