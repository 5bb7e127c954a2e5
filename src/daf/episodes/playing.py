"""Episodes on an executor: specs in, records out, in the order in which they finish.

Episodes whose networks can be called together run in groups of one mission; a group whose worker dies or hangs is
played again one by one, so that only the episode at fault is lost. An exception of a policy, a time-out, a crash and a
reward that is not finite become a record with a failure.
"""

import functools
import math
import platform
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.compute.carried import path_here
from daf.compute.interface import Executor, Failure
from daf.episodes.cache import EpisodeCache
from daf.episodes.record import EpisodeFailure, EpisodeRecord, from_played
from daf.episodes.spec import EpisodeSpec
from daf.errors import EpisodeError
from daf.game.device import limit_gpu_memory
from daf.game.mission import load_config
from daf.game.policy_files import files_of, policy_at
from daf.game.rollout import Game, Play, PlayedEpisode, play, play_together
from daf.storage.reading import read_bytes

LARGEST_GROUP = 16
"""Maximum episodes per task: more gain nothing and make the loss of a worker more expensive."""


@dataclass(frozen=True, slots=True)
class Options:
    """How episodes are played, in addition to their specs.

    engine: for episodes that are not batched. timeout: seconds per episode, if the executor can end a task.
    gpu_memory_fraction: of a GPU's memory, per worker. replay: record it.
    """

    engine: str = "auto"
    timeout: float | None = None
    gpu_memory_fraction: float = 1.0
    replay: bool = False


@dataclass(frozen=True, slots=True)
class FinishedEpisode:
    """A finished episode: its position among the specs, its record, and the replay if one was requested."""

    position: int
    record: EpisodeRecord
    replay: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """The input of a worker: episodes of one mission, several only if they are batched."""

    specs: tuple[EpisodeSpec, ...]
    config: Path
    options: Options


@dataclass(frozen=True, slots=True)
class _Result:
    """What a worker played, and the name of its machine."""

    episodes: list[PlayedEpisode | EpisodeFailure]
    host: str


def play_specs(
    specs: Sequence[EpisodeSpec], executor: Executor, cache: EpisodeCache, options: Options
) -> Iterator[FinishedEpisode]:
    """Play every spec. Configs must be in `cache`."""
    if not specs:
        return  # before the executor is asked for anything: it may have to start a cluster
    singles = [[position] for position, spec in enumerate(specs) if not spec.batched]
    groups = _groups(specs, executor.jobs)
    again: list[list[int]] = []
    for batch, timeout in ((groups, _times(options.timeout, LARGEST_GROUP)), (singles, options.timeout)):
        for positions, result, failure in _run(batch, specs, executor, cache, options, timeout):
            if failure is not None and len(positions) > 1:
                again += [[position] for position in positions]
            else:
                yield from _finished(positions, specs, result, failure)
    for positions, result, failure in _run(again, specs, executor, cache, options, options.timeout):
        yield from _finished(positions, specs, result, failure)


