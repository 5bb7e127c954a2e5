"""Every random draw of an episode is determined by its specification.

Upstream's `random` draws from Python's global generator, its untrained networks from torch's, and nobody seeds them.
Here the global generators (Python, numpy, and torch if it is loaded) are seeded during an episode and restored
afterwards. A policy's own draws at construction (an untrained network's weights) depend on the policy alone, so that
it is the same network in every episode; draws during play depend on the episode's seed.
"""

import contextlib
import hashlib
import random
import sys
from collections.abc import Iterator

import numpy as np


def seed_everything(*parts: str | int) -> None:
    """Seed the global generators from `parts`; equal parts give equal draws, other parts unrelated ones."""
    digest = hashlib.sha256("\x00".join(str(part) for part in parts).encode()).digest()
    random.seed(digest)
    np.random.seed(np.frombuffer(digest, dtype=np.uint32))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(int.from_bytes(digest[:8], "little", signed=True))


@contextlib.contextmanager
def own_generators() -> Iterator[None]:
    """Restore the global generators when the block ends."""
    python, numeric = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    tensors = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numeric)
        if torch is not None:
            torch.set_rng_state(tensors)
