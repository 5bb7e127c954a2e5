"""Compare policies until every verdict is in, and not an episode longer."""

from daf.until_decided.operation import MAX_EPISODES, Decided, Round, compare_until_decided, decided_data
from daf.until_decided.rounds import Needs, first_round, look, next_round, open_ones

__all__ = [
    "MAX_EPISODES",
    "Decided",
    "Needs",
    "Round",
    "compare_until_decided",
    "decided_data",
    "first_round",
    "look",
    "next_round",
    "open_ones",
]
