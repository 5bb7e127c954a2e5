"""Distributing agents among policies, by CoGames' own rule."""

from collections.abc import Sequence

from daf.errors import UsageError
from daf.game import answers, compat


def allocate(total: int, weights: Sequence[float]) -> list[int]:
    """`total` agents in proportion to `weights`: whole numbers that add up, the largest remainders rounded up.

    The rule is `metta_alo.scoring.allocate_counts`, which CoGames' evaluation uses. Raises `UsageError`.
    """
    try:
        return answers.answer(["allocation", total, list(weights)], list[int], lambda: _allocated(total, weights))
    except ValueError as error:
        raise UsageError(f"{total} agents can't be distributed by {list(weights)}: {error}") from error


def _allocated(total: int, weights: Sequence[float]) -> list[int]:
    compat.install()
    from metta_alo.scoring import allocate_counts

    return list(allocate_counts(total, list(weights)))
