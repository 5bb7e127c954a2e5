"""Six shapes of reward with known means, for simulations against a known truth."""

import numpy as np

SHAPES = ("normal", "heavy-tailed", "zero-inflated", "tied", "bimodal", "bounded")


def draw(shape: str, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
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
    raise AssertionError(shape)
