"""An evaluation that was run, and the same as JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.evaluation._analysis import Analysis
from daf.playing.settings import Settings, settings_data
from daf.stats.pair_verdict import PairVerdict
from daf.stats.summaries import PolicySummary


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that was run.

    title: one line. started: seconds since 1970. seconds: it took. replays: file by record key, in the run folder.
    cache: where the records are shared.
    """

    operation: str
    run_id: str
    run_dir: Path
    title: str
    started: float
    seconds: float
    result: RunResult
    analysis: Analysis
    replays: Mapping[str, Path]
    settings: Settings
    cache: Path

    @property
    def report(self) -> Path | None:
        """The HTML report, where one was asked for."""
        return self.run_dir / "report.html" if self.settings.report else None

    @property
    def status(self) -> str:
        """ok: every episode has a result. failed: some have none, or the run was stopped early."""
        return "failed" if self.result.failures or self.result.stopped else "ok"


def results_data(evaluation: Evaluation) -> dict[str, Any]:
    """What `--json` prints, as JSON values: episodes in plan order, summary, ranking, pairs."""
    result, analysis = evaluation.result, evaluation.analysis
    return {
        "run_id": evaluation.run_id,
        "run_dir": str(evaluation.run_dir),
        "status": evaluation.status,
        "title": evaluation.title,
        "cache": str(evaluation.cache),
        "report": str(evaluation.report) if evaluation.report else None,
        "settings": settings_data(evaluation.settings),
        "episodes": episodes_data(result, evaluation.replays),
        "summary": counts_data(result, evaluation.seconds, analysis.notes)
        | {
            "missions": {mission: [summary_data(row) for row in rows] for mission, rows in analysis.by_mission.items()},
        },
        "ranking": [summary_data(row) for row in analysis.ranking],
        "pairs": [pair_data(pair) for pair in analysis.pairs],
    }


def episodes_data(result: RunResult, replays: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The episodes as `--json` prints them, in plan order. replays: file by record key."""
    return [
        _episode_data(planned.index, result.plan.contenders[planned.contender].name, record, replays)
        for planned, record in zip(result.planned, result.records, strict=True)
    ]


def counts_data(result: RunResult, seconds: float, notes: Sequence[str]) -> dict[str, Any]:
    """What every `"summary"` of `--json` begins with: how many episodes were played, read and failed."""
    return {
        "episodes": len(result.records),
        "played": result.played,
        "cached": result.read,
        "failed": len(result.failures),
        "stopped": result.stopped,
        "seconds": seconds,
        "notes": list(notes),
    }


def _episode_data(index: int, contender: str, record: EpisodeRecord, replays: Mapping[str, Path]) -> dict[str, Any]:
    spec = record.spec
    replay = replays.get(spec.key)
    return {
        "mission": spec.mission,
        "seed": spec.seed,
        "index": index,
        "contender": contender,
        "policies": [policy.name for policy in spec.policies],
        "assignment": list(spec.assignment),
        "rewards": list(record.outcome.rewards) if record.outcome else None,
        "steps": record.outcome.steps if record.outcome else None,
        "timeouts": list(record.outcome.timeouts) if record.outcome else None,
        "status": "ok" if record.ok else "failed",
        "cached": record.cached,
        "key": spec.key,
        "replay": str(replay) if replay else None,
        "failure": {"kind": record.failure.kind, "message": record.failure.message} if record.failure else None,
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
