"""Rewards of known truth for simulations: six shapes that missions show, one more that no interval handles, and blocks.

A block's difficulty is shared by all policies that play it, as map and seed are; it is what pairing takes out.
"""

import numpy as np
from numpy.typing import NDArray

SHAPES = ("normal", "heavy-tailed", "zero-inflated", "tied", "bimodal", "bounded")

MEANS = {
    "normal": 0.0,
    "heavy-tailed": 0.0,
    "zero-inflated": 0.2,
    "tied": 1.5,
    "bimodal": 0.0,
    "bounded": 0.4,
    "lognormal": float(np.exp(0.5)),
}

SPREADS = {
    "normal": 1.0,
    "heavy-tailed": 3.0**0.5,
    "zero-inflated": 0.6,
    "tied": 1.25**0.5,
    "bimodal": 4.09**0.5,
    "bounded": 0.2,
    "lognormal": float(np.sqrt((np.e - 1) * np.e)),
}


def draw(shape: str, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    """Independent rewards of `size` with mean `MEANS[shape]` and standard deviation `SPREADS[shape]`."""
    match shape:
        case "normal":
            return rng.normal(size=size)
        case "heavy-tailed":
            return rng.standard_t(3, size=size)
        case "zero-inflated":
            return np.where(rng.random(size) < 0.8, 0.0, rng.exponential(size=size))
        case "tied":
            return rng.integers(0, 4, size=size).astype(float)
        case "bimodal":
            return np.where(rng.random(size) < 0.5, -2.0, 2.0) + 0.3 * rng.normal(size=size)
        case "bounded":
            return rng.beta(2.0, 3.0, size=size)
        case "lognormal":
            return rng.lognormal(size=size)
    raise ValueError(f'no shape "{shape}"')


def play(
    shape: str, rng: np.random.Generator, families: int, policies: int, blocks: int, *, shared: float = 1.0
) -> NDArray[np.float64]:
    """(families, policies, blocks) of equal policies; a block's difficulty has `shared` times their own spread."""
    difficulty = shared * SPREADS[shape] * rng.normal(size=(families, 1, blocks))
    return difficulty + draw(shape, rng, (families, policies, blocks))
