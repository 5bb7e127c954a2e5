"""Play an episode of one policy, and watch each of its steps: time, legality, choice of actions.

Called in a separate process only, where the policy may do to its process what it wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.game.policy import Policy
from daf.game.rollout import Game, Play, PlayedEpisode, build_policies
from daf.game.step_watch import StepWatch

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class WatchedEpisode:
    """step_ms: milliseconds of each step of the game that all agents together took. chosen: actions, with counts."""

    played: PlayedEpisode
    step_ms: "NDArray[np.float64]"
    chosen: Mapping[str, int]


def play_watched(game: Game, policy: Policy, seed: int) -> WatchedEpisode:
    """Play the mission of `game` with `policy` as every agent, with the result that `daf.game.rollout.play` has.

    Raises what the policy raises, and `IllegalAction`.
    """
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game._reference_rollout import play_reference
    from daf.game.object_rollout import play_object, unsupported
    from daf.game.observations import TokenMutation
    from daf.game.seeding import own_generators, seed_everything
    from daf.game.simulation import with_map_seed

    env = with_map_seed(game.config, seed)
    interface = PolicyEnvInterface.from_mg_cfg(env)
    legal = frozenset(interface.action_names), frozenset(interface.vibe_action_names)
    play = Play(game, (policy,), (0,) * env.game.num_agents, seed)

    def once(engine: str) -> WatchedEpisode:
        started = perf_counter()
        built = build_policies(play, interface)[0]
        engine = "reference" if unsupported(built) is not None else engine
        watch = StepWatch(built, *legal)
        seed_everything("episode", seed)
        shared: dict[str, Any] = {"seed": seed, "policy_names": [policy.name], "enforce_timeouts": None}
        ready = perf_counter()
        if engine == "object":
            outcome = play_object(env, [built], play.assignment, converted=game.converted, **shared)
        else:
            outcome = play_reference(env, [built], play.assignment, **shared)
        played = PlayedEpisode(outcome, engine, ready - started, perf_counter() - ready)
        return WatchedEpisode(played, watch.game_steps_ms(), watch.chosen)

    with own_generators():
        try:
            return once("object")
        except TokenMutation:
            return once("reference")
