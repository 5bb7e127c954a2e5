"""A game's simulation, assembled from parts that its episodes share.

`convert` turns a mission's configuration into the simulator's own once; `with_map_seed` gives the episode's
configuration without copying what stays the same; `Simulation` is upstream's, built from both, with a `step` that does
not keep a stopwatch. That these parts can be shared is tested: episodes are equal with and without.

Importing this module imports mettagrid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mettagrid.config.action_config import CHANGE_VIBE_PREFIX
from mettagrid.config.mettagrid_c_config import convert_to_cpp_game_config, rename_map_agents
from mettagrid.config.mettagrid_config import GameConfig, MettaGridConfig
from mettagrid.map_builder.map_builder import HasSeed
from mettagrid.mettagrid_c import MettaGrid
from mettagrid.profiling.stopwatch import Stopwatch
from mettagrid.simulator import simulator as upstream
from mettagrid.simulator.interface import SimulatorEventHandler
from mettagrid.simulator.talk import TalkChannel

from daf.game.observations import TokenTable


@dataclass(frozen=True, slots=True)
class Converted:
    """What all episodes of one game share: everything but the map and the seed.

    game: the configuration that was converted, completed as the conversion completes it (vibe names, a list of agents).
    config: the simulator's form of it. renames: map cells that stand for several agents, with the cells that replace
    them. tokens: the observation tokens met so far.
    """

    game: GameConfig
    config: Any
    renames: dict[str, list[str]]
    action_names: tuple[str, ...]
    tokens: TokenTable = field(repr=False)

    def matches(self, game: GameConfig) -> bool:
        """Whether `game` is this one, but for its map: the very same parts, or equal ones."""
        mine = self.game
        for name in GameConfig.model_fields:
            ours, theirs = getattr(mine, name), getattr(game, name)
            if name == "map_builder" or ours is theirs or ours == theirs:
                continue
            if name == "agents" and not theirs and mine.agent == game.agent:
                continue
            if name == "vibe_names" and not theirs:
                continue
            return False
        return True


def convert(env: MettaGridConfig) -> Converted:
    """Convert `env`'s game for the simulator (some 60 to 90 ms); `env` itself stays as it is."""
    game = env.game.model_copy()
    config, renames = convert_to_cpp_game_config(game)
    return Converted(
        game=game,
        config=config,
        renames=renames,
        action_names=tuple(action.name for action in game.actions.actions()),
        tokens=TokenTable(game.id_map().features()),
    )


def with_map_seed(env: MettaGridConfig, seed: int) -> MettaGridConfig:
    """`env` for the episode with this seed: where the map's own seed is unset, it is the episode's.

    Upstream's `resolve_env_for_seed` gives an equal one by a deep copy (30 ms); here all but the map is shared.
    """
    builder = env.game.map_builder
    if not isinstance(builder, HasSeed) or builder.seed is not None:
        return env
    seeded = builder.model_copy(deep=True)
    seeded.seed = int(seed)
    return env.model_copy(update={"game": env.game.model_copy(update={"map_builder": seeded})})


class Simulation(upstream.Simulation):
    """Upstream's `Simulation` from a converted game; handlers and policies meet all its names.

    Its `_timer` runs, but `step` is not timed: code that reads `sim.step` times from the stopwatch finds none.
    """

    def __init__(
        self, env: MettaGridConfig, converted: Converted, seed: int, handlers: Sequence[SimulatorEventHandler]
    ) -> None:
        """env: its map seed resolved. Raises `ValueError` if `converted` is another game's."""
        if not converted.matches(env.game):
            raise ValueError("the converted game is not that of the episode's configuration")
        completed = {"vibe_names": converted.game.vibe_names, "agents": converted.game.agents}
        game = env.game.model_copy(update=completed)
        self._config = env.model_copy(update={"game": game})
        self._seed = seed
        self._event_handlers = list(handlers)
        self._simulator = None
        self._maps_cache = None
        self._context: dict[str, Any] = {}
        for handler in self._event_handlers:
            handler.set_simulation(self)
        self._timer = Stopwatch()
        self._timer.start()

        cells = game.map_builder.create().build_for_num_agents(game.num_agents).grid.tolist()
        if converted.renames:
            cells = rename_map_agents(cells, converted.renames)
        c_sim = MettaGrid(converted.config, cells, seed)
        self._Simulation__c_sim = c_sim

        self._action_names = list(converted.action_names)
        self._action_ids = {name: index for index, name in enumerate(self._action_names)}
        self._vibe_action_names = [name for name in self._action_names if name.startswith(CHANGE_VIBE_PREFIX)]
        self._vibe_action_ids = {name: self._action_ids[name] for name in self._vibe_action_names}
        self._vibe_action_name_set = set(self._vibe_action_names)
        self._features = dict(converted.tokens.features)
        self._talk_channel = TalkChannel(game.talk)
        self._agent_locations_by_id = {}
        self._agent_locations_step = -1
        self._start_episode()

    def step(self) -> bool:
        """One tick of the game, then talk, then the handlers, which are also notified of the end of the episode.

        Returns whether it has ended, since asking again takes longer than the rest of this method.
        """
        self._Simulation__c_sim.step()
        if self._config.game.talk.enabled:
            now = self.current_step
            self._talk_channel.apply_pending(current_step=now)
            self._talk_channel.expire(current_step=now)
        for handler in self._event_handlers:
            handler.on_step()
        done = self.is_done()
        if done:
            for handler in self._event_handlers:
                handler.on_episode_end()
        return done
