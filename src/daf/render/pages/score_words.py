"""A mean with its interval as text; the interval determines the digits."""

from daf.stats.sentences import number


def half_of(low: float | None, high: float | None) -> float:
    """Half of the interval, 0 without one."""
    return 0.0 if low is None or high is None else (high - low) / 2


def bounds_of(low: float | None, high: float | None) -> str | None:
    """ "0.9 to 1.8", None without an interval."""
    if low is None or high is None:
        return None
    half = half_of(low, high)
    return f"{number(low, half)} to {number(high, half)}"


def amount_of(mean: float, low: float | None, high: float | None) -> str:
    """ "1.3 [0.9, 1.8]", the mean alone without an interval."""
    if low is None or high is None:
        return number(mean)
    half = half_of(low, high)
    return f"{number(mean, half)} [{number(low, half)}, {number(high, half)}]"
