"""How policies perform on one mission: success, completion, key events and failure modes, from sampled episodes.

The episodes are those of `daf evaluate` with a time series; a record without one has a different key, so the analysis
plays these episodes again. The example of every failure mode gets a replay in the run directory.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.episodes.cache import EpisodeCache
from daf.episodes.metrics_values import occurring
from daf.errors import MissionError, UsageError
from daf.evaluation import Evaluation, Settings, evaluate
from daf.game import mission_facts
from daf.game import missions as game_missions
from daf.game.mission import Mission
from daf.mission_analysis._key_events import KeyEvent, key_events
from daf.mission_analysis.failure_modes import FailureMode, failure_modes
from daf.mission_analysis.success import Criterion, check, criterion, default_criterion
from daf.mission_analysis.watching import Rules, Watched, rules_of, series_for
from daf.playing.player import open_player
from daf.playing.run import keep
from daf.stats.summaries import PolicySummary

if TYPE_CHECKING:
    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager


@dataclass(frozen=True)
class MissionPerformance:
    """How one policy performs on one mission.

    episodes: finished ones; failed: those without a result. successes: among the finished. success_rate: None without a
    criterion or an episode; success_ci: its exact 95 % interval (Clopper and Pearson). completion: mean share of the
    criterion that was reached. mean_reward, reward_ci: per agent. steps: mean length. held: (step, junctions that the
    teams hold) over time, mean over episodes. roles: mean agents per role. interval: of the samples.
    """

    policy: str
    mission: str
    episodes: int
    failed: int
    criterion: str | None
    criterion_stated: bool
    successes: int | None
    success_rate: float | None
    success_ci: tuple[float, float] | None
    completion: float | None
    mean_reward: float | None
    reward_ci: tuple[float, float] | None
    steps: float | None
    roles: Mapping[str, float]
    key_events: tuple[KeyEvent, ...]
    failure_modes: tuple[FailureMode, ...]
    held: tuple[tuple[int, float], ...]
    interval: int


@dataclass(frozen=True)
class Performances:
    """Several policies on one mission, and the run with their episodes."""

    mission: Mission
    rows: tuple[MissionPerformance, ...]
    evaluation: Evaluation


def perform(
    mission: Any,
    policies: Sequence[Any],
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    success: str | None = None,
    settings: Settings | None = None,
    replays: bool = True,
    output: "OutputManager | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> Performances:
    """Play policies on one mission and report how they perform. Raises `UsageError`, `MissionError`, `MetricError`."""
    chosen = settings or Settings(episodes=10, report=False)
    one = one_mission(mission, game=chosen.game, max_steps=chosen.max_steps)
    wanted = criterion(success) if success is not None else default_criterion(one)
    if wanted is not None and not wanted.stated:
        check(wanted, one.name, [*occurring([]), "reward", *mission_facts.possible_stats(one)])
    evaluation = evaluate(
        policies, one, teams=teams, settings=replace(chosen, series=chosen.series or series_for(one)), output=output,
        title=f"analysis of {one.name}", on_plan=on_plan, on_record=on_record,
        rerun=None,  # the analysis adds files to the run directory
    )  # fmt: skip
    rows = performances_of(evaluation, one, wanted)
    return Performances(one, _with_replays(rows, evaluation) if replays else rows, evaluation)


def performances_of(
    evaluation: Evaluation, mission: Mission, wanted: Criterion | None
) -> tuple[MissionPerformance, ...]:
    """How every contender of an evaluation performs on `mission`; its episodes must have the series of `series_for`."""
    result = evaluation.result
    finished = [r for r in result.records if r.ok and r.spec.config_hash == mission.config_hash]
    if wanted is not None and finished:
        known = occurring(finished, {finished[0].spec.mission: mission_facts.possible_stats(mission)})
        check(wanted, finished[0].spec.mission, known[finished[0].spec.mission])
    rules = rules_of(mission)
    ranked = {row.name: row for row in evaluation.analysis.by_mission.get(mission.name, ())}
    rows = []
    for position, contender in enumerate(result.plan.contenders):
        own = [
            record
            for planned, record in zip(result.planned, result.records, strict=True)
            if planned.contender == position and record.spec.config_hash == mission.config_hash
        ]
        rows.append(_row(contender.name, mission, own, rules, wanted, ranked.get(contender.name)))
    return tuple(rows)


def one_mission(mission: Any, *, game: str = game_missions.DEFAULT_GAME, max_steps: int | None = None) -> Mission:
    """The one mission that `mission` names. Raises `MissionError` if it names several."""
    found = game_missions.resolve(mission, game=game)
    if len(found) != 1:
        names = ", ".join(entry.name for entry in found[:5])
        raise MissionError(
            f"expected one mission, but {mission} names {len(found)}: {names}. See `daf analyze missions`."
        )
    return found[0] if max_steps is None else game_missions.with_max_steps(found[0], max_steps)


def success_interval(successes: int, episodes: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact interval of a success rate. Source: Clopper and Pearson, Biometrika 26, 1934."""
    from scipy.stats import binomtest

    if episodes < 1:
        raise UsageError("a success rate needs at least one episode.")
    found = binomtest(successes, episodes).proportion_ci(confidence_level=1 - alpha, method="exact")
    return float(found.low), float(found.high)


