"""The result of a gate, and what a release records of it."""

from dataclasses import dataclass
from typing import Any

from daf.deployment.gate_analysis import GateAnalysis
from daf.playing.run import Played, PlayedRun
from daf.storage.jsonable import jsonable


@dataclass(frozen=True)
class GateReport(Played):
    """The result of a gate. pool: the names and identities of its policies."""

    analysis: GateAnalysis
    pool: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    run: PlayedRun

    @property
    def passed(self) -> bool:
        return self.analysis.passed

    def facts(self) -> dict[str, Any]:
        """What the release records of the gate."""
        analysis = self.analysis
        return {
            "passed": analysis.passed,
            "candidate": analysis.candidate,
            "reference": analysis.reference,
            "margin": analysis.margin,
            "alpha": analysis.alpha,
            "pool": [{"name": name, "identity": identity} for name, identity in self.pool],
            "seed": self.result.plan.seed,
            "run": self.run_id,
            "rows": jsonable(analysis.rows),
            "sentence": analysis.sentence(),
            "notes": list(self.notes),
        }


def gate_data(report: GateReport) -> dict[str, Any]:
    """The result as JSON values."""
    return {
        **report.run.head_data(),
        "gate": report.facts(),
        "episodes": report.run.episodes_data(),
        "summary": report.run.counts_data(report.notes),
    }
