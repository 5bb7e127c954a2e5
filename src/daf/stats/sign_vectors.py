"""Sign vectors that nest: the same block has the same signs at every look, in every run, in whatever order it arrives.

A vector gives every block a sign, +1 or -1. Vector 0 is the identity, the data as they are. The signs of a block are
drawn from a generator keyed by the hash of its mission and its seed, so that a vector at one look continues the vector
at the look before, and more vectors continue fewer. Few blocks are enumerated instead: every vector once.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from daf.stats.arrays import FloatArray

ENUMERATED = 12
"""Up to this number of blocks, all 2^n vectors are used."""

Block = tuple[str, int]
"""Hash of the mission, seed."""


def drawn(blocks: Sequence[Block], vectors: int) -> FloatArray:
    """(n_blocks, 1 + vectors) of +1 and -1: the identity and `vectors` random ones."""
    signs = np.ones((len(blocks), 1 + vectors))
    size = -(-vectors // 8)
    for row, (mission, seed) in zip(signs, blocks, strict=True):
        key = blake2b(f"{mission} {seed}".encode(), digest_size=16, person=b"sign vectors")
        bits = np.random.Generator(np.random.Philox(key=int.from_bytes(key.digest(), "little"))).bytes(
            8 * -(-size // 8)
        )
        row[1:] -= 2.0 * np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=vectors)
    return signs


def enumerated(n_blocks: int) -> FloatArray:
    """(n_blocks, 2^n_blocks) of +1 and -1: every vector, the identity first."""
    numbers = np.arange(2**n_blocks)[None, :]
    flipped = ((numbers >> np.arange(n_blocks)[:, None]) & 1).astype(np.float64)
    return 1.0 - 2.0 * flipped
