"""The numeric axis of a figure: round ticks, pixel coordinates, and the markers of series.

`templates/scales.js` places the same ticks in JavaScript.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from daf.errors import DataError
from daf.render.theme import SeriesStyle


@dataclass(frozen=True)
class Axis:
    """A horizontal axis: data from `low` to `high` over pixels from `left` to `right`, with ticks at round values."""

    low: float
    high: float
    left: float
    right: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """The coordinate of `value` in pixels."""
        return self.left + (value - self.low) / (self.high - self.low) * (self.right - self.left)


def axis_for(values: Sequence[float], *, left: float, right: float, ticks: int = 6) -> Axis:
    """An axis that holds all `values`, with margins at both ends. Raises `DataError` for a value that is not finite."""
    if not all(math.isfinite(value) for value in values):
        raise DataError("a figure cannot show a value that is not finite.")
    low, high = room(min(values), max(values)) if values else room(0.0, 1.0)
    step = _round_step((high - low) / ticks)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(low, high, left, right, tuple(position * step for position in range(first, last + 1)))


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Up to `most` round values between `low` and `high`, both above 0, for a logarithmic axis."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        inside = [float(f"{factor}e{power}") for power in powers for factor in factors]
        ticks = [value for value in inside if low * 0.999 <= value <= high * 1.001]
        if found and len(ticks) > most:
            break
        found = ticks
    if len(found) < 2:  # the axis spans too little: round steps, as on a linear axis
        return [tick for tick in axis_for([low, high], left=0, right=1, ticks=most).ticks if low <= tick <= high]
    return found[:: -(-len(found) // most)]


def room(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Axis limits with margins around data from `low` to `high`; around a single value, half of it on either side."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        reach = abs(low) / 2 or 1.0
        return low - reach, high + reach
    return low - share * (high - low), high + share * (high - low)


def marker(style: SeriesStyle, x: float, y: float, size: float = 5.5) -> str:
    """The SVG of a marker centred on (x, y)."""
    r = size
    match style.marker:
        case "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}"/>'
        case "square":
            path = f"m{-r * 0.88:g} {-r * 0.88:g}h{r * 1.76:g}v{r * 1.76:g}h{-r * 1.76:g}z"
        case "diamond":
            path = f"m0 {-r * 1.25:g}l{r * 1.25:g} {r * 1.25:g}l{-r * 1.25:g} {r * 1.25:g}l{-r * 1.25:g} {-r * 1.25:g}z"
        case "up":
            path = f"m0 {-r * 1.15:g}l{r * 1.15:g} {r * 2:g}h{-r * 2.3:g}z"
        case "down":
            path = f"m0 {r * 1.15:g}l{r * 1.15:g} {-r * 2:g}h{-r * 2.3:g}z"
        case "plus":
            path = _cross(r * 1.15)
        case _:
            return f'<path transform="rotate(45 {x:.1f} {y:.1f})" d="M{x:.1f} {y:.1f}{_cross(r * 1.15)}"/>'
    return f'<path d="M{x:.1f} {y:.1f}{path}"/>'


def _cross(r: float) -> str:
    arm, reach = f"{r * 0.72:g}", r - r * 0.36
    out, wide = f"{reach:g}", f"{r * 0.36:g}"
    return f"m-{wide} -{r:g}h{arm}v{out}h{out}v{arm}h-{out}v{out}h-{arm}v-{out}h-{out}v-{arm}h{out}z"


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)
