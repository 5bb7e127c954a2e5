"""From names and settings to a plan: the checks that precede every operation that plays episodes."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from daf.compute.executor import EXECUTORS, make_executor
from daf.compute.interface import THIS_MACHINE
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, Plan, PlannedEpisode, plan_episodes
from daf.episodes.run import preload_of
from daf.errors import DAFError, MissionError, UsageError, unknown
from daf.game import missions as game_missions
from daf.game.device import check_device_name, resolve_device
from daf.game.mission import Mission
from daf.game.policy import Policy
from daf.game.rollout import ENGINES
from daf.playing.settings import SAVE_REPLAYS, Settings
from daf.storage import remote


def check_settings(settings: Settings) -> None:
    """Raise `UsageError` for unknown choices and numbers out of range."""
    if settings.save_replays not in SAVE_REPLAYS:
        raise UsageError(unknown("choice for --save-replays", settings.save_replays, SAVE_REPLAYS))
    if isinstance(settings.enforce_timeouts, bool):
        raise UsageError(f"--enforce-timeouts must be a number of milliseconds, got {settings.enforce_timeouts}.")
    for option, number in (
        ("--episode-timeout", settings.episode_timeout),
        ("--max-failures", settings.max_failures),
        ("--enforce-timeouts", settings.enforce_timeouts),
    ):
        if number is not None and not number > 0:
            raise UsageError(f"{option} {number:g} is not above 0.")
    if settings.executor not in EXECUTORS:
        raise UsageError(unknown("executor", settings.executor, EXECUTORS))
    if settings.executor != "ray" and settings.cluster != THIS_MACHINE:
        raise UsageError(
            f"--address, --cpus-per-episode, --gpus-per-episode and --allow-version-mismatch need --executor ray, got "
            f"--executor {settings.executor}."
        )
    if settings.engine not in ENGINES:
        raise UsageError(unknown("engine", settings.engine, ENGINES))
    check_device_name(settings.device)


def default_cache(base_dir: str | Path) -> Path:
    """Directory of the shared records: `DAF_CACHE_DIR`, a path or a URL, else next to the runs."""
    named = os.environ.get("DAF_CACHE_DIR")
    return remote.local(named) if named else remote.below(base_dir, "cache")


def cache_of(settings: Settings, base_dir: str | Path) -> EpisodeCache:
    """The cache given in the settings, else that of the output directory `base_dir`."""
    return EpisodeCache(settings.cache_dir or default_cache(base_dir), enabled=settings.use_cache)


def missions_of(missions: Any, settings: Settings, players: Iterable[Policy] | None = None) -> list[Mission]:
    """Resolve `missions`, with the step limit of the settings for those without one. Raises `MissionError`.

    players: the policies that will play them in worker processes; missions that were not resolved before are then
    resolved in such a process, so that the game is imported only once, by the server that they are all forked from.
    """
    in_worker = None
    if players is not None and settings.executor == "local":
        in_worker = functools.partial(_in_worker, list(players))
    found = game_missions.resolve(missions, game=settings.game, elsewhere=in_worker)
    if settings.max_steps is None:
        return found
    return game_missions.each_once(game_missions.with_default_steps(mission, settings.max_steps) for mission in found)


def _in_worker(players: Sequence[Policy], function: Callable[[Any], Any], argument: Any) -> Any:
    preload = preload_of(players, networks=any(policy.network for policy in players))
    with contextlib.closing(make_executor("local", jobs=1, preload=preload)) as executor:
        (done,) = executor.run(function, [argument])
    if done.failure is None:
        return done.value
    if isinstance(done.failure.error, DAFError):
        raise done.failure.error
    raise MissionError(f"resolving the mission failed: {done.failure.message}.")


def plan_of(
    missions: Sequence[Mission], contenders: Sequence[Contender], settings: Settings, *, first: int = 0
) -> Plan:
    """Plan the episodes from `first` according to the settings. Raises `UsageError`, also for an unavailable device."""
    return plan_episodes(
        missions,
        contenders,
        episodes=settings.episodes,
        seed=settings.seed,
        device=resolve_device(settings.device, gpu_allowed=settings.gpu_allowed) if has_networks(contenders) else "cpu",
        enforce_timeouts=settings.enforce_timeouts,
        slow_step_ms=settings.slow_step_ms,
        series=settings.series,
        engine=settings.engine,
        first=first,
    )


def plan_teams(
    missions: Sequence[Mission],
    teams: Sequence[Sequence[Contender]],
    settings: Settings,
    *,
    first: int = 0,
) -> Plan:
    """One plan in which every mission has separate teams (`teams[mission]`), all on the same seeds.

    If two teams of a mission have the same number of agents, each episode shuffles their places by the same
    permutation: team "3 of A, 1 of B" differs from "2 of A, 2 of B" in one agent. Differences between teams are
    therefore paired, and few episodes suffice to show small effects.
    """
    contenders: list[Contender] = []
    planned: list[PlannedEpisode] = []
    for mission, there in zip(missions, teams, strict=True):
        plan = plan_of([mission], there, settings, first=first)
        contenders += [contender for contender in there if contender not in contenders]
        place = [contenders.index(contender) for contender in there]
        planned += [PlannedEpisode(item.index, place[item.contender], item.spec) for item in plan.episodes]
    return Plan(tuple(missions), tuple(contenders), tuple(planned), settings.seed)


def has_networks(contenders: Sequence[Contender]) -> bool:
    """Whether any policy of these is a network, which plays on a device and needs torch."""
    return any(policy.network for contender in contenders for policy in contender.policies)
