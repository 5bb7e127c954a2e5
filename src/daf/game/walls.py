"""The walls of a mission's map, without playing.

The map is built as an episode with this seed builds it, so the walls are those of the episode. Importing this module
imports mettagrid.
"""

from collections.abc import Iterable

import numpy as np
from mettagrid import MettaGridConfig
from numpy.typing import NDArray

from daf.game.simulation import with_map_seed

WALL = "wall"


def common_walls(env: MettaGridConfig, seeds: Iterable[int]) -> NDArray[np.bool_]:
    """(height, width): cells that are walls in the episodes of all `seeds`; for a map with a fixed seed its walls."""
    found: NDArray[np.bool_] | None = None
    for seed in sorted(set(seeds)):
        seeded = with_map_seed(env, seed)
        walls = walls_of(seeded)
        found = walls if found is None else found & walls
        if seeded is env:  # every episode has this map
            break
    if found is None:
        raise ValueError("seeds must not be empty")
    return found


def walls_of(env: MettaGridConfig) -> NDArray[np.bool_]:
    """(height, width): cells of `env`'s map that are walls. env: its map seed resolved (`with_map_seed`)."""
    game = env.game
    return np.asarray(game.map_builder.create().build_for_num_agents(game.num_agents).grid == WALL)
