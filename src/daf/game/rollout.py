"""Play an episode: from its specification to its result.

The same `Play` gives the same `Outcome`, in any process and next to any other work, for policies that draw only from
Python's, numpy's or torch's global generators or from the seed, and compute on one kind of device with one number of
threads.
"""

import functools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from daf.errors import PolicyError, UsageError, unknown
from daf.game import compat
from daf.game.known_policies import BATCHED
from daf.game.outcome import SLOW_STEP_MS, Outcome, SeriesRequest
from daf.game.policy import Policy
from daf.game.policy_loading import build
from daf.game.seeding import own_generators, seed_everything
from daf.storage.hashing import hash_bytes

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig
    from mettagrid.policy.policy import MultiAgentPolicy

    from daf.game._batch_episode import BatchPlay
    from daf.game._series import SeriesRecorder
    from daf.game.simulation import Converted

ENGINES = ("auto", "batch", "object", "reference")


class Game:
    """A mission's config, and its simulator's form, converted once for all its episodes (60 to 250 ms)."""

    def __init__(self, config: "MettaGridConfig") -> None:
        self.config = config

    @functools.cached_property
    def converted(self) -> "Converted":
        """The converted game that all its episodes share."""
        from daf.game.simulation import convert

        return convert(self.config)


@dataclass(frozen=True, slots=True)
class Play:
    """One episode to play.

    game: the mission's config as it is (its map follows `seed` if it has no map seed). assignment: index
    into `policies` for each agent. enforce_timeouts: enforced if it is not None. engine: "batch", "object",
    "reference", or "auto" for the object engine if the policies allow it. The batch engine plays another episode
    than the others, drawn from the same distribution; the other two play the same.
    """

    game: Game
    policies: tuple[Policy, ...]
    assignment: tuple[int, ...]
    seed: int
    device: str = "cpu"
    threads: int = 1
    enforce_timeouts: int | None = None
    slow_step_ms: float = SLOW_STEP_MS
    series: SeriesRequest | None = None
    replay: bool = False
    engine: str = "auto"


@dataclass(frozen=True, slots=True)
class PlayedEpisode:
    """The result. replay: the replay file's bytes, if requested. seconds: (set-up, play), measured."""

    outcome: Outcome
    engine: str
    set_up_seconds: float
    play_seconds: float
    replay: bytes | None = None
    replay_hash: str | None = None


def batchable(policies: Sequence[Policy], enforce_timeouts: int | None) -> bool:
    """Whether batching has an advantage for an episode of these policies. Imports nothing."""
    return enforce_timeouts is None and any(policy.class_path in BATCHED for policy in policies)


def play(episode: Play) -> PlayedEpisode:
    """Play one episode. Exceptions of a policy pass through; its set-up raises `PolicyError`."""
    compat.install()
    if episode.engine not in ENGINES:
        raise UsageError(unknown("engine", episode.engine, ENGINES))
    if episode.engine == "batch":
        result = play_together([episode])[0]
        if isinstance(result, Exception):
            raise result
        return result
    with own_generators():
        if episode.engine == "reference":
            return _play(episode, "reference")
        from daf.game.observations import TokenMutation

        try:
            return _play(episode, "object")
        except (TokenMutation, _OnlyReference) as error:
            if episode.engine == "object":
                raise PolicyError(f"the object engine can't play this: {error} Use --engine reference.") from error
            return _play(episode, "reference")


def play_together(episodes: Sequence[Play]) -> list[PlayedEpisode | Exception]:
    """Play episodes of one game in the batch engine: the result or exception of each, in order.

    Networks of one policy are one object for all of them. An episode that the batch engine can't play, because a policy
    changes its observations, is played by the reference engine.
    """
    compat.install()
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game.batch_rollout import play_batch
    from daf.game.observations import TokenMutation

    with own_generators():
        started = perf_counter()
        game = episodes[0].game
        interface = PolicyEnvInterface.from_mg_cfg(game.config)
        networks: dict[str, MultiAgentPolicy] = {}
        seats = [_Seat(episode, interface, networks) for episode in episodes]
        ready = perf_counter()
        outcomes = play_batch([seat.batch_play() for seat in seats])
        each = (perf_counter() - ready) / len(episodes)
        set_up = (ready - started) / len(episodes)
        results: list[PlayedEpisode | Exception] = []
        for seat, outcome in zip(seats, outcomes, strict=True):
            if isinstance(outcome, TokenMutation):
                results.append(_play(seat.episode, "reference"))
            elif isinstance(outcome, Exception):
                results.append(outcome)
            else:
                results.append(_played(outcome, "batch", set_up, each, seat.writer, seat.recorder))
        return results


