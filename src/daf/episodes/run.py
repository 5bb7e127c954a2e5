"""Run a plan: read stored episodes, play missing ones, store their records.

Every record is stored as soon as it is finished, so that an interruption (Ctrl-C, a crash, a power cut) loses only the
episodes being played, and running the same plan again resumes from there. Before the first episode is played, each
policy is built once for each mission in a worker, so that weights of the wrong shape are rejected before any work is
done.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daf.compute.carried import path_here
from daf.compute.interface import Executor
from daf.episodes._packed import RecordStore
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan, PlannedEpisode
from daf.episodes.playing import Options, config_path, files_of_specs, game_at, play_specs
from daf.episodes.record import EpisodeRecord
from daf.errors import DAFError, EpisodeError, MissionError, PolicyError
from daf.game.known_policies import SHORT_NAMES
from daf.game.mission import mission_of
from daf.game.missions import check_runs
from daf.game.policy import Policy
from daf.game.policy_files import policy_at
from daf.game.rollout import check_policy
from daf.storage.reading import read_bytes

logger = logging.getLogger(__name__)

PRELOAD = ("daf.game.preload", "daf.compute._local", "daf.episodes.run")
"""What workers import before their first episode, in addition to the modules of its policies."""
PRELOAD_NETWORKS = (*PRELOAD, "torch")


def preload_of(policies: Iterable[Policy], *, networks: bool) -> tuple[str, ...]:
    """What the server that workers are forked from imports, so that none of them does, if these policies play.

    Of the policies only CoGames' scripted ones: the modules of others may change or be those of another bundle, and
    networks come with torch.
    """
    scripted = {
        policy.class_path.rpartition(".")[0]
        for policy in policies
        if policy.class_path in SHORT_NAMES and not policy.network and not policy.class_path.startswith("daf.")
    }
    return (*(PRELOAD_NETWORKS if networks else PRELOAD), *sorted(scripted))


EPISODE_TIMEOUT = 1800.0
"""Seconds after which an episode counts as hanging, if the caller gives no other limit."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A plan that was run.

    planned, records: the episodes that were read, played or tried, in plan order; many records are kept compressed.
    stopped: why it ended early, if it did; the remaining episodes are in neither.
    """

    plan: Plan
    planned: tuple[PlannedEpisode, ...]
    records: Sequence[EpisodeRecord]
    stopped: str | None = None

    @property
    def failures(self) -> list[EpisodeRecord]:
        return [record for record in self.records if not record.ok]

    @property
    def played(self) -> int:
        """Episodes that were played now, not read."""
        return sum(1 for record in self.records if record.ok and not record.cached)

    @property
    def read(self) -> int:
        """Episodes that came from the cache."""
        return sum(1 for record in self.records if record.ok and record.cached)


PLAIN = Options()
OnRecord = Callable[[EpisodeRecord], None]
Checked = frozenset[tuple[str, str]]
"""Policies by their identity, and the missions (by hash) for which they could be built."""


def run_plan(
    plan: Plan,
    executor: Executor,
    cache: EpisodeCache,
    options: Options = PLAIN,
    *,
    max_failures: int | None = None,
    on_record: OnRecord | None = None,
    checked: Checked = frozenset(),
) -> RunResult:
    """Play what `plan` needs and `cache` lacks.

    max_failures: stop playing once that many episodes failed. on_record: called with each record as it is read or
    finished. checked: what `check_plan` has built. Raises `PolicyError` or `MissionError` before playing, where a
    policy or mission can't be set up.
    """
    cache.check_writable()
    cache.bring(planned.spec for planned in plan.episodes)
    found = RecordStore()
    missing: list[int] = []
    first: dict[str, int] = {}
    twins: list[tuple[int, int]] = []
    for position, planned in enumerate(plan.episodes):
        earlier = first.setdefault(planned.spec.key, position)
        if earlier != position:
            twins.append((earlier, position))
            continue
        record = cache.get(planned.spec)
        if record is None:
            missing.append(position)
        else:
            found[position] = record
            _report(on_record, record)
    del first  # a third of what planning takes
    if missing:
        logger.info("%d of %d episodes are not in the cache", len(missing), len(plan.episodes))
        _check([plan.episodes[position] for position in missing], plan, executor, cache, checked)
    stopped = None
    specs = [plan.episodes[position].spec for position in missing]
    failures = 0
    for done in play_specs(specs, executor, cache, options):
        record = done.record
        cache.put(record)
        found[missing[done.position]] = record
        _report(on_record, record)
        failures += not record.ok
        if max_failures is not None and failures >= max_failures:
            stopped = f"{failures} episodes failed, which reaches --max-failures"
            break
    cache.settle()
    for earlier, position in twins:
        if earlier in found:
            record = found[earlier]
            record = replace(record, spec=plan.episodes[position].spec, cached=record.ok)
            found[position] = record
            _report(on_record, record)
    places = tuple(plan.episodes[position] for position in found.positions())
    return RunResult(plan, places, found.records(), stopped)


def check_plan(plan: Plan, executor: Executor, cache: EpisodeCache) -> Checked:
    """Build the missions and policies of the episodes that `cache` lacks, before anything is written; see `run_plan`.

    Raises `PolicyError`, `MissionError`, `StorageError`.
    """
    cache.check_writable()
    cache.bring(planned.spec for planned in plan.episodes)
    missing: dict[tuple[tuple[str, ...], str], PlannedEpisode] = {}
    for planned in plan.episodes:
        who = (tuple(policy.identity for policy in planned.spec.policies), planned.spec.config_hash)
        if who not in missing and not cache.has(planned.spec):
            missing[who] = planned
    return _check(list(missing.values()), plan, executor, cache, frozenset()) if missing else frozenset()


def record_replays(
    records: Iterable[EpisodeRecord], executor: Executor, cache: EpisodeCache, options: Options = PLAIN
) -> dict[str, Path]:
    """Replay files of `records`, by their keys: from the cache, else by playing the episodes again.

    Recording slows an episode down, so its time limit is at least `EPISODE_TIMEOUT`. An episode whose second result
    differs is logged: its policy is not reproducible.
    """
    wanted = [record for record in records if record.ok]
    missing = [record for record in wanted if not cache.has_replay(record.spec)]
    timeout = max(options.timeout or 0.0, EPISODE_TIMEOUT) if executor.isolated else None
    recording = replace(options, timeout=timeout, replay=True)
    for done in play_specs([record.spec for record in missing], executor, cache, recording):
        record, again = missing[done.position], done.record
        if done.replay is None:
            reason = again.failure.message if again.failure else "no reason recorded"
            logger.warning("no replay of %s on %s: %s", record.spec.name, record.spec.mission, reason)
            continue
        if again.result_hash != record.result_hash:
            logger.warning(
                "%s on %s, seed %d, gave a different result when replayed: this policy is not reproducible, and its "
                "replay differs from its record",
                record.spec.name,
                record.spec.mission,
                record.spec.seed,
            )
        else:
            cache.put(replace(record, replay_hash=again.replay_hash))
        cache.put_replay(record.spec, done.replay)
    cache.settle()
    paths = ((record.spec.key, cache.replay_path(record.spec)) for record in wanted)
    return {key: path for key, path in paths if path.exists()}


@dataclass(frozen=True, slots=True)
class _CheckTask:
    policy: Policy
    config: Path
    device: str


def _check(
    missing: Sequence[PlannedEpisode], plan: Plan, executor: Executor, cache: EpisodeCache, checked: Checked
) -> Checked:
    """Build every mission once, and every policy once for every mission, in workers; returns these pairs."""
    pairs = {
        (policy.identity, planned.spec.config_hash): (policy, planned.spec)
        for planned in missing
        for policy in planned.spec.policies
        if (policy.identity, planned.spec.config_hash) not in checked
    }
    unknown = {where for _, where in pairs}
    built = []
    for config_hash in dict.fromkeys(planned.spec.config_hash for planned in missing):
        mission = plan.by_hash[config_hash]
        path = cache.put_config(mission)
        if config_hash in unknown:
            built.append(_MissionTask(mission.name, mission.game, path, plan.seed))
    for done in executor.run(_check_mission, built, files=lambda: [task.config for task in built]):
        if done.failure is None:
            continue
        if isinstance(done.failure.error, DAFError):
            raise done.failure.error
        raise MissionError(f'mission "{built[done.position].name}" cannot be built: {done.failure.message}.')
    tasks = [_CheckTask(policy, config_path(cache, spec), spec.device) for policy, spec in pairs.values()]
    files = functools.partial(files_of_specs, [spec for _, spec in pairs.values()], cache)
    for done in executor.run(_check_task, tasks, files=files):
        if done.failure is None:
            continue
        if isinstance(done.failure.error, DAFError):
            raise done.failure.error
        policy = tasks[done.position].policy
        raise PolicyError(f'policy "{policy.name}" cannot be built: {done.failure.message}.')
    return frozenset(pairs)


@dataclass(frozen=True, slots=True)
class _MissionTask:
    name: str
    game: str | None
    config: Path
    seed: int


def _check_mission(task: _MissionTask) -> None:
    content = read_bytes(path_here(task.config))
    if content is None:
        raise EpisodeError(f"the mission's config {task.config} is missing.")
    check_runs(mission_of(task.name, task.game, content), seed=task.seed)


def _check_task(task: _CheckTask) -> None:
    check_policy(policy_at(task.policy, path_here), game_at(task.config), device=task.device)


def _report(on_record: OnRecord | None, record: EpisodeRecord) -> None:
    if on_record is not None:
        on_record(record)
