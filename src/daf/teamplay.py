"""Plans of mixed teams, played into a run folder: what scoring, cross-play and playing until decided share.

Each team of a mission plays the same seeds, and where two teams have as many agents, their places are shuffled by the
same permutation in each episode: team "3 of A, 1 of B" differs from "2 of A, 2 of B" in one agent. Differences
between teams are therefore paired, and so small effects are seen with few episodes.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, Plan, PlannedEpisode
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import (
    EPISODE_TIMEOUT,
    PRELOAD,
    PRELOAD_NETWORKS,
    Checked,
    RunResult,
    check_plan,
    record_replays,
    run_plan,
)
from daf.episodes.tables import RunRow, build_tables
from daf.evaluation import Settings
from daf.evaluation.keeping import command_line, keep
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game import policy
from daf.playing.planning import plan_of

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
    checked: Checked

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
            checked=self.checked,
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


def policies_of(policies: Sequence[Any], cache: EpisodeCache, output: "OutputManager") -> list[policy.Policy]:
    """The policies that these name, each once (`daf.game.policies.each_once`), under names that differ.

    Raises `PolicyError`.
    """
    return game_policies.each_once(resolved(policies, cache, output))


def resolved(policies: Sequence[Any], cache: EpisodeCache, output: "OutputManager") -> list[policy.Policy]:
    """One policy for each of `policies`, whether or not they are equal. Raises `PolicyError`."""
    return [game_policies.resolve(policy, cache=cache.bundles, runs=output.base_dir) for policy in policies]


def team(players: Sequence[policy.Policy], counts: Sequence[int]) -> Contender:
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
    contenders: list[Contender] = []
    planned: list[PlannedEpisode] = []
    for mission, there in zip(missions, teams, strict=True):
        plan = plan_of([mission], there, settings, first=first)
        contenders += [contender for contender in there if contender not in contenders]
        place = [contenders.index(contender) for contender in there]
        planned += [PlannedEpisode(item.index, place[item.contender], item.spec) for item in plan.episodes]
    return Plan(tuple(missions), tuple(contenders), tuple(planned), settings.seed)


@contextlib.contextmanager
def player(
    settings: Settings,
    cache: EpisodeCache,
    plan: Plan,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> Iterator[Player]:
    """A player for the contenders of `plan`; its workers end with the block.

    What of `plan` must be played has been set up once when the block begins, so that a policy or mission that cannot
    be is refused before a run folder is made. Raises `PolicyError`, `MissionError`.
    """
    networks = any(policy.network for contender in plan.contenders for policy in contender.policies)
    executor = make_executor(settings.executor, jobs=settings.jobs, preload=PRELOAD_NETWORKS if networks else PRELOAD)
    try:
        yield Player(settings, cache, executor, on_record, check_plan(plan, executor, cache))
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
