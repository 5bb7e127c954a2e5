"""Text in figures and pages: shortened names, intervals, durations, and a mark for missing values."""

import math
from collections.abc import Iterable, Sequence

from daf.stats.sentences import half_width, number
from daf.storage.printable import printable as printable_text

ABSENT = "–"


def printable(text: str) -> str:
    """`text` on one line, with control characters and directional marks escaped."""
    return printable_text(text).strip()


def bounds_text(bounds: tuple[float, float] | None) -> str:
    """ "0.9 to 1.8"."""
    if bounds is None:
        return ABSENT
    half = half_width(bounds)
    return f"{number(bounds[0], half)} to {number(bounds[1], half)}"


def interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    """Both ends, None if either is unknown."""
    return None if low is None or high is None else (low, high)


MOST_DECIMALS, WIDEST = 6, 3
"""Numbers that would need more decimals, or differ by more powers of ten, have three significant digits each."""


def same_decimals(values: Sequence[float | None], half_widths: Iterable[float] = ()) -> list[str]:
    """The numbers of one column or axis, all with the same number of decimals; a dash for `None`.

    The smallest uncertainty in `half_widths` determines the decimals; without any, the largest number has three
    significant digits and the smallest two. No more decimals than the numbers have. Numbers of very different size,
    such as learning rates, have three significant digits each instead.
    """
    sizes = [abs(value) for value in values if value]
    decimals = _decimals(sizes, min((half for half in half_widths if half > 0), default=0.0))
    return [ABSENT if value is None else _fixed(value, decimals) for value in values]


def same_bounds(bounds: Sequence[tuple[float, float] | None]) -> list[str]:
    """The intervals of one column as "0.9 to 1.8", all with the same number of decimals; a dash for `None`."""
    known = [one for one in bounds if one is not None]
    texts = iter(same_decimals([end for one in known for end in one], map(half_width, known)))
    return [ABSENT if one is None else f"{next(texts)} to {next(texts)}" for one in bounds]


def estimates(
    values: Sequence[float | None], bounds: Sequence[tuple[float, float] | None]
) -> tuple[list[str], list[str]]:
    """A column of estimates and the column of their intervals; the intervals determine the decimals of both."""
    return same_decimals(values, map(half_width, bounds)), same_bounds(bounds)


def _decimals(sizes: Sequence[float], half_width: float) -> int | None:
    """Decimals for numbers of these `sizes`, all above 0; `None` if they cannot share any."""
    if not sizes:
        return 0
    largest, smallest = (math.floor(math.log10(size)) for size in (max(sizes), min(sizes)))
    if half_width > 0:
        wanted = max(0, -math.floor(math.log10(half_width / 3)))
    else:
        wanted = max(0, 2 - largest, 1 - smallest)
        if wanted > max(0, 2 - largest) + WIDEST:
            return None
    exact = next(
        (count for count in range(wanted) if all(abs(round(size, count) - size) <= 1e-9 * size for size in sizes)),
        wanted,
    )
    return None if exact > MOST_DECIMALS or largest >= 9 else exact


def _fixed(value: float, decimals: int | None) -> str:
    return f"{value:.3g}" if decimals is None else f"{round(value, decimals) + 0.0:,.{decimals}f}"


def duration(seconds: float) -> str:
    """ "0.8 s", "42 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short_count(value: float) -> str:
    """ "950", "12k", "1.5M"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


LONGEST = 32


def shortened(label: str, longest: int = LONGEST) -> str:
    """`label`, with its middle left out if it is longer than `longest` characters."""
    if len(label) <= longest:
        return label
    head = (longest - 1) * 2 // 3
    return label[:head] + "…" + label[len(label) - (longest - 1 - head) :]
