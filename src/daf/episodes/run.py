"""Run a plan: read what is there, play what is missing, keep what was played.

Every record is stored the moment it is finished, so that whatever ends the run (Ctrl-C, a crash, a power cut) loses
only the episodes in play, and the same plan goes on from there. Before the first episode is played, each policy is
built once for each mission in a worker, so that weights of another shape are refused before any work is done.
"""

import logging
import math
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daf.compute.executor import Done, Executor, Failure
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan, PlannedEpisode
from daf.episodes.record import EpisodeFailure, EpisodeRecord, from_played
from daf.episodes.spec import EpisodeSpec
from daf.errors import DAFError, EpisodeError, PolicyError
from daf.game.device import limit_gpu_memory
from daf.game.missions import check_runs, load_config
from daf.game.policies import Policy
from daf.game.rollout import Game, Play, Played, check_policy, play

logger = logging.getLogger(__name__)

PRELOAD = ("daf.game.preload",)
"""What workers import before their first episode."""
PRELOAD_NETWORKS = (*PRELOAD, "torch")

EPISODE_TIMEOUT = 1800.0
"""Seconds after which an episode counts as hanging, where the caller names no other limit."""


@dataclass(frozen=True, slots=True)
class EpisodeTask:
    """What a worker needs to play an episode."""

    spec: EpisodeSpec
    config: Path
    engine: str
    replay: bool
    gpu_memory_fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """A plan that was run.

    planned, records: the episodes that were read, played or tried, in plan order. stopped: why it ended early, where it
    did; the episodes after that are in neither.
    """

    plan: Plan
    planned: tuple[PlannedEpisode, ...]
    records: tuple[EpisodeRecord, ...]
    stopped: str | None = None

    @property
    def failures(self) -> list[EpisodeRecord]:
        return [record for record in self.records if not record.ok]

    @property
    def played(self) -> int:
        """Episodes that were played now, not read."""
        return sum(1 for record in self.records if record.ok and not record.cached)


Progress = Callable[[EpisodeRecord], None]


def run_plan(
    plan: Plan,
    executor: Executor,
    cache: EpisodeCache,
    *,
    engine: str = "auto",
    episode_timeout: float | None = None,
    max_failures: int | None = None,
    gpu_memory_fraction: float = 1.0,
    on_record: Progress | None = None,
) -> RunResult:
    """Play what `plan` needs and `cache` lacks.

    episode_timeout: seconds, for executors that can end a task. max_failures: stop playing once so many episodes
    failed. gpu_memory_fraction: share of a GPU's memory that one worker may take. on_record: called with each record
    as it is read or finished. Raises `PolicyError` or `MissionError` before playing, where a policy or mission can't
    be set up.
    """
    cache.check_writable()
    found: dict[int, EpisodeRecord] = {}
    missing: list[int] = []
    by_key: dict[str, list[int]] = {}
    for position, planned in enumerate(plan.episodes):
        twins = by_key.setdefault(planned.spec.key, [])
        twins.append(position)
        if len(twins) > 1:
            continue
        record = cache.get(planned.spec)
        if record is None:
            missing.append(position)
        else:
            found[position] = record
            _tell(on_record, record)
    if missing:
        logger.info("%d of %d episodes are missing", len(missing), len(plan.episodes))
        _check([plan.episodes[position] for position in missing], plan, executor, cache)
    stopped = None
    tasks = [
        replace(_task(plan.episodes[position].spec, cache, engine), gpu_memory_fraction=gpu_memory_fraction)
        for position in missing
    ]
    failures = 0
    for done in executor.run(play_task, tasks, timeout=episode_timeout):
        spec = tasks[done.position].spec
        record = _record(spec, done)
        cache.put(record)
        found[missing[done.position]] = record
        _tell(on_record, record)
        failures += not record.ok
        if max_failures is not None and failures >= max_failures:
            stopped = f"{failures} episodes failed, as many as --max-failures allows"
            break
    for positions in by_key.values():
        first = found.get(positions[0])
        if first is None:
            continue
        for twin in positions[1:]:
            found[twin] = replace(first, spec=plan.episodes[twin].spec, cached=first.ok)
            _tell(on_record, found[twin])
    order = sorted(found)
    places = tuple(plan.episodes[position] for position in order)
    return RunResult(plan, places, tuple(found[position] for position in order), stopped)


