"""Numbers of JSON files."""

import math


def finite(value: object) -> float | None:
    """`value` as a finite number, None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