def _row(
    name: str,
    mission: Mission,
    records: "Sequence[EpisodeRecord]",
    rules: Rules,
    wanted: Criterion | None,
    ranked: PolicySummary | None,
) -> MissionPerformance:
    finished = [record for record in records if record.ok]
    watched = [Watched(record, rules) for record in finished]
    successes = sum(wanted.fulfilled(record) for record in finished) if wanted is not None and finished else None
    return MissionPerformance(
        policy=name,
        mission=mission.name,
        episodes=len(finished),
        failed=len(records) - len(finished),
        criterion=wanted.text if wanted else None,
        criterion_stated=bool(wanted and wanted.stated),
        successes=successes,
        success_rate=successes / len(finished) if successes is not None else None,
        success_ci=success_interval(successes, len(finished)) if successes is not None else None,
        completion=float(np.mean([wanted.completion(r) for r in finished])) if wanted and finished else None,
        mean_reward=float(np.mean([r.reward_per_agent() for r in finished])) if finished else None,
        reward_ci=ranked.ci if ranked else None,
        steps=float(np.mean([r.played.steps for r in finished])) if finished else None,
        roles=_roles(watched),
        key_events=tuple(key_events(watched)),
        failure_modes=tuple(failure_modes(watched, wanted)),
        held=_held(watched),
        interval=watched[0].samples.interval if watched else 0,
    )


def _roles(watched: Sequence[Watched]) -> dict[str, float]:
    counts: dict[str, int] = {}
    for role in (role for one in watched for role in one.roles):
        counts[role] = counts.get(role, 0) + 1
    return {role: count / len(watched) for role, count in sorted(counts.items(), key=lambda item: -item[1])}


def _held(watched: Sequence[Watched]) -> tuple[tuple[int, float], ...]:
    """Junctions held per step within each interval: the growth of the counter, over the steps in which it grew."""
    if not watched or not watched[0].rules.teams or not watched[0].rules.junctions:
        return ()
    length = min(len(one.steps) for one in watched)
    total = np.zeros(length)
    for one in watched:
        for team in one.rules.teams:
            held = one.team_over_time(f"{team}/aligned.junction.held")[:length]
            total += np.diff(held, prepend=0.0) / one.samples.interval
    steps = watched[0].steps[:length].tolist()
    return tuple((int(step), float(mean)) for step, mean in zip(steps, total / len(watched), strict=True))


def _with_replays(rows: Sequence[MissionPerformance], evaluation: Evaluation) -> tuple[MissionPerformance, ...]:
    """The rows with the examples' replays recorded; equal examples share one."""
    keys = {mode.example.key for row in rows for mode in row.failure_modes}
    wanted = [record for record in evaluation.result.records if record.spec.key in keys]
    if not wanted:
        return tuple(rows)
    cache = EpisodeCache(evaluation.run.cache)
    networks = any(policy.network for record in wanted for policy in record.spec.policies)
    with contextlib.closing(open_player(evaluation.settings, cache, networks=networks)) as player:
        paths = player.record(wanted)
    kept = keep(evaluation.run_dir, evaluation.result, paths, cache, records=False)
    if evaluation.settings.report:
        evaluation.run.write_players(kept.values())
    return tuple(
        replace(row, failure_modes=tuple(_shown(mode, kept, evaluation) for mode in row.failure_modes)) for row in rows
    )


def _shown(mode: FailureMode, kept: Mapping[str, Path], evaluation: Evaluation) -> FailureMode:
    path = kept.get(mode.example.key)
    if path is None:
        return mode
    return replace(mode, example=replace(mode.example, replay=str(path.relative_to(evaluation.run_dir))))
