"""Group-sequential designs: how α is spent over the looks, and what a design needs and costs on normal data.

A spending function says which part of α may be used up by the time that a share t of the planned blocks is there. What
follows from it on normal differences (boundaries, power, expected number of blocks) comes from integrating over the
looks; it plans a comparison. The test itself takes its boundaries from the data: see `daf.stats.group_sequential`.

Sources: Lan and DeMets, Biometrika 70, 1983 (spending; O'Brien–Fleming- and Pocock-like); Hwang, Shih and DeCani,
Statistics in Medicine 9, 1990; Jennison and Turnbull, Group Sequential Methods, 2000, chapters 7 and 19 (integration).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from daf.errors import UsageError, unknown
from daf.stats.arrays import FloatArray, check_alpha

Spending = Literal["hwang-shih-decani", "obrien-fleming", "pocock"]
SPENDINGS: tuple[Spending, ...] = get_args(Spending)
GAMMA = -3.5
"""Of Hwang, Shih and DeCani. Measured with 16 looks and sign flips: the maximum exceeds the fixed number by less than
5 %, and the mean at the planned effect is below 0.7 of it, which γ = −4 misses."""
LOOKS = 16
"""Looks by default."""

_POINTS = 401
_FARTHEST = 8.0
"""Beyond this many standard errors, a boundary is never crossed."""


def spent(spending: Spending, alpha: float, share: float) -> float:
    """The part of `alpha` that may be spent once `share` of the planned blocks is complete; `alpha` from 1 on.

    Raises `UsageError` for an unknown spending function.
    """
    from scipy.special import ndtr, ndtri

    check_alpha(alpha)
    if spending not in SPENDINGS:
        raise UsageError(unknown("spending function", spending, SPENDINGS))
    if share >= 1.0:
        return alpha
    if share <= 0.0:
        return 0.0
    if spending == "hwang-shih-decani":
        return float(alpha * np.expm1(-GAMMA * share) / np.expm1(-GAMMA))
    if spending == "obrien-fleming":
        return float(4.0 * ndtr(ndtri(alpha / 4) / np.sqrt(share)))  # alpha / 2 on each side
    return float(alpha * np.log1p((np.e - 1.0) * share))


def even_looks(most: int, looks: int = LOOKS) -> tuple[int, ...]:
    """`looks` equal steps up to `most` blocks, in whole blocks; fewer where a step would be less than one block."""
    if most < 1 or looks < 1:
        raise UsageError(f"the maximum and the number of looks must be at least 1, got {most} and {looks}.")
    steps = min(looks, most)
    return tuple(-(-most * step // steps) for step in range(1, steps + 1))


@dataclass(frozen=True)
class NormalDesign:
    """A two-sided group-sequential test of a normal mean. times: share of the blocks at each look, rising to 1.

    boundaries: |z| beyond which the test stops at each look.
    """

    times: tuple[float, ...]
    alpha: float
    boundaries: tuple[float, ...]

    def crossing(self, drift: float) -> FloatArray:
        """(looks, 2): the probability of stopping at each look above and below. drift: expected z at the last look."""
        return _integrate(self.times, self.boundaries, drift)

    def power(self, drift: float) -> float:
        """The probability of any stop in the direction of `drift`."""
        return float(self.crossing(abs(drift))[:, 0].sum())

    def expected(self, drift: float) -> float:
        """Expected share of the blocks that are played."""
        stops = self.crossing(drift).sum(axis=1)
        stops[-1] = 1.0 - stops[:-1].sum()
        return float(stops @ np.array(self.times))

    def drift(self, power: float) -> float:
        """The expected z at the last look for which the test has `power`."""
        return _drift(self, power)


@lru_cache(maxsize=256)
def normal_design(times: tuple[float, ...], alpha: float, spending: Spending = "hwang-shih-decani") -> NormalDesign:
    """The boundaries at `times` that spend `alpha` by `spending`, on normal data."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    if not times or times[0] <= 0 or times[-1] > 1.0 + 1e-12 or any(np.diff(times) <= 0):
        raise UsageError(f"the looks' shares must rise from above 0 to at most 1, got {list(times)}.")
    boundaries: list[float] = []
    grid, mass = np.zeros(1), np.ones(1)
    before = used = 0.0
    for index, time in enumerate(times):
        target = spent(spending, alpha, time if index < len(times) - 1 else 1.0) - used
        step, root = np.sqrt(time - before), np.sqrt(time)

        def excess(
            bound: float,
            at: FloatArray = grid / step,
            mass: FloatArray = mass,
            scale: float = root / step,
            target: float = target,
        ) -> float:
            return float(mass @ (ndtr(at - bound * scale) + ndtr(-bound * scale - at))) - target

        far = excess(_FARTHEST) >= 0.0
        bound = _FARTHEST if far else float(brentq(excess, 0.0, _FARTHEST, xtol=1e-8))
        used += target + excess(bound)
        boundaries.append(bound)
        grid, mass = _onwards(grid, mass, bound * root, time - before, 0.0)
        before = time
    return NormalDesign(times, alpha, tuple(boundaries))


def even_design(looks: int, alpha: float, spending: Spending = "hwang-shih-decani") -> NormalDesign:
    """`normal_design` of equally spaced looks."""
    return normal_design(tuple((step + 1) / looks for step in range(looks)), alpha, spending)


@lru_cache(maxsize=256)
def _drift(design: NormalDesign, power: float) -> float:
    from scipy.optimize import brentq

    if not design.alpha < power < 1.0:
        raise UsageError(f"the power must lie between alpha ({design.alpha:g}) and 1, got {power:g}.")
    return float(brentq(lambda drift: design.power(drift) - power, 0.0, 20.0, xtol=1e-6))


def _integrate(times: Sequence[float], boundaries: Sequence[float], drift: float) -> FloatArray:
    from scipy.special import ndtr

    grid, mass = np.zeros(1), np.ones(1)
    before = 0.0
    found = np.empty((len(times), 2))
    for index, (time, bound) in enumerate(zip(times, boundaries, strict=True)):
        step, root = np.sqrt(time - before), np.sqrt(time)
        centre = grid + drift * (time - before)
        found[index] = mass @ ndtr((centre - bound * root) / step), mass @ ndtr((-bound * root - centre) / step)
        grid, mass = _onwards(grid, mass, bound * root, time - before, drift)
        before = time
    return found


def _onwards(
    grid: FloatArray, mass: FloatArray, reach: float, time: float, drift: float
) -> tuple[FloatArray, FloatArray]:
    """The distribution of the sum after a further `time`, within ±`reach`, as masses on a new grid (Simpson's rule)."""
    points = np.linspace(-reach, reach, _POINTS)
    weights = np.ones(_POINTS)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    weights *= (points[1] - points[0]) / 3.0
    off = (points[:, None] - grid[None, :] - drift * time) / np.sqrt(time)
    density = np.exp(-0.5 * off**2) @ mass / np.sqrt(2.0 * np.pi * time)
    return points, density * weights
