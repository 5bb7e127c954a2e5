"""Which task an episode plays: a pure function, the same in every process and on every machine.

The draw depends on (seed, environment, episode) and the weights only, so workers draw independently, in any order, and
a resumed run makes the same draws as an uninterrupted one.
"""

import hashlib
import struct

import numpy as np

from daf.core.curriculum.interface import FloatArray
from daf.errors import DataError

_MASK = 0xFFFF_FFFF_FFFF_FFFF


def draw(weights: FloatArray, seed: int, environment: int, episode: int) -> int:
    """The index drawn for the `episode`-th episode of `environment`, by inverting the cumulative sum of `weights`.

    weights: (tasks,), at least 0, their sum above 0 and not necessarily 1. A task of weight 0 is never drawn.
    Raises `DataError` if there is nothing to draw from.
    """
    total = weights.cumsum()
    if total.size == 0 or not 0.0 < total[-1] < np.inf:
        raise DataError(
            f"no task can be drawn from {total.size} weights that sum to {total[-1] if total.size else 0:g}."
        )
    # At most 1 - 2^-53 times the total: rounding may reach the total, which then means the last task with weight.
    position = uniform(seed, environment, episode) * total[-1]
    found = int(total.searchsorted(position, side="right"))
    return found if found < total.size else int(np.flatnonzero(weights)[-1])


def uniform(seed: int, environment: int, episode: int) -> float:
    """A number in [0, 1) determined by (seed, environment, episode): 53 bits of their BLAKE2b hash."""
    key = struct.pack("<QQQ", seed & _MASK, environment & _MASK, episode & _MASK)
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8, person=b"daf curriculum").digest(), "little")
    return (bits >> 11) * 2.0**-53
