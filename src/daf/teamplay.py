"""Plans of mixed teams, played into a run folder: what scoring, cross-play and playing until decided share.

Each team of a mission plays the same seeds, and where two teams have as many agents, their places are shuffled by the
same permutation in each episode: team "3 of A, 1 of B" differs from "2 of A, 2 of B" in one agent. Differences
between teams are therefore paired, and so small effects are seen with few episodes.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.executor import Executor, make_executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, Plan, PlannedEpisode, plan_episodes
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import EPISODE_TIMEOUT, PRELOAD, PRELOAD_NETWORKS, RunResult, record_replays, run_plan
from daf.episodes.tables import RunRow, build_tables
from daf.errors import UsageError, unknown
from daf.evaluation import SAVE_REPLAYS, Settings, default_cache
from daf.evaluation.keeping import command_line, keep
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game.device import resolve_device
from daf.game.rollout import ENGINES

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Player:
    """Plays plans into a cache; made by `player`."""

    settings: Settings
    cache: EpisodeCache
    executor: Executor
    on_record: Callable[[EpisodeRecord], None] | None

    def play(self, plan: Plan) -> RunResult:
        """What `plan` needs: read where it is there, else played. See `run_plan`."""
        timeout = self.settings.episode_timeout
        if timeout is None and self.executor.isolated:
            timeout = EPISODE_TIMEOUT
        return run_plan(
            plan,
            self.executor,
            self.cache,
            engine=self.settings.engine,
            episode_timeout=timeout,
            max_failures=self.settings.max_failures,
            gpu_memory_fraction=self.settings.gpu_memory_fraction,
            on_record=self.on_record,
        )

    def replays(self, result: RunResult) -> dict[str, Path]:
        """The replays that the settings ask for, by record key."""
        finished = [record for record in result.records if record.ok]
        chosen = finished if self.settings.save_replays == "all" else []
        if self.settings.save_replays == "best":
            best: dict[str, EpisodeRecord] = {}
            for record in finished:
                leader = best.setdefault(record.spec.mission, record)
                if record.reward_per_agent() > leader.reward_per_agent():
                    best[record.spec.mission] = record
            chosen = list(best.values())
        return record_replays(chosen, self.executor, self.cache, engine=self.settings.engine)


def check_settings(settings: Settings) -> None:
    """Raise `UsageError` for choices that don't exist."""
    if settings.save_replays not in SAVE_REPLAYS:
        raise UsageError(unknown("choice for --save-replays", settings.save_replays, SAVE_REPLAYS))
    if settings.engine not in ENGINES:
        raise UsageError(unknown("engine", settings.engine, ENGINES))


def cache_of(settings: Settings, output: "OutputManager") -> EpisodeCache:
    """The cache that the settings name."""
    return EpisodeCache(settings.cache_dir or default_cache(output.base_dir), enabled=settings.use_cache)


def policies_of(policies: Sequence[Any], cache: EpisodeCache, output: "OutputManager") -> list[game_policies.Policy]:
    """The policies that these name, under names that differ. Raises `PolicyError`."""
    found = [game_policies.resolve(policy, cache=cache.bundles, runs=output.base_dir) for policy in policies]
    return game_policies.uniquely_named(found)


def missions_of(missions: Any, settings: Settings) -> list[game_missions.Mission]:
    """The missions that these name, with the settings' step limit. Raises `MissionError`."""
    found = game_missions.resolve(missions, game=settings.game)
    if settings.max_steps is not None:
        found = [game_missions.with_default_steps(mission, settings.max_steps) for mission in found]
    return found


def team(players: Sequence[game_policies.Policy], counts: Sequence[int]) -> Contender:
    """The team with so many agents of each policy; those without an agent are left out."""
    there = [(policy, count) for policy, count in zip(players, counts, strict=True) if count]
    name = "+".join(f"{policy.name}={count}" for policy, count in there)
    return Contender(name, tuple(policy for policy, _ in there), tuple(count for _, count in there))