def _groups(specs: Sequence[EpisodeSpec], jobs: int) -> list[list[int]]:
    """Positions of batched specs, by mission, device and recording, split so that every worker has some."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, spec in enumerate(specs):
        if spec.batched:
            alike.setdefault((spec.config_hash, spec.device, spec.threads), []).append(position)
    groups = []
    for positions in alike.values():
        size = min(LARGEST_GROUP, max(1, math.ceil(len(positions) / (2 * jobs))))
        groups += [positions[start : start + size] for start in range(0, len(positions), size)]
    return groups


def _times(timeout: float | None, factor: int) -> float | None:
    return None if timeout is None else timeout * factor


def _run(
    batch: list[list[int]],
    specs: Sequence[EpisodeSpec],
    executor: Executor,
    cache: EpisodeCache,
    options: Options,
    timeout: float | None,
) -> Iterator[tuple[list[int], _Result | None, Failure | None]]:
    configs = {spec.config_hash: config_path(cache, spec) for spec in specs}
    tasks = [
        _Task(tuple(specs[position] for position in positions), configs[specs[positions[0]].config_hash], options)
        for positions in batch
    ]
    played = [specs[position] for positions in batch for position in positions]
    files = functools.partial(files_of_specs, played, cache)
    for done in executor.run(_play_task, tasks, timeout=timeout, files=files):
        yield batch[done.position], done.value, done.failure


def files_of_specs(specs: Iterable[EpisodeSpec], cache: EpisodeCache) -> list[Path]:
    """Everything that playing `specs` reads: the configs of their missions, the code and weights of their policies."""
    configs = {spec.config_hash: config_path(cache, spec) for spec in specs}
    policies = {policy.identity: policy for spec in specs for policy in spec.policies}
    return [*configs.values(), *(path for policy in policies.values() for path in files_of(policy))]


def config_path(cache: EpisodeCache, spec: EpisodeSpec) -> Path:
    """The path in `cache` of the config of the spec's mission."""
    return cache.root / "configs" / f"{spec.config_hash}.json"


def _finished(
    positions: list[int], specs: Sequence[EpisodeSpec], result: _Result | None, failure: Failure | None
) -> Iterator[FinishedEpisode]:
    if result is None:
        cause = failure or Failure("error", "it returned nothing")
        kind = "policy" if cause.kind == "error" else cause.kind
        result = _Result([EpisodeFailure(kind, cause.message, cause.traceback)] * len(positions), platform.node())
    for position, played in zip(positions, result.episodes, strict=True):
        yield _record(position, specs[position], played, result.host)


def _record(position: int, spec: EpisodeSpec, played: PlayedEpisode | EpisodeFailure, host: str) -> FinishedEpisode:
    if isinstance(played, EpisodeFailure):
        return FinishedEpisode(position, EpisodeRecord(spec, None, played))
    rewards = played.outcome.rewards
    odd = [f"agent {agent}: {reward}" for agent, reward in enumerate(rewards) if not math.isfinite(reward)]
    if odd:
        message = f"its rewards must be finite numbers, got {', '.join(odd)}"
        return FinishedEpisode(position, EpisodeRecord(spec, None, EpisodeFailure("reward", message)))
    return FinishedEpisode(position, from_played(spec, played, host), played.replay)


def _play_task(task: _Task) -> _Result:
    """Runs in a worker."""
    limit_gpu_memory(task.specs[0].device, task.options.gpu_memory_fraction)
    plays = [_play_of(spec, task) for spec in task.specs]
    if not task.specs[0].batched:
        return _Result([play(plays[0])], platform.node())
    together = play_together(plays)
    return _Result(
        [_failure(result) if isinstance(result, Exception) else result for result in together], platform.node()
    )


def _failure(error: Exception) -> EpisodeFailure:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return EpisodeFailure("policy", f"{type(error).__name__}: {error}", "".join(lines))


def _play_of(spec: EpisodeSpec, task: _Task) -> Play:
    return Play(
        game=game_at(task.config),
        policies=tuple(policy_at(policy, path_here) for policy in spec.policies),
        assignment=spec.assignment,
        seed=spec.seed,
        device=spec.device,
        threads=spec.threads,
        enforce_timeouts=spec.enforce_timeouts,
        slow_step_ms=spec.slow_step_ms,
        series=spec.series,
        replay=task.options.replay,
        engine="batch" if spec.batched else task.options.engine,
    )


_games: dict[Path, Game] = {}
_GAMES_KEPT = 8


def game_at(path: Path) -> Game:
    """The game whose config was stored at `path`, kept for its next episode: the file is named by its own hash."""
    path = path_here(path)
    if path not in _games:
        while len(_games) >= _GAMES_KEPT:
            del _games[next(iter(_games))]
        content = read_bytes(path)
        if content is None:
            raise EpisodeError(f"the mission's config {path} is missing.")
        _games[path] = Game(load_config(content))
    return _games[path]
