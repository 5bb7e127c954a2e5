"""The validation episodes of a bundle, in the confined process: DAF's engine, every step watched.

`play_episodes` is called by `daf.game.isolated` only. A failure of the policy is part of what it returns, so that the
episodes before it count.
"""

import math
import platform
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daf.errors import DAFError
from daf.processes.memory_use import peak_mib, resident_mib

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daf.game.policy import Policy
    from daf.game.rollout import Game
    from daf.game.watched_play import WatchedEpisode


@dataclass(frozen=True, slots=True)
class MissionRequest:
    """A mission to play. config: as JSON. criterion: of success; None without one."""

    name: str
    config: bytes
    config_hash: str
    max_steps: int
    criterion: str | None


@dataclass(frozen=True, slots=True)
class EpisodesRequest:
    """bundle: its folder, set up. name: of the policy. cache: for what resolving finds out. step_limit_ms: of a step
    of the game, all agents together. memory_mib: the limit that the process has.
    """

    bundle: Path
    name: str
    cache: Path
    missions: tuple[MissionRequest, ...]
    episodes: int
    seed: int
    step_limit_ms: float
    memory_mib: int


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Milliseconds that all agents together took for a step of the game. n: steps. over: steps beyond the limit."""

    n: int
    p50: float
    p90: float
    p99: float
    max: float
    over: int


@dataclass(slots=True)
class MissionFound:
    """Per episode: mean reward per agent, success (None without a criterion), steps and key."""

    name: str
    rewards: list[float] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlayFailure:
    """check: which one failed: "episodes", "actions" or "memory"."""

    check: str
    message: str


@dataclass(slots=True)
class EpisodesFound:
    """What the episodes showed. differences: of two episodes with one seed, a sentence each. memory in MiB: resident
    before the policy was loaded, after the first episode, at the end; and the peak.
    """

    missions: list[MissionFound]
    step_times: StepTimes | None = None
    actions: dict[str, int] = field(default_factory=dict)
    engine: str = ""
    differences: list[str] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    failure: PlayFailure | None = None


def play_episodes(request: EpisodesRequest) -> EpisodesFound:
    """Play every mission's episodes; the first one twice, to compare."""
    from daf.game import compat, policies
    from daf.game.mission import load_config
    from daf.game.rollout import Game

    compat.install()
    games = [Game(load_config(mission.config)) for mission in request.missions]
    found = EpisodesFound([MissionFound(mission.name) for mission in request.missions])
    found.memory["before"] = resident_mib()
    policy = replace(policies.resolve(request.bundle, cache=request.cache), name=request.name)
    times: list[NDArray[np.float64]] = []
    try:
        for mission, game, results in zip(request.missions, games, found.missions, strict=True):
            for number in range(request.episodes):
                watched = _play(game, policy, mission, request.seed + number, request.memory_mib)
                times.append(watched.step_ms)
                found.engine = watched.played.engine
                for action, count in watched.chosen.items():
                    found.actions[action] = found.actions.get(action, 0) + count
                _record(results, policy, mission, request.seed + number, watched)
                found.memory.setdefault("first", resident_mib())
                if number == 0:
                    found.differences += _played_again(game, policy, mission, request, watched)
                _progress(found, request)
    except _Failed as failed:
        found.failure = failed.failure
    found.memory |= {"end": resident_mib(), "peak": peak_mib()}
    if times:
        found.step_times = _step_times(np.concatenate(times), request.step_limit_ms)
    return found


class _Failed(Exception):
    """An episode had no result."""

    def __init__(self, failure: PlayFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _play(game: "Game", policy: "Policy", mission: MissionRequest, seed: int, memory_mib: int) -> "WatchedEpisode":
    from daf.game.step_watch import IllegalAction
    from daf.game.watched_play import play_watched

    try:
        return play_watched(game, policy, seed)
    except IllegalAction as error:
        raise _Failed(PlayFailure("actions", f"on {mission.name} (seed {seed}), {error}")) from error
    except MemoryError as error:
        message = f"on {mission.name} (seed {seed}), it needs more than the limit of {memory_mib} MiB of memory"
        raise _Failed(PlayFailure("memory", message)) from error
    except (Exception, SystemExit) as error:
        text = str(error) if isinstance(error, DAFError) else f"{type(error).__name__}: {error} ({_place(error)})"
        raise _Failed(PlayFailure("episodes", f"on {mission.name} (seed {seed}): {text}")) from error


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _record(
    results: MissionFound, policy: "Policy", mission: MissionRequest, seed: int, watched: "WatchedEpisode"
) -> None:
    from daf.episodes.record import from_played
    from daf.episodes.spec import EpisodeSpec
    from daf.mission_analysis.success import criterion

    agents = len(watched.played.outcome.rewards)
    spec = EpisodeSpec(mission.name, mission.config_hash, (policy,), (0,) * agents, seed, mission.max_steps)
    record = from_played(spec, watched.played, platform.node())
    reward = record.reward_per_agent()
    if not math.isfinite(reward):
        raise _Failed(PlayFailure("episodes", f"on {mission.name} (seed {seed}): its reward is {reward}"))
    results.rewards.append(reward)
    results.steps.append(record.played.steps)
    results.keys.append(spec.key)
    if mission.criterion is not None:
        results.successes.append(criterion(mission.criterion).fulfilled(record))


def _played_again(
    game: "Game", policy: "Policy", mission: MissionRequest, request: EpisodesRequest, first: "WatchedEpisode"
) -> list[str]:
    from daf.game.outcome import first_difference

    again = _play(game, policy, mission, request.seed, request.memory_mib).played.outcome
    if again == first.played.outcome:
        return []
    return [f"{mission.name} (seed {request.seed}): {first_difference(first.played.outcome, again)}"]


def _progress(found: EpisodesFound, request: EpisodesRequest) -> None:
    from daf.game import isolated

    played = sum(len(mission.rewards) for mission in found.missions)
    isolated.report(f"{played} {request.episodes * len(request.missions)}")


def _step_times(step_ms: "NDArray[np.float64]", limit: float) -> StepTimes | None:
    if not len(step_ms):
        return None
    p50, p90, p99 = np.quantile(step_ms, [0.5, 0.9, 0.99]).tolist()
    over = int((step_ms > limit).sum())
    return StepTimes(n=len(step_ms), p50=p50, p90=p90, p99=p99, max=float(step_ms.max()), over=over)
