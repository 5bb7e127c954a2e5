"""Convert an evaluation to the plain values that its report shows."""

import importlib.metadata
import os
import platform
from typing import TYPE_CHECKING, Any

from daf.evaluation.page import EpisodeRow, EvaluationReport, FailureText, LatencyRow, MissionRow, PolicyRow
from daf.playing.planning import has_networks
from daf.playing.settings import settings_data
from daf.render.replays.players import player_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.evaluation.result import Evaluation


def report_of(evaluation: "Evaluation") -> EvaluationReport:
    """Build the content of the report of `evaluation`."""
    run, analysis = evaluation.run, evaluation.analysis
    result = run.result
    plan = result.plan
    return EvaluationReport(
        title=run.title,
        command=run.command,
        run_id=run.run_id,
        started=run.started_text,
        seconds=run.seconds,
        contenders=[contender.name for contender in plan.contenders],
        missions=_missions(plan),
        episodes=_episodes(evaluation),
        ranking=analysis.ranking,
        by_mission=analysis.by_mission,
        pairs=analysis.pairs,
        looks=analysis.looks,
        profiles=analysis.profiles,
        notes=analysis.notes,
        policies=[
            PolicyRow(
                contender.name,
                policy.name,
                policy.class_path,
                policy.data_path,
                policy.kwargs,
                contender.counts[index] if len(contender.policies) > 1 else None,
            )
            for contender in plan.contenders
            for index, policy in enumerate(contender.policies)
        ],
        latencies=_latencies(result.records),
        settings={name: value for name, value in settings_data(run.settings).items() if value is not None},
        environment=_environment(has_networks(plan.contenders)),
        alpha=run.settings.alpha,
    )


def _missions(plan: "Plan") -> list[MissionRow]:
    rows = []
    for mission in plan.missions:
        blocks = {planned.index for planned in plan.episodes if planned.spec.config_hash == mission.config_hash}
        size = None if mission.map_size is None else (mission.map_size[1], mission.map_size[0])
        rows.append(MissionRow(mission.name, mission.num_agents, mission.max_steps, len(blocks), size))
    return rows


def _episodes(evaluation: "Evaluation") -> list[EpisodeRow]:
    result = evaluation.result
    rows = []
    for planned, record in zip(result.planned, result.records, strict=True):
        failure, outcome = record.failure, record.outcome
        path = evaluation.replays.get(record.spec.key)
        replay = path.relative_to(evaluation.run_dir).as_posix() if path and path.is_file() else None
        rows.append(
            EpisodeRow(
                mission=record.spec.mission,
                index=planned.index,
                seed=record.spec.seed,
                contender=result.plan.contenders[planned.contender].name,
                key=record.spec.key,
                reward_per_agent=record.reward_per_agent() if outcome else None,
                steps=outcome.steps if outcome else None,
                cached=record.cached,
                rewards=outcome.rewards if outcome else (),
                assignment=record.spec.assignment,
                replay=replay,
                player=player_of(evaluation.run_dir, replay),
                failure=FailureText(failure.kind, failure.message, failure.traceback) if failure else None,
            )
        )
    return rows


def _latencies(records: "Sequence[EpisodeRecord]") -> list[LatencyRow]:
    """Step durations per policy over all episodes with measurements, including cached ones."""
    found: dict[str, list[Any]] = {}
    for record in records:
        if record.outcome is None:
            continue
        for policy, latency in zip(record.spec.policies, record.outcome.latencies, strict=False):
            totals = found.setdefault(policy.name, [0, 0, 0, 0])
            totals[0] += latency.count
            totals[1] += latency.total_ns
            totals[2] = max(totals[2], latency.max_ns)
            totals[3] += latency.slow
    return [
        LatencyRow(name, count, total / count / 1e6, worst / 1e6, slow)
        for name, (count, total, worst, slow) in found.items()
        if count
    ]


def _environment(networks: bool) -> dict[str, str]:
    names = ["daf", "cogames", "mettagrid", "numpy", *(["torch"] if networks else [])]
    return {
        **{name: importlib.metadata.version(name) for name in names},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "host": platform.node(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
