"""How often an agent has had the same view in an episode, so that repeated states can count less, or end it.

A view is what an agent's observation names: the tags of every cell, and which things the agent itself carries, not how
many. Numbers that change by themselves (the time, health, the last action) are left out: an agent that walks to and
fro in a corner has two views.

Importing this module imports mettagrid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.game.observations import END

_SEED = 0


class Views:
    """The views of the agents of one episode.

    counts: (agents,) how often each agent has had its last view, that one included. unchanged: the number of
    observations since an agent had a view for the first time.
    """

    def __init__(self, interface: PolicyEnvInterface, agents: int) -> None:
        names = {feature.name: feature.id for feature in interface.obs_features}
        height, width = interface.egocentric_shape
        # A view's key is a sum of products of random odd numbers, one for the place and one for the thing there: the
        # order of tokens doesn't matter, and two views share a key with a chance of about 1 in 2⁶³.
        generator = np.random.default_rng(_SEED)
        self._places = _odd(generator, 256)
        things = np.zeros((256, 256), dtype=np.uint64)
        if "tag" in names:
            things[names["tag"]] = _odd(generator, 256)
        self._carried = np.zeros(256, dtype=bool)
        for name, feature in sorted(names.items()):
            if name.startswith("inv:"):
                things[feature, 1:] = _odd(generator, 1)
                self._carried[feature] = True
        self._named = things.any(axis=1)
        self._things = things.ravel()
        self._own = (height // 2) << 4 | width // 2
        self._seen: list[dict[int, int]] = [{} for _ in range(agents)]
        self.counts = np.zeros(agents, dtype=np.int32)
        self.unchanged = 0

    def look(self, observations: npt.NDArray[np.uint8]) -> None:
        """Count the views of (agents, tokens, 3) observations."""
        place, feature = observations[:, :, 0], observations[:, :, 1]
        longest = int((feature != END).sum(axis=1).max(initial=0))
        feature = feature[:, :longest]
        counted = self._named[feature] & ((place[:, :longest] == self._own) | ~self._carried[feature])
        agent, at = counted.nonzero()
        tokens = observations[agent, at].astype(np.intp)
        keys = np.zeros(len(self._seen), dtype=np.uint64)
        terms = self._places[tokens[:, 0]] * self._things[tokens[:, 1] << 8 | tokens[:, 2]]
        np.add.at(keys, agent, terms)
        for number, key in enumerate(keys.tolist()):
            seen = self._seen[number]
            self.counts[number] = seen[key] = seen.get(key, 0) + 1
        self.unchanged = 0 if (self.counts == 1).any() else self.unchanged + 1


def _odd(generator: np.random.Generator, count: int) -> npt.NDArray[np.uint64]:
    found: npt.NDArray[np.uint64] = generator.integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return found