def record_replays(
    records: Iterable[EpisodeRecord], executor: Executor, cache: EpisodeCache, *, engine: str = "auto"
) -> dict[str, Path]:
    """Replay files of `records`, by their keys: those in the cache, and the others by playing the episodes again.

    An episode that comes out otherwise the second time is reported in the log: its policy does not repeat.
    """
    wanted = [record for record in records if record.ok]
    missing = [record for record in wanted if not cache.replay_path(record.spec).exists()]
    tasks = [_task(record.spec, cache, engine, replay=True) for record in missing]
    for done in executor.run(play_task, tasks, timeout=EPISODE_TIMEOUT if executor.isolated else None):
        record = missing[done.position]
        if done.value is None or done.value.replay is None:
            reason = done.failure.message if done.failure else "it recorded none"
            logger.warning("no replay of %s on %s: %s", record.spec.name, record.spec.mission, reason)
            continue
        again = from_played(record.spec, done.value, platform.node())
        if again.result_hash != record.result_hash:
            logger.warning(
                "%s on %s, seed %d, came out otherwise when it was played again: this policy does not repeat, and its "
                "replay shows another episode than its record",
                record.spec.name,
                record.spec.mission,
                record.spec.seed,
            )
        else:
            cache.put(replace(record, replay_hash=done.value.replay_hash))
        cache.put_replay(record.spec, done.value.replay)
    paths = ((record.spec.key, cache.replay_path(record.spec)) for record in wanted)
    return {key: path for key, path in paths if path.exists()}


def play_task(task: EpisodeTask) -> Played:
    """In a worker: play one episode."""
    spec = task.spec
    limit_gpu_memory(spec.device, task.gpu_memory_fraction)
    return play(
        Play(
            game=_game(task.config),
            policies=spec.policies,
            assignment=spec.assignment,
            seed=spec.seed,
            device=spec.device,
            threads=spec.threads,
            action_timeout_ms=spec.action_timeout_ms,
            slow_step_ms=spec.slow_step_ms,
            series=spec.series,
            replay=task.replay,
            engine=task.engine,
        )
    )


def _task(spec: EpisodeSpec, cache: EpisodeCache, engine: str, *, replay: bool = False) -> EpisodeTask:
    return EpisodeTask(spec, cache.root / "configs" / f"{spec.config_hash}.json", engine, replay)


@dataclass(frozen=True, slots=True)
class _CheckTask:
    policy: Policy
    config: Path
    device: str


def _check(missing: Sequence[PlannedEpisode], plan: Plan, executor: Executor, cache: EpisodeCache) -> None:
    """Build every mission once here, and every policy once for every mission in a worker."""
    hashes = dict.fromkeys(planned.spec.config_hash for planned in missing)
    for config_hash in hashes:
        mission = plan.by_hash[config_hash]
        check_runs(mission, seed=plan.seed)
        cache.put_config(mission)
    pairs = {
        (policy.identity, planned.spec.config_hash): (policy, planned.spec)
        for planned in missing
        for policy in planned.spec.policies
    }
    tasks = [_CheckTask(policy, _task(spec, cache, "auto").config, spec.device) for policy, spec in pairs.values()]
    for done in executor.run(_check_task, tasks):
        if done.failure is None:
            continue
        if isinstance(done.failure.error, DAFError):
            raise done.failure.error
        policy = tasks[done.position].policy
        raise PolicyError(f'policy "{policy.name}" cannot be built: {done.failure.message}.')


def _check_task(task: _CheckTask) -> None:
    check_policy(task.policy, _game(task.config), device=task.device)


_games: dict[Path, Game] = {}
_GAMES_KEPT = 8


def _game(path: Path) -> Game:
    """The game whose config is at `path`, kept for its next episode: the file is named by its own hash."""
    if path not in _games:
        while len(_games) >= _GAMES_KEPT:
            del _games[next(iter(_games))]
        try:
            _games[path] = Game(load_config(path.read_bytes()))
        except OSError as error:
            raise EpisodeError(f"the mission's config {path} is gone: {error.strerror}.") from error
    return _games[path]


def _record(spec: EpisodeSpec, done: Done[Played]) -> EpisodeRecord:
    if done.value is not None:
        odd = [agent for agent, reward in enumerate(done.value.outcome.rewards) if not math.isfinite(reward)]
        if not odd:
            return from_played(spec, done.value, platform.node())
        rewards = ", ".join(f"agent {agent}: {done.value.outcome.rewards[agent]}" for agent in odd)
        return EpisodeRecord(spec, None, EpisodeFailure("reward", f"its rewards are no finite numbers ({rewards})"))
    failure = done.failure or Failure("error", "it returned nothing")
    kind = "policy" if failure.kind == "error" else failure.kind
    return EpisodeRecord(spec, None, EpisodeFailure(kind, failure.message, failure.traceback))


def _tell(on_record: Progress | None, record: EpisodeRecord) -> None:
    if on_record is not None:
        on_record(record)