def plan_teams(
    missions: Sequence[game_missions.Mission],
    teams: Sequence[Sequence[Contender]],
    settings: Settings,
    *,
    first: int = 0,
) -> Plan:
    """Every mission's own teams (`teams[mission]`) on the same seeds: one plan, whose contenders are all of them."""
    networks = any(policy.network for there in teams for contender in there for policy in contender.policies)
    device = resolve_device(settings.device, gpu_allowed=settings.gpu_allowed) if networks else "cpu"
    contenders: list[Contender] = []
    planned: list[PlannedEpisode] = []
    for mission, there in zip(missions, teams, strict=True):
        plan = plan_episodes(
            [mission],
            there,
            episodes=settings.episodes,
            seed=settings.seed,
            device=device,
            action_timeout_ms=settings.enforce_timeouts,
            slow_step_ms=settings.slow_step_ms,
            series=settings.series,
            first=first,
        )
        contenders += [contender for contender in there if contender not in contenders]
        place = [contenders.index(contender) for contender in there]
        planned += [PlannedEpisode(item.index, place[item.contender], item.spec) for item in plan.episodes]
    return Plan(tuple(missions), tuple(contenders), tuple(planned), settings.seed)


@contextlib.contextmanager
def player(
    settings: Settings,
    cache: EpisodeCache,
    policies: Iterable[game_policies.Policy],
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> Iterator[Player]:
    """A player for these policies; its workers end with the block."""
    preload = PRELOAD_NETWORKS if any(policy.network for policy in policies) else PRELOAD
    executor = make_executor(settings.executor, jobs=settings.jobs, preload=preload)
    try:
        yield Player(settings, cache, executor, on_record)
    finally:
        executor.close()


@dataclass(frozen=True)
class Kept:
    """What a run left. replays: by record key. started: as text. command: as it can be typed again."""

    run_dir: Path
    run_id: str
    replays: dict[str, Path]
    started: str
    command: str


def keep_run(
    run_dir: Path,
    result: RunResult,
    replays: dict[str, Path],
    *,
    run_id: str,
    operation: str,
    started: float,
    player: Player,
) -> Kept:
    """Put records, replays and tables into the run folder."""
    kept = keep(run_dir, result, replays, player.cache, records=player.settings.keep_records)
    when = datetime.fromtimestamp(started).isoformat(sep=" ", timespec="seconds")
    row = RunRow(run_id, operation, when, result.plan.seed, command_line())
    build_tables(run_dir / "stats", row, result, {key: path.name for key, path in kept.items()})
    return Kept(run_dir, run_id, kept, when, command_line())


def episodes_data(result: RunResult, replays: dict[str, Path]) -> list[dict[str, Any]]:
    """The episodes as `--json` prints them, in plan order."""
    rows = []
    for planned, record in zip(result.planned, result.records, strict=True):
        spec, replay = record.spec, replays.get(record.spec.key)
        failure = record.failure
        rows.append(
            {
                "mission": spec.mission,
                "seed": spec.seed,
                "index": planned.index,
                "contender": result.plan.contenders[planned.contender].name,
                "policies": [policy.name for policy in spec.policies],
                "assignment": list(spec.assignment),
                "rewards": list(record.outcome.rewards) if record.outcome else None,
                "steps": record.outcome.steps if record.outcome else None,
                "status": "ok" if record.ok else "failed",
                "cached": record.cached,
                "key": spec.key,
                "replay": str(replay) if replay else None,
                "failure": {"kind": failure.kind, "message": failure.message} if failure else None,
            }
        )
    return rows


def counts_data(result: RunResult, seconds: float, notes: Sequence[str]) -> dict[str, Any]:
    """The `"summary"` of `--json`: how many episodes were played, read and failed."""
    return {
        "episodes": len(result.records),
        "played": result.played,
        "cached": sum(1 for record in result.records if record.ok and record.cached),
        "failed": len(result.failures),
        "stopped": result.stopped,
        "seconds": seconds,
        "notes": list(notes),
    }


def failure_notes(result: RunResult, left_out: int) -> list[str]:
    """What a reader must know of episodes without a result."""
    notes = []
    if result.failures:
        each: dict[str, int] = {}
        for record in result.failures:
            each[record.spec.name] = each.get(record.spec.name, 0) + 1
        named = ", ".join(f"{name}: {count}" for name, count in each.items())
        first = result.failures[0].failure
        why = f" The first: {first.message}." if first else ""
        notes.append(f"{len(result.failures)} of {len(result.records)} episodes failed ({named}).{why}")
    if left_out:
        notes.append(f"{left_out} blocks count nowhere, since a team has no result there; failures never count as 0.")
    if result.stopped:
        notes.append(f"The run was stopped early: {result.stopped}.")
    return notes