class _Seat:
    """An episode in a batch: its policies, and the handlers of its latest try."""

    def __init__(self, episode: Play, interface: Any, networks: "dict[str, MultiAgentPolicy]") -> None:
        self.episode = episode
        self._interface = interface
        self._networks = networks
        self.writer: Any = None
        self.recorder: SeriesRecorder | None = None

    def batch_play(self) -> "BatchPlay":
        from daf.game._batch_episode import BatchPlay
        from daf.game.simulation import with_map_seed

        episode = self.episode
        return BatchPlay(
            env=with_map_seed(episode.game.config, episode.seed),
            build=self._build,
            assignment=episode.assignment,
            seed=episode.seed,
            policy_names=[policy.name for policy in episode.policies],
            converted=episode.game.converted,
            handlers=self._handlers,
            slow_step_ms=episode.slow_step_ms,
        )

    def _build(self) -> "list[MultiAgentPolicy]":
        import torch

        torch.set_num_threads(self.episode.threads)
        built = []
        for policy in self.episode.policies:
            shared = self._networks.get(policy.identity)
            if shared is None:
                seed_everything("policy", policy.identity)
                shared = build(policy, self._interface, device=self.episode.device)
                if policy.class_path in BATCHED:
                    self._networks[policy.identity] = shared
            built.append(shared)
        seed_everything("episode", self.episode.seed)
        return built

    def _handlers(self) -> list[Any]:
        self.writer, self.recorder, handlers = _handlers(self.episode)
        return handlers


class _OnlyReference(Exception):
    """A policy declares that it needs the reference engine."""


def _play(episode: Play, engine: str) -> PlayedEpisode:
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game._reference_rollout import play_reference
    from daf.game.object_rollout import play_object, unsupported
    from daf.game.simulation import with_map_seed

    started = perf_counter()
    env = with_map_seed(episode.game.config, episode.seed)
    policies = build_policies(episode, PolicyEnvInterface.from_mg_cfg(env))
    reasons = [reason for reason in map(unsupported, policies) if reason is not None]
    if engine == "object" and reasons:
        raise _OnlyReference(reasons[0])
    converted = episode.game.converted if engine == "object" else None
    writer, recorder, handlers = _handlers(episode)
    seed_everything("episode", episode.seed)
    ready = perf_counter()
    play_with = functools.partial(play_object, converted=converted) if engine == "object" else play_reference
    outcome = play_with(
        env,
        policies,
        episode.assignment,
        seed=episode.seed,
        policy_names=[policy.name for policy in episode.policies],
        enforce_timeouts=episode.enforce_timeouts,
        slow_step_ms=episode.slow_step_ms,
        handlers=handlers,
    )
    return _played(outcome, engine, ready - started, perf_counter() - ready, writer, recorder)


def _handlers(episode: Play) -> "tuple[Any, SeriesRecorder | None, list[Any]]":
    """New handlers for the requested recordings: the replay's writer, the series' recorder, and both."""
    from mettagrid.simulator.replay_log_writer import InMemoryReplayWriter

    from daf.game._series import SeriesRecorder

    writer = InMemoryReplayWriter() if episode.replay else None  # type: ignore[no-untyped-call]
    recorder = SeriesRecorder(episode.series) if episode.series is not None else None
    return writer, recorder, [handler for handler in (writer, recorder) if handler is not None]


def _played(
    outcome: Outcome,
    engine: str,
    set_up_seconds: float,
    play_seconds: float,
    writer: Any,
    recorder: "SeriesRecorder | None",
) -> PlayedEpisode:
    if recorder is not None:
        outcome = replace(outcome, series=recorder.series())
    replay, replay_hash = _replay_bytes(writer) if writer is not None else (None, None)
    return PlayedEpisode(outcome, engine, set_up_seconds, play_seconds, replay, replay_hash)


def build_policies(episode: Play, env_interface: Any) -> "Sequence[MultiAgentPolicy]":
    """New policy objects for one episode, each drawn from its own identity."""
    if any(policy.network for policy in episode.policies):
        import torch

        torch.set_num_threads(episode.threads)
    built = []
    for policy in episode.policies:
        seed_everything("policy", policy.identity)
        built.append(build(policy, env_interface, device=episode.device))
    return built


def _replay_bytes(writer: Any) -> tuple[bytes, str]:
    data = json.dumps(writer.get_completed_replays()[0].get_replay_data()).encode()
    return zlib.compress(data), hash_bytes(data)


def check_policy(policy: Policy, game: Game, *, device: str = "cpu") -> None:
    """Build `policy` once for a mission, with its weights. Raises `PolicyError`."""
    compat.install()
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    with own_generators():
        build(policy, PolicyEnvInterface.from_mg_cfg(game.config), device=device)
