"""Numbers and names as text.

Digits follow the interval: no more than it supports. Names come from users: they may repeat, contain line breaks or be
empty, so `labels` makes them distinct and printable; escaping for HTML or a terminal's markup is the renderer's task.
"""

import math
from collections.abc import Sequence

from daf.storage.printable import printable


def labels(names: Sequence[str]) -> list[str]:
    """`names` made printable, and made distinct by "(#position)" where two are the same."""
    shown = [_printable(name) for name in names]
    numbered = [f"{name} (#{position})" for position, name in enumerate(shown, start=1)]
    distinct = [other if shown.count(name) > 1 else name for name, other in zip(shown, numbered, strict=True)]
    return distinct if len(set(distinct)) == len(distinct) else numbered


def number(value: float, half_width: float = 0.0) -> str:
    """`value` with the digits that an uncertainty of `half_width` supports; three significant digits if that is 0."""
    scale = half_width / 3 if half_width > 0 and math.isfinite(half_width) else abs(value) / 100
    if scale == 0:
        return "0"
    decimals = max(0, -math.floor(math.log10(scale)))
    if abs(value) >= half_width / 50 and value != 0:  # far from 0 on the interval's scale: never rounded away
        decimals = max(decimals, -math.floor(math.log10(abs(value))))
    if decimals > 6 or abs(value) >= 1e9:
        return f"{value:.3g}"
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def half_width(bounds: tuple[float, float] | None) -> float:
    """Half of the interval, 0 without one."""
    return (bounds[1] - bounds[0]) / 2 if bounds else 0.0


def bracketed(bounds: tuple[float, float]) -> str:
    """ "[0.9, 1.8]", with the digits that the interval supports."""
    half = half_width(bounds)
    return f"[{number(bounds[0], half)}, {number(bounds[1], half)}]"


def amount_text(value: float, bounds: tuple[float, float] | None) -> str:
    """ "1.3 [0.9, 1.8]", the value alone without an interval; the interval determines the digits."""
    return number(value, half_width(bounds)) + (f" {bracketed(bounds)}" if bounds else "")


def counted(count: int, noun: str, plural: str = "") -> str:
    """ "1 seed", "1,200 seeds", "2 policies". plural: where it is neither `noun` + "s" nor "-ies" for "-y"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {plural or (f'{noun[:-1]}ies' if noun.endswith('y') else f'{noun}s')}"


def p_text(p: float) -> str:
    """ "p=0.002", "p=0.21", "p<0.0001"."""
    if p < 0.0001:
        return "p<0.0001"
    return f"p={p:.2g}" if p >= 0.001 else f"p={p:.1g}"


def _printable(name: str) -> str:
    return printable(name).strip() or "(unnamed)"
