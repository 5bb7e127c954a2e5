"""Distributing agents among policies, by CoGames' own rule."""

from collections.abc import Sequence

from daf.errors import UsageError


def allocate(total: int, weights: Sequence[float]) -> list[int]:
    """`total` agents in proportion to `weights`: whole numbers that add up, the largest remainders rounded up.

    The rule is `metta_alo.scoring.allocate_counts`, which CoGames' evaluation uses. Raises `UsageError`.
    """
    from daf.game import compat

    compat.install()
    from metta_alo.scoring import allocate_counts

    try:
        return list(allocate_counts(total, list(weights)))
    except ValueError as error:
        raise UsageError(f"{total} agents can't be distributed by {list(weights)}: {error}") from error
