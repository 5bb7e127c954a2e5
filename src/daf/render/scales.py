"""One setting of a search as an axis: numbers on a linear or logarithmic scale, choices at equal distances.

A few numbers that were tried repeatedly are treated as choices too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from daf.render.axis import axis_for, log_ticks, room
from daf.render.text import same_decimals, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 6
"""Up to this many distinct numbers are all labelled on their axis, and are evenly spaced if they repeat."""
ROOM = 0.025
"""Approximate width of a letter in a small plot, as a fraction of the axis."""
WIDE, CROWDED = 20.0, 0.3
"""Positive numbers that span a factor of `WIDE`, half of them in the lowest `CROWDED` of the range, use a log scale."""


@dataclass(frozen=True)
class SettingScale:
    """values: the distinct ones, ascending if they are numbers. scaled: whether they are placed by their numeric value,
    otherwise at equal distances. log: on a logarithmic scale. span: the ends of the range that was searched, which the
    axis then has; None if they are not known, so that the axis ends at the smallest and the largest value.
    """

    name: str
    values: tuple[Any, ...]
    scaled: bool
    log: bool
    span: tuple[float, float] | None = None

    @property
    def varies(self) -> bool:
        """Whether it took more than one value."""
        return len(self.values) > 1

    def place(self, value: Any) -> float:
        """The position of `value` on a matplotlib axis."""
        return float(value) if self.scaled else float(self.rank(value))

    def rank(self, value: Any) -> int:
        """The position of `value` among the distinct ones, from 0."""
        return self.values.index(value if value in self.values else _key(value))

    @property
    def ends(self) -> tuple[float, float]:
        """The values at both ends of a numeric axis."""
        return self.span or (float(self.values[0]), float(self.values[-1]))

    def at(self, value: Any) -> float:
        """The position of `value` between the smallest (0) and the largest (1); in the middle if there is only one."""
        if not self.varies and self.span is None:
            return 0.5
        if not self.scaled:
            return self.place(value) / (len(self.values) - 1)
        (low, high), place = self.ends, float(value)
        if self.log:
            low, high, place = math.log(low), math.log(high), math.log(place)
        return (place - low) / (high - low)

    def ticks(self) -> list[tuple[Any, str]]:
        """Values to label, with their labels; on a scale, none so close to the previous one that the labels overlap."""
        if not self.scaled:
            return list(zip(self.values, value_texts(self.values), strict=True))
        own = self._apart(self.values) if len(self.values) <= FEW and self._short() else []
        found = own if own and len(own) == len(self.values) else self._apart(self._round())
        return found if len(found) > 1 else self._apart(self.ends if self.span else self.values)

    def _short(self) -> bool:
        """Whether the values themselves make good ticks: whole numbers, or numbers of at most two digits."""
        return self.span is None and all(float(f"{value:.2g}") == value or value == int(value) for value in self.values)

    def _round(self) -> list[Any]:
        """Round values inside the range; whole numbers if all values are."""
        low, high = self.ends
        if self.log:
            return list(log_ticks(low, high, FEW))
        whole = all(float(value).is_integer() for value in self.values)
        inside = [tick for tick in axis_for([low, high], left=0, right=1, ticks=5).ticks if low <= tick <= high]
        return [tick for tick in inside if not whole or float(tick).is_integer()]

    def _apart(self, values: Sequence[Any]) -> list[tuple[Any, str]]:
        """Those of the ascending `values` whose labels fit, starting from the smallest."""
        found: list[tuple[Any, str]] = []
        for value, name in zip(values, self._texts(values), strict=True):
            if not found or self.at(value) - self.at(found[-1][0]) >= ROOM * (1 + (len(name) + len(found[-1][1])) / 2):
                found.append((value, name))
        return found

    def _texts(self, values: Sequence[Any]) -> list[str]:
        """The labels of ticks: on a linear scale all with the same number of decimals."""
        if self.log or not values or any(abs(value) >= 1e6 or 0 < abs(value) < 1e-4 for value in values):
            return list(map(tick_text, values))
        return same_decimals(values)

    def scale(self, axes: "Axes", which: str) -> None:
        """Apply this scale and these ticks to the axis `which` ("x", "y") of `axes`."""
        axis = getattr(axes, f"{which}axis")
        if self.scaled and self.log:
            getattr(axes, f"set_{which}scale")("log")
            axis.minorticks_off()
        ticks = self.ticks()
        axis.set_ticks([self.place(value) for value, _ in ticks], [shortened(text, 16) for _, text in ticks])
        if not self.scaled:
            getattr(axes, f"set_{which}lim")(-0.6, len(self.values) - 0.4)
        elif self.span is not None:
            getattr(axes, f"set_{which}lim")(*self._with_room())

    def _with_room(self) -> tuple[float, float]:
        """The ends of the axis of a searched range, with a margin for marks at its ends."""
        low, high = self.ends
        if not self.log:
            return room(low, high)
        low, high = room(math.log10(low), math.log10(high))
        return 10**low, 10**high


@dataclass(frozen=True)
class SearchedRange:
    """The range in which a setting was searched. log: on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


def searched_setting(name: str, values: Sequence[Any], searched: SearchedRange | None) -> SettingScale:
    """The axis for `values`, one for each trial. searched: None for choices, or if the search space is not known."""
    if searched is None:
        return setting_of(name, values)
    return setting_of(name, values, log=searched.log, span=(searched.low, searched.high))


def setting_of(
    name: str, values: Sequence[Any], *, log: bool | None = None, span: tuple[float, float] | None = None
) -> SettingScale:
    """The axis for `values`, one for each trial.

    log: whether it is logarithmic, if all values are above 0; None decides by their span. span: the ends of the range
    that was searched: its numbers are never choices, however few they are.
    """
    numbers = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not numbers:
        return SettingScale(name, tuple(dict.fromkeys(_key(value) for value in values)), False, False)
    different = tuple(sorted(set(values)))
    if span is not None:
        low, high = min(span[0], float(different[0])), max(span[1], float(different[-1]))
        return SettingScale(name, different, True, bool(log) and low > 0, (low, high) if high > low else None)
    if len(different) <= FEW and len(values) > len(different):
        return SettingScale(name, different, False, False)
    low, high = float(different[0]), float(different[-1])
    return SettingScale(
        name, different, True, _looks_logarithmic(values, low, high) if log is None else log and low > 0
    )


def _looks_logarithmic(values: Sequence[Any], low: float, high: float) -> bool:
    """Whether positive numbers span a wide factor and cluster at its lower end, like those drawn from a log scale."""
    return low > 0 and high / low >= WIDE and (median(map(float, values)) - low) / (high - low) < CROWDED


def tick_text(value: Any) -> str:
    """The label of a value: numbers with up to four significant digits, whole numbers in full."""
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e6):
        return f"{value:.4g}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def value_texts(values: Sequence[Any]) -> list[str]:
    """The labels of distinct values: as `tick_text`, with more digits if numbers would otherwise look the same."""
    found = list(map(tick_text, values))
    if len(set(found)) == len(found):
        return found
    return [repr(value) if isinstance(value, float) else text for value, text in zip(values, found, strict=True)]


def _key(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
